"""Firestore with its indexes and rules, the bucket with its life cycle, the queue."""

import json
import re
import urllib.error
import urllib.request
import os

from access import Target, grant, member
from gcloud import Stop, advice_for, last

RULES = os.environ.get("FILMLAB_DEPLOY_RULES_ENDPOINT", "https://firebaserules.googleapis.com")


# -- Firestore

def database(cloud, settings, enabled):
    """Answers whether the database was there."""
    name, location = settings["FIRESTORE_DATABASE"], settings["FIRESTORE_LOCATION"]
    found = None
    if "firestore.googleapis.com" in enabled:
        rows = cloud.look("firestore", "databases", "list")
        found = next((row for row in rows if last(row["name"]) == name), None)
    recovery = settings.on("POINT_IN_TIME_RECOVERY")
    if found is None:
        cloud.change(
            f"Firestore database {name} in {location}, protected against deletion",
            "firestore", "databases", "create", f"--database={name}", f"--location={location}",
            "--type=firestore-native", "--delete-protection",
            *(["--enable-pitr"] if recovery else []),
        )
        return False
    if found.get("type") != "FIRESTORE_NATIVE":
        raise Stop(f"the database {name} is of the type {found.get('type')}, and filmlab needs FIRESTORE_NATIVE",
                   "name another FIRESTORE_DATABASE in the settings")
    if found.get("locationId") != location:
        raise Stop(f"the database {name} is in {found.get('locationId')}; that cannot be changed",
                   f"set FIRESTORE_LOCATION={found.get('locationId')}, or name another FIRESTORE_DATABASE")
    if found.get("deleteProtectionState") != "DELETE_PROTECTION_ENABLED":
        cloud.change(f"protect the database {name} against deletion",
                     "firestore", "databases", "update", f"--database={name}", "--delete-protection")
    # Never switched off: the database may be an app's too, and somebody switched it on.
    if recovery and found.get("pointInTimeRecoveryEnablement") != "POINT_IN_TIME_RECOVERY_ENABLED":
        cloud.change(f"point-in-time recovery of the database {name}",
                     "firestore", "databases", "update", f"--database={name}", "--enable-pitr")
    return True


def indexes(cloud, settings, there, file):
    """What firestore.indexes.json says. Other indexes are left alone: they may be somebody's."""
    with open(file, encoding="utf-8") as text:
        wanted = json.load(text)
    which = f"--database={settings['FIRESTORE_DATABASE']}"
    found = set()
    exempt = set()
    if there:
        for row in cloud.look("firestore", "indexes", "composite", "list", which):
            fields = tuple(map(field_of, (f for f in row["fields"] if f["fieldPath"] != "__name__")))
            found.add((group_of(row["name"]), row["queryScope"], fields))
        for row in cloud.look("firestore", "indexes", "fields", "list", which):
            config = row.get("indexConfig")
            if config is not None and not config.get("indexes") and not config.get("usesAncestorConfig"):
                exempt.add((group_of(row["name"]), last(row["name"])))
    for index in wanted["indexes"]:
        fields = tuple(map(field_of, index["fields"]))
        if (index["collectionGroup"], index["queryScope"], fields) in found:
            continue
        cloud.change(
            f"index of {index['collectionGroup']} by {', '.join(path for path, _, _ in fields)}",
            "firestore", "indexes", "composite", "create", which,
            f"--collection-group={index['collectionGroup']}",
            f"--query-scope={index['queryScope'].lower().replace('_', '-')}",
            *(f"--field-config=field-path={path},{kind}={value.lower()}" for path, kind, value in fields),
            "--async",
        )
    for field in wanted["fieldOverrides"]:
        group, path = field["collectionGroup"], field["fieldPath"]
        if field["indexes"]:
            raise Stop(f"firestore.indexes.json has an override of {group}.{path} that this script cannot make")
        if (group, path) not in exempt:
            cloud.change(
                f"no index of {group}.{path}",
                "firestore", "indexes", "fields", "update", path, which,
                f"--collection-group={group}", "--disable-indexes", "--async",
            )


def field_of(field):
    """A field of an index: its path, and how it is ordered or that it is searched as a list."""
    if "arrayConfig" in field:
        return field["fieldPath"], "array-config", field["arrayConfig"]
    return field["fieldPath"], "order", field.get("order", "")


def group_of(name):
    return re.search(r"/collectionGroups/([^/]+)/", name).group(1)


# The name of our file in a set of rules: by it we know our own from an app's.
OURS = "filmlab.rules"


