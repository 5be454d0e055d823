"""Secrets: made once, given new versions from standard input, and never shown."""

import base64
import getpass
import secrets as random
import sys
from dataclasses import dataclass

from access import Target, grant, member
from gcloud import Stop, last


@dataclass(frozen=True)
class Key:
    """`make`: how the first value comes about; None where a person has to give it."""

    name: str
    variable: str
    about: str
    make: object = None


def wanted(settings):
    service = settings["SERVICE"]
    keys = [
        Key(f"{service}-provider-key", "WAVESPEED_API_KEY", "the provider's API key"),
        # Signs links to files and the addresses that the provider calls back.
        Key(f"{service}-link-key", "FILMLAB_LINKS__KEY", "signs links and callbacks", lambda: random.token_hex(32)),
    ]
    if settings.on("JOBS_API") or settings.on("METRICS"):
        # The collector beside the worker reads /metrics with it.
        about = "opens /metrics" + (" and the jobs API" if settings.on("JOBS_API") else "")
        keys.append(Key(f"{service}-api-token", "FILMLAB_SERVER__API_TOKEN", about, lambda: random.token_hex(32)))
    if settings.worker.get("FILMLAB_NOTIFY__WEBHOOK_URL"):
        # As Standard Webhooks writes a key.
        keys.append(Key(f"{service}-webhook-secret", "FILMLAB_NOTIFY__WEBHOOK_SECRET", "signs notices",
                        lambda: "whsec_" + base64.b64encode(random.token_bytes(32)).decode()))
    return keys


def secrets(cloud, settings, enabled, ask):
    """Makes what is missing; answers (variable, secret, version) of each for the service.

    The service names the number of a version, not `latest`: then a new value comes by a new
    revision, on all instances at once, and a roll-back goes back to the value before.
    """
    there = set()
    if "secretmanager.googleapis.com" in enabled:
        there = {last(row["name"]) for row in cloud.look("secrets", "list")}
    used = []
    worker = member(settings.account("worker"))
    for key in wanted(settings):
        if key.name not in there:
            cloud.change(f"secret {key.name}: {key.about}", "secrets", "create", key.name,
                         "--replication-policy=automatic")
        grant(cloud, target(key.name, key.name in there),
              [("roles/secretmanager.secretAccessor", worker, None, "reads it")])
        versions = cloud.look("secrets", "versions", "list", key.name) if key.name in there else []
        newest = max((int(last(row["name"])) for row in versions if row.get("state") == "ENABLED"), default=None)
        if newest is None:
            # Numbers go on where they were, also over versions that were destroyed.
            newest = 1 + max((int(last(row["name"])) for row in versions), default=0)
            value = (key.make() if key.make else ask(key)) if cloud.apply else None
            add(cloud, key.name, value, "a value made by chance" if key.make else "the value you give")
        used.append((key.variable, key.name, str(newest)))
    return used


def target(name, there):
    return Target(
        f"secret {name}",
        ("secrets", "get-iam-policy", name),
        ("secrets", "add-iam-policy-binding", name),
        there,
    )


def add(cloud, name, value, shown):
    cloud.change(f"a version of the secret {name}", "secrets", "versions", "add", name, "--data-file=-",
                 stdin=value, shown_stdin=f"({shown})")


def from_person(key):
    """Asks without showing what is typed; without a terminal a value cannot be asked for."""
    if not sys.stdin.isatty():
        raise Stop(
            f"the secret {key.name} ({key.about}) has no value yet",
            "run this in a terminal, where it is asked for, or give it before: "
            f"printf %s VALUE | scripts/deploy/gcloud.sh secret SETTINGS {key.name}",
        )
    return checked(getpass.getpass(f"    {key.about} ({key.name}): "))


def checked(value):
    value = value.strip("\r\n")
    if not value or any(letter.isspace() or ord(letter) < 33 for letter in value):
        raise Stop("a secret's value must not be empty, or have blanks or line breaks in it", "give it again")
    return value


def give(cloud, settings, name):
    """A new version of one secret, from standard input."""
    keys = {key.name: key for key in wanted(settings)}
    if name not in keys:
        raise Stop(f"“{name}” is none of this installation's secrets: {', '.join(keys)}")
    if sys.stdin.isatty():
        value = from_person(keys[name])
    else:
        value = checked(sys.stdin.read(65536))
    enabled = {row["config"]["name"] for row in cloud.look("services", "list", "--enabled")}
    if "secretmanager.googleapis.com" not in enabled:
        cloud.change("enable secrets", "services", "enable", "secretmanager.googleapis.com")
        cloud.young = True
        there = set()
    else:
        there = {last(row["name"]) for row in cloud.look("secrets", "list")}
    if name not in there:
        cloud.change(f"secret {name}", "secrets", "create", name, "--replication-policy=automatic")
    add(cloud, name, value, "the value you give")
    cloud.say("The service takes it with its next revision: run apply.")
