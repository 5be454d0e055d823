"""A stand-in for gcloud and the Google Cloud behind it: strict, with a memory, and a record of calls.

It refuses commands and flags that gcloud does not have (flags.json), values that are not allowed,
services that are not enabled, and everything that names something before it is there.
"""

import copy
import http.server
import json
import os
import re
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from flags import COMMANDS, FILE

with open(FILE, encoding="utf-8") as text:
    TABLE = json.load(text)

# gcloud-wide flags that the script uses.
WIDE = {"--project": "value", "--quiet": "bool", "--format": "value"}
# The service that a group of commands calls.
APIS = [
    ("iam service-accounts", "iam"), ("firestore", "firestore"), ("storage", "storage"),
    ("tasks", "cloudtasks"), ("secrets", "secretmanager"), ("artifacts", "artifactregistry"),
    ("builds", "cloudbuild"), ("run", "run"), ("scheduler", "cloudscheduler"),
    ("alpha monitoring", "monitoring"), ("beta monitoring", "monitoring"), ("monitoring", "monitoring"),
]
LOOKS = ("list", "describe", "get-iam-policy", "version", "print-access-token")
ROLES = {
    "roles/datastore.user", "roles/monitoring.metricWriter", "roles/logging.logWriter",
    "roles/firebasecloudmessaging.admin", "roles/iam.serviceAccountUser",
    "roles/iam.serviceAccountTokenCreator", "roles/storage.objectUser", "roles/storage.objectViewer",
    "roles/cloudtasks.enqueuer", "roles/secretmanager.secretAccessor", "roles/artifactregistry.writer",
    "roles/run.invoker",
}
KNOWN_SERVICES = {
    name + ".googleapis.com" for name in (
        "run", "cloudtasks", "cloudscheduler", "firestore", "firebaserules", "storage", "iam", "iamcredentials",
        "secretmanager", "artifactregistry", "cloudresourcemanager", "monitoring", "cloudbuild", "fcm",
    )
}


class Refused(Exception):
    def __init__(self, text, status=1):
        super().__init__(text)
        self.status = status


def fresh(project="my-project", number="123456789012"):
    return {
        "projects": {project: number}, "enabled": [], "policies": {}, "accounts": [], "databases": {},
        "indexes": {}, "fields": {}, "rulesets": [], "releases": {}, "buckets": {}, "queues": {}, "secrets": {},
        "repositories": {}, "tags": [], "services": {}, "jobs": {}, "alerts": {}, "channels": {}, "boards": {},
        "next": 1,
    }