def rules(cloud, settings, enabled, there, file):
    """What firestore.rules says. gcloud has no command for it, so Google's API is called.

    A database has one set of rules. If it has an app's, ours would take the app's rights away, so
    they are left alone unless the settings say `replace`.
    """
    if settings["FIRESTORE_RULES"] == "off":
        return
    with open(file, encoding="utf-8") as text:
        wanted = text.read()
    project = settings["PROJECT"]
    release = "cloud.firestore"
    if settings["FIRESTORE_DATABASE"] != "(default)":
        release += f"/{settings['FIRESTORE_DATABASE']}"
    token = None
    found = None
    if there and "firebaserules.googleapis.com" in enabled:
        token = cloud.token()
        found = call(project, token, "GET", f"/v1/projects/{project}/releases/{release}", missing=None)
        if found is not None:
            ruleset = call(project, token, "GET", f"/v1/{found['rulesetName']}", missing={})
            files = ruleset.get("source", {}).get("files", [])
            if len(files) == 1 and files[0].get("content") == wanted:
                return
            if settings["FIRESTORE_RULES"] == "auto" and [row.get("name") for row in files] != [OURS]:
                cloud.say("    note: the database has rules of somebody else, which stay. Put those of firestore.rules"
                          " into them, and set FIRESTORE_RULES=off; or set it to replace")
                return
    cloud.said("rules of who may read what in Firestore (firestore.rules)",
               f"POST {RULES}/v1/projects/{project}/rulesets")
    cloud.said("put these rules into force",
               f"{'POST' if found is None else 'PATCH'} {RULES}/v1/projects/{project}/releases"
               + ("" if found is None else f"/{release}"))
    if not cloud.apply:
        return
    token = token or cloud.token()
    body = {"source": {"files": [{"name": OURS, "content": wanted}]}}
    made = call(project, token, "POST", f"/v1/projects/{project}/rulesets", body)
    body = {"name": f"projects/{project}/releases/{release}", "rulesetName": made["name"]}
    if found is None:
        call(project, token, "POST", f"/v1/projects/{project}/releases", body)
    else:
        call(project, token, "PATCH", f"/v1/projects/{project}/releases/{release}", {"release": body})


