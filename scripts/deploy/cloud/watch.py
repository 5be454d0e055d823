"""The sweep, the alerts and the dashboard."""

import glob
import hashlib
import json
import os
import re

from gcloud import last

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def sweep(cloud, settings, enabled, url):
    name, where = f"{settings['SERVICE']}-sweep", f"--location={settings['REGION']}"
    account = settings.account("tasks")
    wanted = {
        "schedule": settings["SWEEP_SCHEDULE"],
        "timeZone": "Etc/UTC",
        # A cleaning takes ten minutes at most.
        "attemptDeadline": "600s",
        "httpTarget.uri": f"{url}/tasks/sweep",
        "httpTarget.httpMethod": "POST",
        "httpTarget.oidcToken.serviceAccountEmail": account,
        "httpTarget.oidcToken.audience": url,
    }
    flags = [
        where, f"--schedule={settings['SWEEP_SCHEDULE']}", "--time-zone=Etc/UTC", "--attempt-deadline=600s",
        f"--uri={url}/tasks/sweep", "--http-method=post",
        f"--oidc-service-account-email={account}", f"--oidc-token-audience={url}",
    ]
    found = None
    if "cloudscheduler.googleapis.com" in enabled:
        rows = cloud.look("scheduler", "jobs", "list", where)
        found = next((row for row in rows if last(row["name"]) == name), None)
    if found is None:
        cloud.change(f"sweep {name}: {settings['SWEEP_SCHEDULE']}", "scheduler", "jobs", "create", "http", name, *flags)
        return
    other = [key for key, value in wanted.items() if deep(found, key) != value]
    if other:
        cloud.change(f"sweep {name}: {', '.join(other)}", "scheduler", "jobs", "update", "http", name, *flags)
    if found.get("state") == "PAUSED":
        cloud.say(f"    note: the sweep is paused: gcloud scheduler jobs resume {name} {where}"
                  f" --project={settings['PROJECT']}")


def deep(value, path):
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def filled(value, settings):
    """A file's text with the names of this installation put in."""
    if isinstance(value, str):
        return (value.replace("@SERVICE@", settings["SERVICE"]).replace("@PROJECT@", settings["PROJECT"])
                .replace("@QUEUE@", settings["QUEUE"]).replace("@BUCKET@", settings["BUCKET"]))
    if isinstance(value, list):
        return [filled(item, settings) for item in value]
    if isinstance(value, dict):
        return {key: filled(item, settings) for key, item in value.items()}
    return value


def load(path, settings):
    with open(path, encoding="utf-8") as text:
        return filled(json.load(text), settings)


def twice_an_hour(schedule):
    """Whether a cron schedule fires at least every half hour, as far as its plain forms go."""
    minute, *rest = schedule.split(" ")
    every = re.fullmatch(r"\*(?:/(\d+))?", minute)
    return rest == ["*"] * 4 and bool(every) and int(every[1] or 1) <= 30


def policies(settings):
    """(name, policy) of each file in alerts/. What reads filmlab's own numbers needs the collector; that
    there are none for an hour means something only if the sweep wakes the service more often."""
    for path in sorted(glob.glob(os.path.join(HERE, "alerts", "*.json"))):
        policy = load(path, settings)
        if "filmlab_" in json.dumps(policy["conditions"]) and not settings.on("METRICS"):
            continue
        name = os.path.basename(path)[: -len(".json")]
        if name == "silent" and not twice_an_hour(settings["SWEEP_SCHEDULE"]):
            continue
        yield name, policy


def channel(cloud, settings, enabled):
    """Where alerts go; answers the channels' names, or None where they cannot be known yet."""
    email = settings["ALERT_EMAIL"]
    if not email:
        return []
    rows = []
    if "monitoring.googleapis.com" in enabled:
        rows = cloud.look("beta", "monitoring", "channels", "list")
    def find(rows):
        return next((row["name"] for row in rows if row.get("type") == "email"
                     and row.get("labels", {}).get("email_address") == email), None)
    found = find(rows)
    if found is None:
        cloud.change(f"alerts go to {email}", "beta", "monitoring", "channels", "create",
                     f"--display-name=filmlab {settings['SERVICE']}", "--type=email",
                     f"--channel-labels=email_address={email}")
        if cloud.apply:
            found = find(cloud.look("beta", "monitoring", "channels", "list"))
    return [found] if found else None


def alerts(cloud, settings, enabled, files):
    """Each policy bears the sum of its file: it is replaced if the file or the settings have changed,
    and otherwise left as it is, with what somebody may have tuned in the console."""
    channels = channel(cloud, settings, enabled)
    rows = []
    if "monitoring.googleapis.com" in enabled:
        rows = cloud.look("alpha", "monitoring", "policies", "list")
    mine = {}
    for row in rows:
        labels = row.get("userLabels", {})
        if labels.get("filmlab_service") == settings["SERVICE"]:
            told = channels is not None and set(channels) <= set(row.get("notificationChannels", []))
            mine[labels.get("filmlab_alert")] = (row["name"], labels.get("filmlab_sum") if told else None)
    for name, policy in policies(settings):
        # By the address, not by the channel's name, which nobody knows before it is made.
        total = digest([policy, settings["ALERT_EMAIL"]])
        policy["notificationChannels"] = channels or []
        policy["userLabels"] = {
            "filmlab_service": settings["SERVICE"], "filmlab_alert": name, "filmlab_sum": total,
        }
        file = files.write(f"alert-{name}.json", policy)
        if name not in mine:
            cloud.change(f"alert: {policy['displayName']}", "alpha", "monitoring", "policies", "create",
                         f"--policy-from-file={file}")
        elif mine[name][1] != total:
            cloud.change(f"alert, anew: {policy['displayName']}", "alpha", "monitoring", "policies", "update",
                         mine[name][0], f"--policy-from-file={file}")
    wanted = {name for name, _ in policies(settings)}
    for name, (resource, _) in sorted(mine.items(), key=str):
        if name not in wanted:
            cloud.change(f"no alert {name} any more", "alpha", "monitoring", "policies", "delete", resource)


def dashboards(cloud, settings, enabled, files):
    board = load(os.path.join(HERE, "dashboard.json"), settings)
    if not settings.on("METRICS"):
        tiles = board["mosaicLayout"]["tiles"]
        board["mosaicLayout"]["tiles"] = [tile for tile in tiles if "filmlab_" not in json.dumps(tile)]
    total = digest(board)
    found = find_dashboard(cloud, settings, enabled)
    board["labels"] = {"filmlab_service": settings["SERVICE"], "filmlab_sum": total}
    if found is None:
        file = files.write("dashboard.json", board)
        cloud.change(f"dashboard: {board['displayName']}", "monitoring", "dashboards", "create",
                     f"--config-from-file={file}")
    elif found.get("labels", {}).get("filmlab_sum") != total:
        board["etag"] = found.get("etag")
        file = files.write("dashboard.json", board)
        cloud.change(f"dashboard, anew: {board['displayName']}", "monitoring", "dashboards", "update",
                     last(found["name"]), f"--config-from-file={file}")


def find_dashboard(cloud, settings, enabled):
    if "monitoring.googleapis.com" not in enabled:
        return None
    rows = cloud.look("monitoring", "dashboards", "list")
    return next((row for row in rows if row.get("labels", {}).get("filmlab_service") == settings["SERVICE"]), None)