class Cloud:
    """`state`: what there is. `calls`: what was called, in order."""

    def __init__(self, state=None):
        self.state = state or fresh()
        self.calls = []
        self.values = []
        # Number of the change that fails, and whether it is done all the same.
        self.fail_at = None
        self.fail_done = False
        self.changes = 0

    # -- what is called

    def __call__(self, args, stdin):
        try:
            command, words, flags = self.parse(args)
            look = command.split()[-1] in LOOKS
            self.calls.append(("look" if look else "change", ["gcloud", *args]))
            if stdin and command != "secrets versions add":
                raise Refused(f"{command} reads nothing from standard input")
            if not look:
                self.change_begins()
            answer = self.act(command, words, flags, stdin)
            if not look:
                self.change_ends()
            return 0, json.dumps(answer) if flags.get("--format") == "json" else answer or "", ""
        except Refused as refused:
            return refused.status, "", f"ERROR: (gcloud) {refused}"

    def change_begins(self):
        self.changes += 1
        if self.changes == self.fail_at and not self.fail_done:
            raise Refused("the stand-in was told to fail here")

    def change_ends(self):
        for key in list(self.state["policies"]):
            kind, _, name = key.partition("/")
            if name not in self.state[kind]:
                del self.state["policies"][key]
        if self.changes == self.fail_at and self.fail_done:
            raise Refused("the stand-in was told to lose the answer here")

    def parse(self, args):
        words = [arg for arg in args if not arg.startswith("-")]
        # The longest name of a command that the words begin with.
        begins = (" ".join(args[:length]) for length in range(5, 0, -1))
        command = next((name for name in begins if name in COMMANDS), None)
        if command is None:
            raise Refused(f"Invalid choice: {' '.join(args)}", 2)
        rest = words[len(command.split()):]
        if len(rest) > COMMANDS[command] or (COMMANDS[command] < 99 and len(rest) < COMMANDS[command]):
            raise Refused(f"{command}: wrong number of words: {rest}", 2)
        known = {**TABLE[command], **WIDE}
        flags = {}
        for arg in args[len(command.split()):]:
            if not arg.startswith("-"):
                continue
            name, equals, value = arg.partition("=")
            kind = known.get(name)
            if kind is None and name.startswith("--no-"):
                kind = "bool" if known.get("--" + name[5:]) == "bool" else None
            if kind is None:
                raise Refused(f"unrecognized arguments: {arg}", 2)
            if (kind == "bool") == bool(equals):
                raise Refused(f"argument {name}: a value is wanted, or is not", 2)
            if isinstance(kind, list) and value.lower() not in [choice.lower() for choice in kind]:
                raise Refused(f"argument {name}: Invalid choice: {value!r}", 2)
            if name == "--field-config":
                flags.setdefault(name, []).append(value)
            elif name in flags:
                raise Refused(f"argument {name}: given twice", 2)
            else:
                flags[name] = value if equals else True
        return command, rest, flags

    def act(self, command, words, flags, stdin):
        if command == "version":
            return {"Google Cloud SDK": "528.0.0", "alpha": "2025.06.20", "beta": "2025.06.20"}
        if command == "auth print-access-token":
            return "token-of-the-stand-in"
        project = flags.get("--project")
        if project not in self.state["projects"]:
            raise Refused(f"The caller does not have permission on project {project} (or it may not exist)")
        if flags.get("--quiet") is not True:
            raise Refused("would ask")
        for group, api in APIS:
            if command.startswith(group + " "):
                if api + ".googleapis.com" not in self.state["enabled"]:
                    raise Refused(f"PERMISSION_DENIED: {api} API has not been used in project {project} before or"
                                  " it is disabled. reason: SERVICE_DISABLED")
                break
        if command.split()[-1].endswith("iam-policy-binding") or command.endswith("get-iam-policy"):
            return self.policy(command, words[0], flags)
        name = re.sub("[^a-z]", "_", command)
        return getattr(self, name)(words, flags, stdin)

    def need(self, kind, name, what=None):
        if name not in self.state[kind]:
            raise Refused(f"NOT_FOUND: {what or kind} {name}")
        return self.state[kind][name]

    def new(self, kind, name, value):
        if name in self.state[kind]:
            raise Refused(f"ALREADY_EXISTS: {kind} {name}")
        self.state[kind][name] = value

    def number(self):
        self.state["next"] += 1
        return str(self.state["next"])

    # -- services, accounts, policies

    def services_list(self, words, flags, stdin):
        if flags.get("--enabled") is not True:
            raise Refused("would list all services there are")
        return [{"config": {"name": name}, "state": "ENABLED"} for name in self.state["enabled"]]

    def services_enable(self, words, flags, stdin):
        for name in words:
            if name not in KNOWN_SERVICES:
                raise Refused(f"service {name} does not exist")
        self.state["enabled"] = sorted({*self.state["enabled"], *words})

    def projects_describe(self, words, flags, stdin):
        return {"projectId": words[0], "projectNumber": self.need("projects", words[0]), "lifecycleState": "ACTIVE"}

    def iam_service_accounts_list(self, words, flags, stdin):
        return [{"email": email} for email in self.state["accounts"]]

    def iam_service_accounts_create(self, words, flags, stdin):
        if not re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", words[0]):
            raise Refused(f"INVALID_ARGUMENT: {words[0]}")
        email = f"{words[0]}@{flags['--project']}.iam.gserviceaccount.com"
        if email in self.state["accounts"]:
            raise Refused(f"ALREADY_EXISTS: {email}")
        self.state["accounts"].append(email)

    def iam_service_accounts_delete(self, words, flags, stdin):
        if words[0] not in self.state["accounts"]:
            raise Refused(f"NOT_FOUND: {words[0]}")
        self.state["accounts"].remove(words[0])

    def resource(self, command, name, flags):
        """The key of what a policy belongs to; refuses what is not there."""
        kind = command.rsplit(" ", 1)[0]
        if kind == "projects":
            self.need("projects", name)
            if flags["--project"] != name:
                raise Refused("the project of the flag is another one")
            return f"projects/{name}"
        if kind == "iam service-accounts":
            if name not in self.state["accounts"]:
                raise Refused(f"NOT_FOUND: service account {name} does not exist")
            return f"accounts/{name}"
        if kind == "storage buckets":
            if not name.startswith("gs://"):
                raise Refused(f"not a bucket: {name}")
            self.need("buckets", name[5:])
            return f"buckets/{name[5:]}"
        table = {"tasks queues": "queues", "secrets": "secrets", "artifacts repositories": "repositories",
                 "run services": "services"}[kind]
        self.where(flags, table)
        self.need(table, name)
        return f"{table}/{name}"

    def where(self, flags, table):
        flag = {"queues": "--location", "repositories": "--location", "services": "--region",
                "jobs": "--location"}.get(table)
        if flag and not re.fullmatch(r"[a-z]+-[a-z]+[0-9]+", str(flags.get(flag))):
            raise Refused(f"{flag} is wanted")

    def policy(self, command, name, flags):
        key = self.resource(command, name, flags)
        bindings = self.state["policies"].get(key, [])
        if command.endswith("get-iam-policy"):
            rows = []
            for role, who, condition in bindings:
                row = {"role": role, "members": [who]}
                if condition:
                    expression = condition.partition("expression=")[2].partition(",title=")[0]
                    row["condition"] = {"expression": expression, "title": condition.rpartition("title=")[2]}
                rows.append(row)
            return {"bindings": rows, "etag": "x"} if rows else {"etag": "x"}
        role, who, condition = flags["--role"], flags["--member"], flags.get("--condition")
        if role not in ROLES:
            raise Refused(f"INVALID_ARGUMENT: role {role}")
        kind, _, account = who.partition(":")
        if who != "allUsers" and (kind != "serviceAccount" or account not in self.state["accounts"]):
            if "remove" not in command:
                raise Refused(f"INVALID_ARGUMENT: Service account {account} does not exist.")
        if condition is None and command.startswith("projects") and any(row[2] for row in bindings):
            raise Refused("Adding a binding without specifying a condition to a policy containing conditions is"
                          " prohibited in non-interactive mode. Run the command again with `--condition=None`")
        row = [role, who, None if condition in (None, "None") else condition]
        if "remove" in command:
            if row not in bindings:
                raise Refused(f"Policy binding with the specified principal, role, and condition not found: {row}")
            bindings.remove(row)
        elif row not in bindings:
            self.state["policies"][key] = [*bindings, row]
        return {"bindings": []}

    # -- Firestore

    def firestore_databases_list(self, words, flags, stdin):
        return list(self.state["databases"].values())

    def database(self, flags):
        return self.need("databases", flags.get("--database", "(default)"), "database")

    def firestore_databases_create(self, words, flags, stdin):
        name = flags.get("--database", "(default)")
        self.new("databases", name, {
            "name": f"projects/{flags['--project']}/databases/{name}", "locationId": flags["--location"],
            "type": flags["--type"].upper().replace("-", "_"),
            "deleteProtectionState": "DELETE_PROTECTION_" + ("ENABLED" if flags.get("--delete-protection") else "DISABLED"),
            "pointInTimeRecoveryEnablement":
                "POINT_IN_TIME_RECOVERY_" + ("ENABLED" if flags.get("--enable-pitr") else "DISABLED"),
        })

    def firestore_databases_update(self, words, flags, stdin):
        found = self.database(flags)
        for flag, key, prefix in (("delete-protection", "deleteProtectionState", "DELETE_PROTECTION_"),
                                  ("enable-pitr", "pointInTimeRecoveryEnablement", "POINT_IN_TIME_RECOVERY_")):
            if flags.get("--" + flag):
                found[key] = prefix + "ENABLED"
            if flags.get("--no-" + flag):
                found[key] = prefix + "DISABLED"

    def firestore_databases_delete(self, words, flags, stdin):
        if self.database(flags)["deleteProtectionState"].endswith("ENABLED"):
            raise Refused("FAILED_PRECONDITION: the database is protected")
        del self.state["databases"][flags.get("--database", "(default)")]

    def firestore_indexes_composite_list(self, words, flags, stdin):
        base = self.database(flags)["name"] + "/"
        return [row for row in self.state["indexes"].values() if row["name"].startswith(base)]

    def firestore_indexes_composite_create(self, words, flags, stdin):
        self.database(flags)
        fields = []
        for config in flags["--field-config"]:
            parts = dict(part.split("=", 1) for part in config.split(","))
            path = parts.pop("field-path", None)
            kinds = {"order": ("ascending", "descending"), "array-config": ("contains",)}
            (kind, value), *more = parts.items() or [(None, None)]
            if not path or more or value not in kinds.get(kind, ()):
                raise Refused(f"argument --field-config: {config}")
            field = {"order": "order", "array-config": "arrayConfig"}[kind]
            fields.append({"fieldPath": path, field: value.upper()})
        key = json.dumps([flags["--database"], flags["--collection-group"], fields])
        fields.append({"fieldPath": "__name__", "order": fields[-1]["order"]})
        self.new("indexes", key, {
            "name": f"{self.database(flags)['name']}/collectionGroups/{flags['--collection-group']}/indexes/{self.number()}",
            "queryScope": flags["--query-scope"].upper().replace("-", "_"), "fields": fields, "state": "CREATING",
        })

    def firestore_indexes_fields_list(self, words, flags, stdin):
        base = self.database(flags)["name"]
        rows = [{"name": f"{base}/collectionGroups/__default__/fields/*",
                 "indexConfig": {"indexes": [{"queryScope": "COLLECTION"}]}},
                # A field that has only a time to live.
                {"name": f"{base}/collectionGroups/jobs/fields/params", "ttlConfig": {"state": "ACTIVE"}}]
        return rows + [{"name": name, "indexConfig": {}} for name in self.state["fields"] if name.startswith(base + "/")]

    def firestore_indexes_fields_update(self, words, flags, stdin):
        base = self.database(flags)["name"]
        if flags.get("--disable-indexes") is not True:
            raise Refused("exactly one of --clear-exemption, --disable-indexes, --index")
        self.state["fields"][f"{base}/collectionGroups/{flags['--collection-group']}/fields/{words[0]}"] = True

    # -- storage

    def storage_buckets_list(self, words, flags, stdin):
        if flags.get("--raw") is not True:
            raise Refused("the stand-in answers as with --raw only")
        return list(self.state["buckets"].values())

    def bucket(self, url):
        if not url.startswith("gs://") or "/" in url[5:]:
            raise Refused(f"not a bucket: {url}")
        return url[5:]

    def storage_buckets_create(self, words, flags, stdin):
        name = self.bucket(words[0])
        if name == "taken":
            raise Refused("HTTPError 409: The requested bucket name is not available. 409 already exists")
        value = {"name": name, "location": flags["--location"].upper(), "iamConfiguration": {}}
        self.new("buckets", name, value)
        self.settings_of(value, flags, "7d")

    def settings_of(self, value, flags, soft=None):
        if flags.get("--uniform-bucket-level-access"):
            value["iamConfiguration"]["uniformBucketLevelAccess"] = {"enabled": True}
        if flags.get("--public-access-prevention"):
            value["iamConfiguration"]["publicAccessPrevention"] = "enforced"
        soft = flags.get("--soft-delete-duration", "0" if flags.get("--clear-soft-delete") else soft)
        if soft is not None:
            if not re.fullmatch(r"0|\d+d", soft):
                raise Refused(f"a duration: {soft}")
            value["softDeletePolicy"] = {"retentionDurationSeconds": str(int(soft.rstrip("d")) * 86400)}
        if "--lifecycle-file" in flags:
            with open(flags["--lifecycle-file"], encoding="utf-8") as text:
                value["lifecycle"] = json.load(text)

    def storage_buckets_update(self, words, flags, stdin):
        self.settings_of(self.need("buckets", self.bucket(words[0])), flags)

    def storage_rm(self, words, flags, stdin):
        if flags.get("--recursive") is not True:
            raise Refused("a bucket is removed with --recursive only")
        self.need("buckets", self.bucket(words[0]))
        del self.state["buckets"][words[0][5:]]

    # -- queue, secrets

    def tasks_queues_list(self, words, flags, stdin):
        self.where(flags, "queues")
        return list(self.state["queues"].values())

    def queue_of(self, name, flags):
        return {
            "name": f"projects/{flags['--project']}/locations/{flags['--location']}/queues/{name}",
            "rateLimits": {"maxDispatchesPerSecond": float(flags["--max-dispatches-per-second"]),
                           "maxConcurrentDispatches": int(flags["--max-concurrent-dispatches"]), "maxBurstSize": 10},
            "retryConfig": {"maxAttempts": int(flags["--max-attempts"]), "minBackoff": flags["--min-backoff"],
                            "maxBackoff": flags["--max-backoff"], "maxDoublings": int(flags["--max-doublings"])},
            "state": "RUNNING",
        }

    def tasks_queues_create(self, words, flags, stdin):
        self.where(flags, "queues")
        self.new("queues", words[0], self.queue_of(words[0], flags))

    def tasks_queues_update(self, words, flags, stdin):
        self.where(flags, "queues")
        self.need("queues", words[0]).update(self.queue_of(words[0], flags))

    def tasks_queues_delete(self, words, flags, stdin):
        self.where(flags, "queues")
        self.need("queues", words[0])
        del self.state["queues"][words[0]]

    def secrets_list(self, words, flags, stdin):
        return [{"name": f"projects/1/secrets/{name}"} for name in self.state["secrets"]]

    def secrets_create(self, words, flags, stdin):
        if flags.get("--replication-policy") != "automatic":
            raise Refused("--replication-policy")
        self.new("secrets", words[0], [])

    def secrets_delete(self, words, flags, stdin):
        self.need("secrets", words[0])
        del self.state["secrets"][words[0]]

    def secrets_versions_list(self, words, flags, stdin):
        return [
            {"name": f"projects/1/secrets/{words[0]}/versions/{number}", "state": state}
            for number, state in enumerate(self.need("secrets", words[0]), 1)
        ]

    def secrets_versions_add(self, words, flags, stdin):
        if flags.get("--data-file") != "-" or not stdin:
            raise Refused("a secret's value comes from standard input")
        self.need("secrets", words[0]).append("ENABLED")
        self.values.append(stdin)

    # -- image, service

    def artifacts_repositories_list(self, words, flags, stdin):
        self.where(flags, "repositories")
        return [{"name": f"projects/p/locations/l/repositories/{name}"} for name in self.state["repositories"]]

    def artifacts_repositories_create(self, words, flags, stdin):
        self.where(flags, "repositories")
        if flags.get("--repository-format") != "docker":
            raise Refused("--repository-format")
        self.new("repositories", words[0], {"immutable": flags.get("--immutable-tags", False)})

    def artifacts_repositories_delete(self, words, flags, stdin):
        self.where(flags, "repositories")
        self.need("repositories", words[0])
        del self.state["repositories"][words[0]]
        self.state["tags"] = [tag for tag in self.state["tags"] if f"/{words[0]}/" not in tag]

    def artifacts_docker_tags_list(self, words, flags, stdin):
        host, project, name = words[0].split("/")
        if not host.endswith("-docker.pkg.dev") or project != flags["--project"]:
            raise Refused(f"not a repository: {words[0]}")
        self.need("repositories", name)
        return [
            {"image": tag.rpartition(":")[0], "tag": "projects/p/packages/x/tags/" + tag.rpartition(":")[2],
             "version": "projects/p/packages/x/versions/sha256:0"}
            for tag in self.state["tags"] if tag.startswith(words[0] + "/")
        ]

    def builds_submit(self, words, flags, stdin):
        with open(flags["--config"], encoding="utf-8") as text:
            json.load(text)
        for needed in (os.path.join(words[0], "Dockerfile"), flags["--ignore-file"]):
            if not os.path.exists(needed):
                raise Refused(f"there is no {needed}")
        given = dict(part.split("=", 1) for part in flags["--substitutions"].split(","))
        account = flags["--service-account"].rpartition("/")[2]
        repository = given["_IMAGE"].split("/")[2]
        staging = flags["--gcs-source-staging-dir"][5:].split("/")[0]
        for key, role in ((f"repositories/{repository}", "roles/artifactregistry.writer"),
                          (f"buckets/{staging}", "roles/storage.objectViewer"),
                          (f"projects/{flags['--project']}", "roles/logging.logWriter")):
            self.allowed(key, role, account)
        self.need("repositories", repository)
        self.need("buckets", staging)
        self.state["tags"].append(given["_IMAGE"])

    def allowed(self, key, role, account):
        rows = self.state["policies"].get(key, [])
        if not any(row[:2] == [role, f"serviceAccount:{account}"] for row in rows):
            raise Refused(f"PERMISSION_DENIED: {account} lacks {role} on {key}")

    def run_services_list(self, words, flags, stdin):
        self.where(flags, "services")
        return list(self.state["services"].values())

    def run_services_replace(self, words, flags, stdin):
        self.where(flags, "services")
        with open(words[0], encoding="utf-8") as text:
            service = json.load(text)
        spec = service["spec"]["template"]["spec"]
        if spec["serviceAccountName"] not in self.state["accounts"]:
            raise Refused(f"Service account {spec['serviceAccountName']} does not exist")
        for container in spec["containers"]:
            image = container["image"]
            if f"-docker.pkg.dev/{flags['--project']}/" in image and image not in self.state["tags"]:
                raise Refused(f"Image '{image}' not found.")
            for variable in container.get("env", []):
                ref = variable.get("valueFrom", {}).get("secretKeyRef")
                if not ref:
                    if not isinstance(variable["value"], str):
                        raise Refused(f"Expected string for {variable['name']}")
                    continue
                if len(self.need("secrets", ref["name"])) < int(ref["key"]):
                    raise Refused(f"NOT_FOUND: version {ref['key']} of {ref['name']}")
                self.allowed(f"secrets/{ref['name']}", "roles/secretmanager.secretAccessor", spec["serviceAccountName"])
            if container["name"] == "filmlab":
                self.start(container, spec["serviceAccountName"], flags["--project"])
        if any(not isinstance(value, str) for value in service["spec"]["template"]["metadata"]["annotations"].values()):
            raise Refused("Expected string in annotations")
        name = service["metadata"]["name"]
        revision = f"{name}-{int(self.number()):05d}-abc"
        for row in service["spec"]["traffic"]:
            row.setdefault("percent", 0)
        # What Cloud Run adds by itself.
        service["metadata"]["annotations"]["run.googleapis.com/urls"] = json.dumps([
            f"https://{name}-{self.state['projects'][flags['--project']]}.{flags['--region']}.run.app",
            f"https://{name}-abcdef-ew.a.run.app",
        ])
        service["metadata"]["annotations"]["serving.knative.dev/creator"] = "somebody@example.com"
        service["metadata"]["generation"] = 1
        notes = service["spec"]["template"]["metadata"]["annotations"]
        if notes.get("autoscaling.knative.dev/minScale") == "0":
            del notes["autoscaling.knative.dev/minScale"]
        for container in spec["containers"]:
            for probe in ("startupProbe", "livenessProbe"):
                if probe in container:
                    container[probe]["successThreshold"] = 1
        service["status"] = {"url": f"https://{name}-abcdef-ew.a.run.app", "latestReadyRevisionName": revision}
        self.state["services"][name] = service

    def start(self, container, account, project):
        """What the worker's /readyz would find: a revision that is not ready is no revision."""
        env = {row["name"]: row.get("value") for row in container["env"]}
        if env["FILMLAB_STORAGE__BUCKET"] not in self.state["buckets"]:
            raise Refused("the revision is not ready: bucket")
        self.allowed(f"buckets/{env['FILMLAB_STORAGE__BUCKET']}", "roles/storage.objectUser", account)
        self.need("databases", env["FILMLAB_LEDGER__DATABASE"], "database")
        self.allowed(f"projects/{project}", "roles/datastore.user", account)
        self.need("queues", env["FILMLAB_QUEUE__NAME"])
        self.allowed(f"queues/{env['FILMLAB_QUEUE__NAME']}", "roles/cloudtasks.enqueuer", account)
        self.allowed(f"accounts/{env['FILMLAB_SERVER__SERVICE_ACCOUNT']}", "roles/iam.serviceAccountUser", account)
        self.allowed(f"accounts/{account}", "roles/iam.serviceAccountTokenCreator", account)
        public = ["roles/run.invoker", "allUsers", None] in self.state["policies"].get(f"services/filmlab", [])
        if env["FILMLAB_SERVER__TASKS_AUTH"] == "iam" and public:
            raise Refused("the stand-in sees a service that trusts a check which is not made")

    def run_services_delete(self, words, flags, stdin):
        self.where(flags, "services")
        self.need("services", words[0])
        del self.state["services"][words[0]]
        self.state["policies"].pop(f"services/{words[0]}", None)

    # -- scheduler, monitoring

    def scheduler_jobs_list(self, words, flags, stdin):
        self.where(flags, "jobs")
        return list(self.state["jobs"].values())

    def scheduler_job(self, name, flags):
        email = flags["--oidc-service-account-email"]
        if email not in self.state["accounts"]:
            raise Refused(f"NOT_FOUND: service account {email} does not exist")
        return {
            "name": f"projects/p/locations/l/jobs/{name}", "schedule": flags["--schedule"],
            "timeZone": flags["--time-zone"], "attemptDeadline": flags["--attempt-deadline"], "state": "ENABLED",
            "httpTarget": {"uri": flags["--uri"], "httpMethod": flags["--http-method"].upper(),
                           "oidcToken": {"serviceAccountEmail": email, "audience": flags["--oidc-token-audience"]}},
        }

    def scheduler_jobs_create_http(self, words, flags, stdin):
        self.where(flags, "jobs")
        self.new("jobs", words[0], self.scheduler_job(words[0], flags))

    def scheduler_jobs_update_http(self, words, flags, stdin):
        self.where(flags, "jobs")
        self.need("jobs", words[0]).update(self.scheduler_job(words[0], flags))

    def scheduler_jobs_delete(self, words, flags, stdin):
        self.where(flags, "jobs")
        self.need("jobs", words[0])
        del self.state["jobs"][words[0]]

    def file(self, flags, flag):
        with open(flags[flag], encoding="utf-8") as text:
            return json.load(text)

    def alpha_monitoring_policies_list(self, words, flags, stdin):
        return list(self.state["alerts"].values())

    def alert(self, name, flags):
        policy = self.file(flags, "--policy-from-file")
        for channel in policy["notificationChannels"]:
            self.need("channels", channel)
        for label, value in policy["userLabels"].items():
            if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", label) or not re.fullmatch(r"[a-z0-9_-]{0,63}", value):
                raise Refused(f"INVALID_ARGUMENT: label {label}={value}")
        return {**policy, "name": name, "enabled": True}

    def alpha_monitoring_policies_create(self, words, flags, stdin):
        name = f"projects/{flags['--project']}/alertPolicies/{self.number()}"
        self.new("alerts", name, self.alert(name, flags))

    def alpha_monitoring_policies_update(self, words, flags, stdin):
        self.need("alerts", words[0])
        self.state["alerts"][words[0]] = self.alert(words[0], flags)

    def alpha_monitoring_policies_delete(self, words, flags, stdin):
        self.need("alerts", words[0])
        del self.state["alerts"][words[0]]

    def beta_monitoring_channels_list(self, words, flags, stdin):
        return list(self.state["channels"].values())

    def beta_monitoring_channels_create(self, words, flags, stdin):
        name = f"projects/{flags['--project']}/notificationChannels/{self.number()}"
        key, value = flags["--channel-labels"].split("=", 1)
        self.new("channels", name, {"name": name, "type": flags["--type"], "labels": {key: value},
                                    "displayName": flags["--display-name"]})

    def beta_monitoring_channels_delete(self, words, flags, stdin):
        self.need("channels", words[0])
        if any(words[0] in row["notificationChannels"] for row in self.state["alerts"].values()):
            raise Refused("FAILED_PRECONDITION: the channel is used by a policy")
        del self.state["channels"][words[0]]

    def monitoring_dashboards_list(self, words, flags, stdin):
        return list(self.state["boards"].values())

    def monitoring_dashboards_create(self, words, flags, stdin):
        board = self.file(flags, "--config-from-file")
        if "etag" in board:
            raise Refused("INVALID_ARGUMENT: etag")
        name = self.number()
        self.new("boards", name, {**board, "name": f"projects/1/dashboards/{name}", "etag": self.number()})

    def monitoring_dashboards_update(self, words, flags, stdin):
        board = self.file(flags, "--config-from-file")
        found = self.need("boards", words[0])
        if board.get("etag") != found["etag"]:
            raise Refused("ABORTED: etag")
        self.state["boards"][words[0]] = {**board, "name": found["name"], "etag": self.number()}

    def monitoring_dashboards_delete(self, words, flags, stdin):
        self.need("boards", words[0])
        del self.state["boards"][words[0]]

    # -- Firebase Rules, which has no commands

    def rules(self, method, path, headers, body):
        """Status and answer."""
        if headers.get("Authorization") != "Bearer token-of-the-stand-in":
            return 401, {"error": {"status": "UNAUTHENTICATED"}}
        project = path.split("/")[3]
        if project not in self.state["projects"] or headers.get("X-Goog-User-Project") != project:
            return 403, {"error": {"status": "PERMISSION_DENIED"}}
        if "firebaserules.googleapis.com" not in self.state["enabled"]:
            return 403, {"error": {"status": "PERMISSION_DENIED", "message": "SERVICE_DISABLED"}}
        name = path[len("/v1/"):]
        look = method == "GET"
        self.calls.append(("look" if look else "change", [method, path]))
        try:
            if look:
                if name in self.state["releases"]:
                    return 200, {"name": name, "rulesetName": self.state["releases"][name]}
                found = next((row for row in self.state["rulesets"] if row["name"] == name), None)
                return (200, found) if found else (404, {"error": {"status": "NOT_FOUND"}})
            self.change_begins()
            if method == "POST" and name == f"projects/{project}/rulesets":
                made = {"name": f"projects/{project}/rulesets/{self.number()}", "source": body["source"]}
                self.state["rulesets"].append(made)
                answer = made
            else:
                release = body if method == "POST" else body["release"]
                known = release["name"] in self.state["releases"]
                if known == (method == "POST"):
                    raise Refused("ALREADY_EXISTS" if known else "NOT_FOUND")
                if method == "PATCH" and name != release["name"]:
                    raise Refused("INVALID_ARGUMENT: name")
                if not any(row["name"] == release["rulesetName"] for row in self.state["rulesets"]):
                    raise Refused("NOT_FOUND: ruleset")
                self.state["releases"][release["name"]] = release["rulesetName"]
                answer = release
            self.change_ends()
            return 200, answer
        except Refused as refused:
            return 409, {"error": {"message": str(refused)}}

    def copy(self):
        return Cloud(copy.deepcopy(self.state))


def serve_rules(current):
    """A server for Firebase Rules on loopback; `current` answers which cloud is asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        # Headers and body are two writes: the second would wait 40 ms for the first to be taken.
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def answer(self):
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            status, value = current().rules(self.command, self.path, self.headers, body)
            text = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = answer

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, "http://127.0.0.1:%d" % server.server_address[1]


def main():
    """As a program: the state and the calls are kept in the file that STAND_IN names."""
    file = os.environ["STAND_IN"]
    cloud = Cloud(fresh())
    if os.path.exists(file):
        with open(file, encoding="utf-8") as text:
            kept = json.load(text)
        cloud.state, cloud.calls, cloud.values = kept["state"], kept["calls"], kept["values"]
    stdin = sys.stdin.read() if "--data-file=-" in sys.argv else ""
    status, answer, said = cloud(sys.argv[1:], stdin)
    with open(file, "w", encoding="utf-8") as text:
        json.dump({"state": cloud.state, "calls": cloud.calls, "values": cloud.values}, text)
    sys.stdout.write(answer if isinstance(answer, str) else json.dumps(answer))
    sys.stderr.write(said)
    return status


if __name__ == "__main__":
    sys.exit(main())
