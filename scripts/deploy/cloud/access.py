"""Services, service accounts, and who may do what: each role on the smallest thing it can be given on."""

from dataclasses import dataclass

# Service, and what it is for. storage and iam are on in every new project, as a rule; a project may
# have been made without.
SERVICES = {
    "run.googleapis.com": "the service",
    "cloudtasks.googleapis.com": "wake-ups",
    "cloudscheduler.googleapis.com": "the sweep",
    "firestore.googleapis.com": "jobs and credits",
    "firebaserules.googleapis.com": "what apps may read in Firestore",
    "storage.googleapis.com": "objects",
    "iam.googleapis.com": "accounts",
    "iamcredentials.googleapis.com": "signed links",
    "secretmanager.googleapis.com": "keys",
    "artifactregistry.googleapis.com": "the image",
    "cloudresourcemanager.googleapis.com": "roles on the project",
    "monitoring.googleapis.com": "alerts and the dashboard",
}


def wanted_services(settings):
    wanted = list(SERVICES)
    if settings["BUILD"] == "cloud" and not settings["IMAGE"]:
        wanted.append("cloudbuild.googleapis.com")
    if settings["FCM_PROJECT"] == settings["PROJECT"]:
        wanted.append("fcm.googleapis.com")
    return wanted


def services(cloud, settings):
    """Enables what is missing; answers what was on before."""
    found = {item["config"]["name"] for item in cloud.look("services", "list", "--enabled")}
    missing = [name for name in wanted_services(settings) if name not in found]
    if missing:
        cloud.change(f"enable {len(missing)} services", "services", "enable", *missing)
        cloud.young = cloud.young or cloud.apply
    return found


def accounts(cloud, settings, enabled):
    """Makes the accounts that are missing; answers the addresses of those that were there."""
    wanted = {"worker": "filmlab: the service runs as this", "tasks": "filmlab: tasks carry its token"}
    if settings["BUILD"] == "cloud" and not settings["IMAGE"]:
        wanted["build"] = "filmlab: builds the image"
    found = set()
    if "iam.googleapis.com" in enabled:
        found = {item["email"] for item in cloud.look("iam", "service-accounts", "list")}
    for role, about in wanted.items():
        if settings.account(role) not in found:
            cloud.change(
                f"account {settings['SERVICE']}-{role}",
                "iam", "service-accounts", "create", f"{settings['SERVICE']}-{role}",
                f"--display-name={about}",
            )
            cloud.young = cloud.young or cloud.apply
    return found


@dataclass(frozen=True)
class Target:
    """Something that roles are given on. `there`: whether it was there before this run."""

    name: str
    get: tuple
    add: tuple
    there: bool

    def policy(self, cloud, project=None):
        """(role, member, condition) of each binding."""
        if not self.there:
            return set()
        policy = cloud.look(*self.get, project=project)
        return {
            (binding["role"], member, binding.get("condition", {}).get("expression"))
            for binding in (policy or {}).get("bindings", [])
            for member in binding.get("members", [])
        }


def member(account):
    return f"serviceAccount:{account}"


def grant(cloud, target, wanted, flags=(), project=None):
    """`wanted`: (role, member, condition or None, why) each."""
    found = target.policy(cloud, project)
    for role, who, condition, why in wanted:
        if (role, who, condition) in found:
            continue
        # With a condition anywhere in a policy, gcloud wants to be told of each binding's.
        extra = list(flags)
        if condition:
            extra.append(f"--condition=expression={condition},title={settings_title(condition)}")
        cloud.change(
            f"{role} on {target.name} for {who.partition(':')[2] or who} ({why})",
            *target.add, f"--member={who}", f"--role={role}", *extra, project=project,
        )


def settings_title(condition):
    return "this_database_only" if "/databases/" in condition else "condition"


def project_target(settings, project=None):
    project = project or settings["PROJECT"]
    return Target(
        f"project {project}",
        ("projects", "get-iam-policy", project),
        ("projects", "add-iam-policy-binding", project),
        True,
    )


def database_condition(settings):
    # https://cloud.google.com/firestore/docs/manage-databases#configure_per-database_access_permissions
    return f'resource.name=="projects/{settings["PROJECT"]}/databases/{settings["FIRESTORE_DATABASE"]}"'


def project_roles(settings):
    """(role, member, condition, why) on the project: only what cannot be given on something smaller."""
    worker = member(settings.account("worker"))
    wanted = [("roles/datastore.user", worker, database_condition(settings), "jobs, credits, outbox")]
    if settings.on("METRICS"):
        wanted.append(("roles/monitoring.metricWriter", worker, None, "the collector's numbers"))
    if settings["BUILD"] == "cloud" and not settings["IMAGE"]:
        wanted.append(("roles/logging.logWriter", member(settings.account("build")), None, "the build's log"))
    return wanted


def roles(cloud, settings, found):
    """The roles on the project and on the accounts; those on bucket, queue and so on stand there."""
    wanted = project_roles(settings)
    target = project_target(settings)
    conditional = [row for row in wanted if row[2]]
    plain = [row for row in wanted if not row[2]]
    grant(cloud, target, conditional)
    grant(cloud, target, plain, flags=("--condition=None",))
    if settings["FCM_PROJECT"]:
        row = ("roles/firebasecloudmessaging.admin", member(settings.account("worker")), None, "notices to devices")
        other = project_target(settings, settings["FCM_PROJECT"])
        grant(cloud, other, [row], flags=("--condition=None",), project=settings["FCM_PROJECT"])
    worker, tasks = settings.account("worker"), settings.account("tasks")
    grant(cloud, account_target(tasks, found),
          [("roles/iam.serviceAccountUser", member(worker), None, "puts its token into tasks")])
    grant(cloud, account_target(worker, found),
          [("roles/iam.serviceAccountTokenCreator", member(worker), None, "signs links as itself")])


def account_target(account, found):
    return Target(
        f"account {account}",
        ("iam", "service-accounts", "get-iam-policy", account),
        ("iam", "service-accounts", "add-iam-policy-binding", account),
        account in found,
    )