def call(project, token, method, path, body=None, **otherwise):
    request = urllib.request.Request(
        RULES + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            # Credentials of a person count on the project that they name.
            "X-Goog-User-Project": project,
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404 and "missing" in otherwise:
            return otherwise["missing"]
        text = error.read().decode(errors="replace").strip()
        raise Stop(f"{method} {RULES}{path} answered {error.code}:\n{text}", advice_for(text)) from None
    except (OSError, ValueError) as error:
        raise Stop(f"{method} {RULES}{path}: {error}", "see whether this machine reaches Google") from None


# -- the bucket

UNITS = {
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400, "w": 604800, "week": 604800, "weeks": 604800,
}
DAY = 86400
# Defaults of src/config/retention.rs, in seconds. A test holds them together.
RETENTION = {"results": 30 * DAY, "failed": 7 * DAY, "sources": 7 * DAY, "work": DAY}


def seconds(text):
    """A duration as the worker reads it: 30days, 1h 30min."""
    parts = re.findall(r"(\d+)\s*([a-z]+)", text)
    if not parts or re.sub(r"(\d+)\s*([a-z]+)\s*", "", text.strip()) or any(unit not in UNITS for _, unit in parts):
        raise Stop(f"“{text}” is not a duration such as 30days", "mend the setting")
    return sum(int(number) * UNITS[unit] for number, unit in parts)


def retention(settings):
    """How long each kind of file is kept by the worker: seconds, or None for ever."""
    kept = {}
    for kind, default in RETENTION.items():
        said = settings.worker.get(f"FILMLAB_RETENTION__{kind.upper()}")
        kept[kind] = default if said is None else None if said == "never" else seconds(said)
    return kept


def lifecycle(settings):
    """The bucket's own rules: the parts of broken uploads, and no more.

    The worker deletes files by [retention], and it knows which are still needed: what a failed round
    left under work/ is kept while the job may be tried again, and each retry begins that time anew.
    A rule by age knows none of that, so there is none.
    """
    # Not before the worker would let them go itself, in whole days, and one more.
    days = -(-retention(settings)["work"] // DAY) + 1
    return {"rule": [{"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": days}}]}


def breaks_retention(rules, kept):
    """The rules of a life cycle that delete what [retention] promises to keep."""
    folders = {"work/": ("work", "failed"), "results/": ("results", "work"), "sources/": ("sources",), "service/": ()}
    broken = []
    for rule in rules.get("rule", []):
        age = rule.get("condition", {}).get("age")
        if rule["action"]["type"] == "AbortIncompleteMultipartUpload":
            if age is None or age * DAY < kept["work"]:
                broken.append("uploads that are under way: retention.work")
            continue
        if rule["action"]["type"] != "Delete":
            continue
        prefixes = rule.get("condition", {}).get("matchesPrefix", [""])
        for folder, kinds in folders.items():
            if any(folder.startswith(prefix) or prefix.startswith(folder) for prefix in prefixes):
                # The time begins at the end of a round, and a retry begins it anew: no age of an
                # object is enough.
                broken.append(f"{folder}: " + (", ".join(f"retention.{kind}" for kind in kinds) or "the worker's own"))
    return broken


def bucket(cloud, settings, enabled, files):
    name = settings["BUCKET"]
    wanted = lifecycle(settings)
    file = files.write("lifecycle.json", wanted)
    soft = settings.number("SOFT_DELETE_DAYS")
    found = find_bucket(cloud, name, enabled)
    if found is None:
        cloud.change(
            f"bucket {name} in {settings['BUCKET_LOCATION']}, closed to the public",
            "storage", "buckets", "create", f"gs://{name}", f"--location={settings['BUCKET_LOCATION']}",
            "--uniform-bucket-level-access", "--public-access-prevention",
            f"--soft-delete-duration={soft}d" if soft else "--soft-delete-duration=0",
        )
    elif found.get("location", "").lower() != settings["BUCKET_LOCATION"]:
        raise Stop(f"the bucket {name} is in {found.get('location', '?').lower()}; that cannot be changed",
                   "set BUCKET_LOCATION to it, or name another BUCKET")
    else:
        access = found.get("iamConfiguration", {})
        if not access.get("uniformBucketLevelAccess", {}).get("enabled"):
            cloud.change(f"one rule of access for all of {name}",
                         "storage", "buckets", "update", f"gs://{name}", "--uniform-bucket-level-access")
        if access.get("publicAccessPrevention") != "enforced":
            cloud.change(f"close {name} to the public",
                         "storage", "buckets", "update", f"gs://{name}", "--public-access-prevention")
        days = int(found.get("softDeletePolicy", {}).get("retentionDurationSeconds", 0)) // DAY
        if days != soft:
            cloud.change(
                f"deleted files are kept for {soft} days (were {days})",
                "storage", "buckets", "update", f"gs://{name}",
                f"--soft-delete-duration={soft}d" if soft else "--clear-soft-delete",
            )
    before = (found or {}).get("lifecycle", {}).get("rule", [])
    if before != wanted["rule"]:
        for rule in before:
            cloud.say(f"    was: {json.dumps(rule)}")
        cloud.change(f"life cycle of {name}: parts of broken uploads go after {wanted['rule'][0]['condition']['age']} days",
                     "storage", "buckets", "update", f"gs://{name}", f"--lifecycle-file={file}")
    worker = member(settings.account("worker"))
    grant(cloud, bucket_target(name, found is not None),
          [("roles/storage.objectUser", worker, None, "inputs, work files, results")])


def find_bucket(cloud, name, enabled):
    if "storage.googleapis.com" not in enabled:
        return None
    rows = cloud.look("storage", "buckets", "list", "--raw")
    return next((row for row in rows if row["name"] == name), None)


def bucket_target(name, there):
    return Target(
        f"bucket {name}",
        ("storage", "buckets", "get-iam-policy", f"gs://{name}"),
        ("storage", "buckets", "add-iam-policy-binding", f"gs://{name}"),
        there,
    )


# -- the queue

def queue(cloud, settings, enabled):
    """Tasks are tried without end: after three attempts of a job it is filmlab that gives up, and
    tells the user. Cloud Tasks has no dead-letter queue; a task it gave up on would be a job
    forgotten. -1 is its word for that."""
    name, where = settings["QUEUE"], f"--location={settings['REGION']}"
    wanted = {
        ("rateLimits", "maxDispatchesPerSecond"): float(settings.number("DISPATCHES_PER_SECOND")),
        ("rateLimits", "maxConcurrentDispatches"): settings.number("DISPATCHES_AT_ONCE"),
        ("retryConfig", "maxAttempts"): -1,
        # 5 s is worker.backoff_min and 300 s worker.backoff_max; six doublings lead from one to the
        # other (5, 10, … 320).
        ("retryConfig", "minBackoff"): "5s",
        ("retryConfig", "maxBackoff"): "300s",
        ("retryConfig", "maxDoublings"): 6,
    }
    flags = [
        where,
        f"--max-dispatches-per-second={settings['DISPATCHES_PER_SECOND']}",
        f"--max-concurrent-dispatches={settings['DISPATCHES_AT_ONCE']}",
        "--max-attempts=-1", "--min-backoff=5s", "--max-backoff=300s", "--max-doublings=6",
    ]
    found = None
    if "cloudtasks.googleapis.com" in enabled:
        rows = cloud.look("tasks", "queues", "list", where)
        found = next((row for row in rows if last(row["name"]) == name), None)
    if found is None:
        cloud.change(f"queue {name} in {settings['REGION']}", "tasks", "queues", "create", name, *flags)
    else:
        other = [key for (part, key), value in wanted.items() if found.get(part, {}).get(key) != value]
        if other:
            cloud.change(f"queue {name}: {', '.join(other)}", "tasks", "queues", "update", name, *flags)
        if found.get("state") == "PAUSED":
            cloud.say(f"    note: the queue {name} is paused, so nothing moves: gcloud tasks queues resume {name}"
                      f" {where} --project={settings['PROJECT']}")
    target = Target(
        f"queue {name}",
        ("tasks", "queues", "get-iam-policy", name, where),
        ("tasks", "queues", "add-iam-policy-binding", name, where),
        found is not None,
    )
    worker = member(settings.account("worker"))
    grant(cloud, target, [("roles/cloudtasks.enqueuer", worker, None, "plans wake-ups")])
