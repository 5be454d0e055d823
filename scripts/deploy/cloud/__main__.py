"""What scripts/deploy/gcloud.sh runs."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import access
import destroy
import image
import keys
import service
import settings as config
import stores
import watch
from gcloud import Gcloud, Stop, program

USAGE = """usage: gcloud.sh plan|apply FILE
       gcloud.sh secret FILE NAME <VALUE
       gcloud.sh destroy FILE [--with-bucket NAME] [--with-database NAME]"""


class Files:
    """Documents that gcloud reads. They stay, so that a printed command can be run by hand."""

    def __init__(self, settings):
        self.folder = os.path.join(image.ROOT, "target", "deploy", settings["PROJECT"], settings["SERVICE"])

    def write(self, name, value):
        os.makedirs(self.folder, exist_ok=True)
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=2, ensure_ascii=False)
            file.write("\n")
        return path


def deploy(cloud, settings):
    files = Files(settings)
    cloud.say("== project")
    found = cloud.look("projects", "describe", settings["PROJECT"])
    if found.get("lifecycleState") != "ACTIVE":
        raise Stop(f"the project {settings['PROJECT']} is {found.get('lifecycleState')}")
    number = found["projectNumber"]

    def part(title):
        before = cloud.changes
        cloud.say(f"== {title}")
        return lambda: cloud.changes == before and cloud.say("    nothing to change")

    done = part("services")
    enabled = access.services(cloud, settings)
    done()
    done = part("accounts and roles")
    there = access.accounts(cloud, settings, enabled)
    access.roles(cloud, settings, there)
    done()
    done = part("Firestore")
    root = image.ROOT
    had = stores.database(cloud, settings, enabled)
    stores.indexes(cloud, settings, had, os.path.join(root, "firestore.indexes.json"))
    stores.rules(cloud, settings, enabled, had, os.path.join(root, "firestore.rules"))
    done()
    done = part("bucket")
    stores.bucket(cloud, settings, enabled, files)
    done()
    done = part("queue")
    stores.queue(cloud, settings, enabled)
    done()
    done = part("secrets")
    used = keys.secrets(cloud, settings, enabled, keys.from_person)
    done()
    done = part("image")
    name = image.image(cloud, settings, enabled)
    done()
    done = part("service")
    url = service.service(cloud, settings, enabled, number, name, used, files)
    done()
    done = part("sweep")
    watch.sweep(cloud, settings, enabled, url)
    done()
    done = part("alerts and dashboard")
    watch.alerts(cloud, settings, enabled, files)
    watch.dashboards(cloud, settings, enabled, files)
    done()
    return url


def options(args):
    """--with-bucket NAME and --with-database NAME, in any order."""
    given = {"--with-bucket": None, "--with-database": None}
    while args:
        name, *args = args
        if name not in given or given[name] is not None or not args:
            return None
        given[name], *args = args
    return given["--with-bucket"], given["--with-database"]


def run(args, call=program):
    if len(args) < 2 or args[0] not in ("plan", "apply", "secret", "destroy"):
        print(USAGE, file=sys.stderr)
        return 64
    command, file, *rest = args
    named = options(rest) if command == "destroy" else None
    if (command in ("plan", "apply") and rest) or (command == "secret" and len(rest) != 1) or (
            command == "destroy" and named is None):
        print(USAGE, file=sys.stderr)
        return 64
    try:
        with open(file, encoding="utf-8") as text:
            settings = config.read(text.read())
            stores.retention(settings)
    except (OSError, UnicodeDecodeError) as error:
        print(f"gcloud.sh: {file}: {error}", file=sys.stderr)
        return 64
    except config.Faults as faults:
        for fault in faults.faults:
            print(f"gcloud.sh: {file}: {fault}", file=sys.stderr)
        return 64
    except Stop as stop:
        print(f"gcloud.sh: {file}: {stop}", file=sys.stderr)
        return 64
    cloud = Gcloud(settings["PROJECT"], apply=command != "plan", run=call)
    try:
        if command == "secret":
            keys.give(cloud, settings, rest[0])
        elif command == "destroy":
            destroy.destroy(cloud, settings, *named)
        else:
            needs_components(cloud)
            url = deploy(cloud, settings)
            said = f"{cloud.changes} changes" if cloud.changes != 1 else "1 change"
            if command == "plan":
                cloud.say(f"\n{said} to make. Nothing was changed." if cloud.changes else "\nNothing to change.")
            else:
                cloud.say(f"\n{said} made." if cloud.changes else "\nNothing to change.")
                cloud.say(f"The service is at {url}")
    except Stop as stop:
        print(f"\ngcloud.sh: stopped: {stop}", file=sys.stderr)
        if stop.advice:
            print(f"What to do: {stop.advice}.", file=sys.stderr)
        if command == "apply":
            print("What was done before stays. Run the same command again: it goes on from here.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ngcloud.sh: interrupted. Run the same command again: it goes on from here.", file=sys.stderr)
        return 1
    return 0


def needs_components(cloud):
    """Alerts need parts of gcloud that not every installation has."""
    there = cloud.version()
    missing = [name for name in ("alpha", "beta") if name not in there]
    if missing:
        raise Stop(f"the Google Cloud CLI lacks its commands {' and '.join(missing)}, which the alerts need",
                   f"run `gcloud components install {' '.join(missing)}`")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
