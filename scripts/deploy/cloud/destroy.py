"""Takes an installation away again. Data stays, unless it is named."""

import sys

import keys
import watch
from access import database_condition, member, project_roles
from gcloud import Stop, last
from image import staging_bucket
from service import find as find_service
from stores import find_bucket

# Shown before anything is asked: what cannot be undone.
AFTERWARDS = """
Once they are gone: links and callbacks signed with the link key are worth nothing; predictions that
are under way were paid for, and nobody fetches them; a queue's name cannot be used again for up to
seven days."""


def destroy(cloud, settings, with_bucket, with_database, ask=input):
    check_names(settings, with_bucket, with_database)
    enabled = {row["config"]["name"] for row in cloud.look("services", "list", "--enabled")}
    steps = list(found(cloud, settings, enabled, with_bucket, with_database))
    if not steps:
        cloud.say("There is nothing to delete.")
        return
    cloud.say(f"This deletes from the project {settings['PROJECT']}:")
    for what, _, _ in steps:
        cloud.say(f"  - {what}")
    if not with_bucket:
        cloud.say(f"The bucket {settings['BUCKET']} and all files in it stay.")
    if not with_database:
        cloud.say(f"The Firestore database {settings['FIRESTORE_DATABASE']} and all jobs and credits in it stay.")
    cloud.say(AFTERWARDS)
    typed = answer(ask, f"Type the project's id ({settings['PROJECT']}) to delete them: ")
    if typed != settings["PROJECT"]:
        raise Stop("nothing was deleted: that is not the project's id")
    for what, args, project in steps:
        cloud.change(what, *args, project=project)


def answer(ask, prompt):
    try:
        return ask(prompt).strip()
    except EOFError:
        return ""


def check_names(settings, with_bucket, with_database):
    for given, name in ((with_bucket, "BUCKET"), (with_database, "FIRESTORE_DATABASE")):
        if given is not None and given != settings[name]:
            raise Stop(f"“{given}” is not the {name} of these settings, which is {settings[name]}",
                       "nothing was deleted")


def found(cloud, settings, enabled, with_bucket, with_database):
    """(what, command, project) of each thing that is there, in the order it goes: first what starts
    work, then what does it, then what it needs."""
    service, region, project = settings["SERVICE"], settings["REGION"], settings["PROJECT"]
    where = f"--location={region}"

    def there(api, wanted, *look):
        if api + ".googleapis.com" not in enabled:
            return []
        return [row for row in cloud.look(*look) if last(row["name"]) in wanted]

    for _ in there("cloudscheduler", {f"{service}-sweep"}, "scheduler", "jobs", "list", where):
        yield f"sweep {service}-sweep", ("scheduler", "jobs", "delete", f"{service}-sweep", where), None
    for _ in there("cloudtasks", {settings["QUEUE"]}, "tasks", "queues", "list", where):
        yield (f"queue {settings['QUEUE']} with its tasks",
               ("tasks", "queues", "delete", settings["QUEUE"], where), None)
    if find_service(cloud, settings, enabled):
        yield f"service {service}", ("run", "services", "delete", service, f"--region={region}"), None
    yield from monitoring(cloud, settings, enabled)
    for _ in there("artifactregistry", {service}, "artifacts", "repositories", "list", where):
        yield (f"repository {service} with its images",
               ("artifacts", "repositories", "delete", service, where), None)
    name = staging_bucket(settings)
    if find_bucket(cloud, name, enabled):
        yield f"bucket {name} with the sources of builds", ("storage", "rm", "--recursive", f"gs://{name}"), None
    names = {f"{service}-{kind}" for kind in ("provider-key", "link-key", "api-token", "webhook-secret")}
    for row in there("secretmanager", names, "secrets", "list"):
        yield f"secret {last(row['name'])}", ("secrets", "delete", last(row["name"])), None
    yield from roles(cloud, settings)
    if "iam.googleapis.com" in enabled:
        emails = {row["email"] for row in cloud.look("iam", "service-accounts", "list")}
        for role in ("worker", "tasks", "build"):
            if settings.account(role) in emails:
                yield (f"account {service}-{role}",
                       ("iam", "service-accounts", "delete", settings.account(role)), None)
    if with_bucket and find_bucket(cloud, with_bucket, enabled):
        yield (f"BUCKET {with_bucket} WITH ALL FILES OF ALL USERS",
               ("storage", "rm", "--recursive", f"gs://{with_bucket}"), None)
    if with_database:
        which = f"--database={with_database}"
        for row in there("firestore", {with_database}, "firestore", "databases", "list"):
            if row.get("deleteProtectionState") == "DELETE_PROTECTION_ENABLED":
                yield (f"protection of the database {with_database} against deletion",
                       ("firestore", "databases", "update", which, "--no-delete-protection"), None)
            yield (f"DATABASE {with_database} WITH ALL JOBS AND CREDITS",
                   ("firestore", "databases", "delete", which), None)


def monitoring(cloud, settings, enabled):
    if "monitoring.googleapis.com" not in enabled:
        return
    for row in cloud.look("alpha", "monitoring", "policies", "list"):
        if row.get("userLabels", {}).get("filmlab_service") == settings["SERVICE"]:
            yield f"alert {row.get('displayName')}", ("alpha", "monitoring", "policies", "delete", row["name"]), None
    board = watch.find_dashboard(cloud, settings, enabled)
    if board:
        yield (f"dashboard {board.get('displayName')}",
               ("monitoring", "dashboards", "delete", last(board["name"])), None)
    for row in cloud.look("beta", "monitoring", "channels", "list"):
        if row.get("displayName") == f"filmlab {settings['SERVICE']}":
            yield (f"alerts to {row.get('labels', {}).get('email_address')}",
                   ("beta", "monitoring", "channels", "delete", row["name"]), None)


def roles(cloud, settings):
    """On the project; those on what is deleted go with it."""
    project = settings["PROJECT"]
    rows = [(row[0], row[1], row[2]) for row in project_roles(settings)]
    # Also of what the settings no longer ask for.
    rows += [("roles/monitoring.metricWriter", member(settings.account("worker")), None),
             ("roles/logging.logWriter", member(settings.account("build")), None)]
    policy = cloud.look("projects", "get-iam-policy", project)
    bound = {
        (binding["role"], who, binding.get("condition", {}).get("expression"))
        for binding in policy.get("bindings", []) for who in binding.get("members", [])
    }
    for role, who, condition in dict.fromkeys(rows):
        if (role, who, condition) in bound:
            said = "None" if condition is None else f"expression={database_condition(settings)},title=this_database_only"
            yield (f"{role} on the project for {who.partition(':')[2]}",
                   ("projects", "remove-iam-policy-binding", project, f"--member={who}", f"--role={role}",
                    f"--condition={said}"), None)
    other = settings["FCM_PROJECT"]
    if other:
        who = member(settings.account("worker"))
        for binding in cloud.look("projects", "get-iam-policy", other, project=other).get("bindings", []):
            if binding["role"] == "roles/firebasecloudmessaging.admin" and who in binding.get("members", []):
                yield (f"roles/firebasecloudmessaging.admin on project {other}",
                       ("projects", "remove-iam-policy-binding", other, f"--member={who}",
                        "--role=roles/firebasecloudmessaging.admin", "--condition=None"), other)
