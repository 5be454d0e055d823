"""Which commands and flags gcloud has: an extract of its own table, for the stand-in.

    python3 scripts/deploy/test/flags.py        writes flags.json anew from the gcloud installed here
"""

import json
import os
import shutil
import sys

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "flags.json")
POLICY = ("get-iam-policy", "add-iam-policy-binding", "remove-iam-policy-binding")

# Each command that the script may use, and how many words come after it.
COMMANDS = {
    "version": 0,
    "auth print-access-token": 0,
    "services list": 0,
    "services enable": 99,
    "projects describe": 1,
    **{f"projects {name}": 1 for name in POLICY},
    "iam service-accounts list": 0,
    "iam service-accounts create": 1,
    "iam service-accounts delete": 1,
    **{f"iam service-accounts {name}": 1 for name in POLICY},
    "firestore databases list": 0,
    "firestore databases create": 0,
    "firestore databases update": 0,
    "firestore databases delete": 0,
    "firestore indexes composite list": 0,
    "firestore indexes composite create": 0,
    "firestore indexes fields list": 0,
    "firestore indexes fields update": 1,
    "storage buckets list": 0,
    "storage buckets create": 1,
    "storage buckets update": 1,
    **{f"storage buckets {name}": 1 for name in POLICY},
    "storage rm": 1,
    "tasks queues list": 0,
    "tasks queues create": 1,
    "tasks queues update": 1,
    "tasks queues delete": 1,
    **{f"tasks queues {name}": 1 for name in POLICY},
    "secrets list": 0,
    "secrets create": 1,
    "secrets delete": 1,
    "secrets versions list": 1,
    "secrets versions add": 1,
    **{f"secrets {name}": 1 for name in POLICY},
    "artifacts repositories list": 0,
    "artifacts repositories create": 1,
    "artifacts repositories delete": 1,
    **{f"artifacts repositories {name}": 1 for name in POLICY},
    "artifacts docker tags list": 1,
    "builds submit": 1,
    "run services list": 0,
    "run services replace": 1,
    "run services delete": 1,
    **{f"run services {name}": 1 for name in POLICY},
    "run services update-traffic": 1,
    "scheduler jobs list": 0,
    "scheduler jobs create http": 1,
    "scheduler jobs update http": 1,
    "scheduler jobs delete": 1,
    "scheduler jobs resume": 1,
    "tasks queues resume": 1,
    "alpha monitoring policies list": 0,
    "alpha monitoring policies create": 0,
    "alpha monitoring policies update": 1,
    "alpha monitoring policies delete": 1,
    "beta monitoring channels list": 0,
    "beta monitoring channels create": 0,
    "beta monitoring channels delete": 1,
    "monitoring dashboards list": 0,
    "monitoring dashboards create": 0,
    "monitoring dashboards update": 1,
    "monitoring dashboards delete": 1,
    # Not used by the script, but told in docs/deploy.md.
    "auth configure-docker": 1,
    "auth login": 0,
    "components install": 99,
    "run services describe": 1,
    "run services logs read": 1,
    "run revisions list": 0,
    "secrets versions access": 1,
    "secrets versions disable": 1,
    "tasks create-http-task": 1,
    "storage cp": 2,
    "scheduler jobs run": 1,
}


def installed():
    """gcloud's table of all its commands (data/cli/gcloud_completions.py), or None."""
    program = shutil.which("gcloud")
    if not program:
        return None
    root = os.path.dirname(os.path.dirname(os.path.realpath(program)))
    folder = os.path.join(root, "data", "cli")
    if not os.path.exists(os.path.join(folder, "gcloud_completions.py")):
        return None
    sys.path.insert(0, folder)
    try:
        import gcloud_completions
    finally:
        sys.path.remove(folder)
    return gcloud_completions.STATIC_COMPLETION_CLI_TREE


def extract(tree):
    """Of each command: its flags, and of each flag whether it takes a value."""
    table = {}
    for command in COMMANDS:
        node = tree
        for word in command.split():
            node = node["commands"][word]
        table[command] = {
            flag: kind if isinstance(kind, list) else "bool" if kind == "bool" else "value"
            for flag, kind in sorted(node.get("flags", {}).items())
        }
    return table


if __name__ == "__main__":
    tree = installed()
    if tree is None:
        sys.exit("there is no gcloud here")
    with open(FILE, "w", encoding="utf-8") as file:
        json.dump(extract(tree), file, indent=0, sort_keys=True)
        file.write("\n")
