"""The settings file: names, defaults, what is allowed, and why.

A line is NAME=value. The value is taken as it stands, without quotes; nothing in it is ever run.
"""

import re
from dataclasses import dataclass


class Faults(Exception):
    """All that is wrong with the settings, told at once."""

    def __init__(self, faults):
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Setting:
    name: str
    default: str
    pattern: str
    allowed: str

    @property
    def required(self):
        return self.default is None


SWITCH = r"on|off"
NUMBER = r"0|[1-9][0-9]{0,5}"
# What Google allows in the names of its resources; nothing that a shell or gcloud could misread.
PROJECT = r"[a-z][a-z0-9-]{4,28}[a-z0-9]"
REGION = r"[a-z]+-[a-z]+[0-9]{1,2}"

SETTINGS = [
    Setting("PROJECT", None, PROJECT, "a project's id: 6 to 30 of a–z, 0–9 and -"),
    Setting("REGION", None, REGION, "a region, such as europe-west1"),
    # The accounts are called SERVICE-worker and so on, and may have 30 characters.
    Setting("SERVICE", "filmlab", r"[a-z]([a-z0-9-]{0,21}[a-z0-9])?", "1 to 23 of a–z, 0–9 and -"),
    Setting(
        "BUCKET", "", r"(?!goog)(?!.*google)[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]",
        "3 to 63 of a–z, 0–9, - and _, without the word google",
    ),
    Setting("BUCKET_LOCATION", "", REGION + r"|us|eu|asia|nam4|eur4|asia1", "a region, or us, eu, asia"),
    Setting("SOFT_DELETE_DAYS", "7", r"0|[7-9]|[1-8][0-9]|90", "0, or 7 to 90"),
    Setting(
        "FIRESTORE_DATABASE", "(default)", r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]",
        "(default), or 4 to 63 of a–z, 0–9 and -",
    ),
    Setting("FIRESTORE_LOCATION", "", REGION + r"|nam5|nam7|eur3", "a region, or nam5, nam7, eur3"),
    Setting("FIRESTORE_RULES", "auto", r"auto|replace|off", "auto, replace or off"),
    Setting("POINT_IN_TIME_RECOVERY", "off", SWITCH, "on or off"),
    Setting("QUEUE", "", r"[A-Za-z]([A-Za-z0-9-]{0,98}[A-Za-z0-9])?", "1 to 100 of A–Z, a–z, 0–9 and -"),
    Setting("DISPATCHES_PER_SECOND", "50", NUMBER, "1 to 500"),
    Setting("DISPATCHES_AT_ONCE", "100", NUMBER, "1 to 5000"),
    Setting(
        "IMAGE", "", r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})",
        "an image with its registry and a tag or digest, such as europe-docker.pkg.dev/p/r/filmlab:1",
    ),
    Setting("BUILD", "cloud", r"cloud|push", "cloud or push"),
    Setting("CPU", "2", r"1|2|4|6|8", "1, 2, 4, 6 or 8"),
    Setting("MEMORY", "4Gi", r"[1-9][0-9]?Gi", "1Gi to 32Gi"),
    Setting("CPU_BILLING", "request", r"request|instance", "request or instance"),
    Setting("MIN_INSTANCES", "0", NUMBER, "0 to 1000"),
    Setting("MAX_INSTANCES", "20", NUMBER, "1 to 1000"),
    Setting("REQUEST_TIMEOUT", "1800", NUMBER, "1800 to 3600 seconds"),
    Setting("VISITS", "8", NUMBER, "1 or more"),
    Setting("FETCHES", "4", NUMBER, "1 or more"),
    Setting("NOTICES", "4", NUMBER, "1 or more"),
    Setting("TASKS_AUTH", "verify", r"verify|iam", "verify or iam"),
    Setting("JOBS_API", "off", SWITCH, "on or off"),
    Setting("CREDITS", "hold", r"hold|deduct_on_completion|off", "hold, deduct_on_completion or off"),
    Setting("PUBLIC_URL", "", r"https://[a-z0-9.-]+", "https:// and a host, without a path"),
    Setting("FCM_PROJECT", "", PROJECT, "a project's id"),
    Setting("SWEEP_SCHEDULE", "* * * * *", r"[0-9*,/-]+( [0-9*,/-]+){4}", "five fields of a cron schedule"),
    Setting("METRICS", "on", SWITCH, "on or off"),
    Setting("ALERT_EMAIL", "", r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", "an e-mail address"),
]
BY_NAME = {setting.name: setting for setting in SETTINGS}

# The worker's own settings, by the names of its environment, are given on as they are.
OWN = re.compile(r"FILMLAB_[A-Z][A-Z0-9]*__[A-Z0-9_]+")
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD")
# The script sets these itself, from the settings above.
TAKEN = {
    "FILMLAB_LEDGER__BACKEND": "", "FILMLAB_LEDGER__DATABASE": "FIRESTORE_DATABASE",
    "FILMLAB_STORAGE__BACKEND": "", "FILMLAB_STORAGE__BUCKET": "BUCKET",
    "FILMLAB_QUEUE__BACKEND": "", "FILMLAB_QUEUE__LOCATION": "REGION", "FILMLAB_QUEUE__NAME": "QUEUE",
    "FILMLAB_SERVER__PUBLIC_URL": "PUBLIC_URL", "FILMLAB_SERVER__TASKS_AUTH": "TASKS_AUTH",
    "FILMLAB_SERVER__SERVICE_ACCOUNT": "TASKS_AUTH", "FILMLAB_SERVER__JOBS_API": "JOBS_API",
    "FILMLAB_CREDITS__MODE": "CREDITS", "FILMLAB_NOTIFY__FCM_PROJECT": "FCM_PROJECT",
    "FILMLAB_WORKER__CONCURRENCY": "VISITS", "FILMLAB_WORKER__FETCHES": "FETCHES",
    "FILMLAB_WORKER__NOTICES": "NOTICES", "FILMLAB_PROVIDER__CALLBACKS": "TASKS_AUTH",
    "FILMLAB_CLOUD__PROJECT": "PROJECT",
}

# A task is brought again after this time (src/queue/cloud_tasks.rs), so a request may last as long.
DISPATCH_DEADLINE = 1800
# Cloud Run: more memory needs more processors, and more processors need memory.
# https://cloud.google.com/run/docs/configuring/services/memory-limits
CPUS_FOR_MEMORY = [(24, 8), (16, 6), (8, 4), (4, 2)]
MEMORY_FOR_CPUS = {1: 1, 2: 1, 4: 2, 6: 4, 8: 4}


@dataclass(frozen=True)
class Settings:
    values: dict
    worker: dict

    def __getitem__(self, name):
        return self.values[name]

    def number(self, name):
        return int(self.values[name])

    def on(self, name):
        return self.values[name] == "on"

    @property
    def concurrency(self):
        """Requests at once in an instance: as many as the worker has places of all kinds."""
        return sum(self.number(name) for name in ("VISITS", "FETCHES", "NOTICES"))

    def account(self, role):
        return f"{self['SERVICE']}-{role}@{self['PROJECT']}.iam.gserviceaccount.com"


def lines(text):
    """The file's lines: number, name, value; or number and what is wrong."""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            yield number, None, f"“{line}” is not NAME=value"
        else:
            yield number, name, value


def own(name, value):
    """What is wrong with a setting of the worker's, if anything is."""
    if name in TAKEN:
        instead = f"set {TAKEN[name]} instead" if TAKEN[name] else "remove the line"
        return f"is set by the script: {instead}"
    if SECRET.search(name):
        return "is a secret: it does not belong into this file, see `gcloud.sh secret`"
    if not OWN.fullmatch(name):
        return "is not a setting's name in the environment (FILMLAB_SECTION__KEY)"
    if any(ord(letter) < 32 for letter in value):
        return "must not hold control characters"
    return None


def read(text):
    faults, given, worker = [], {}, {}
    for number, name, value in lines(text):
        if name is None:
            faults.append(f"line {number}: {value}")
            continue
        if name in given or name in worker:
            faults.append(f"line {number}: {name} is given twice")
            continue
        if name.startswith("FILMLAB_"):
            fault = own(name, value)
            if fault:
                faults.append(f"line {number}: {name} {fault}")
            worker[name] = value
            continue
        setting = BY_NAME.get(name)
        given[name] = value
        if setting is None:
            faults.append(f"line {number}: {name} is not a setting")
        elif value == "" and not setting.required:
            pass
        elif not re.fullmatch(setting.pattern, value):
            faults.append(f"line {number}: {name} must be {setting.allowed}, found “{value}”")
    for setting in SETTINGS:
        if setting.required and setting.name not in given:
            faults.append(f"{setting.name} is required: {setting.allowed}")
    if faults:
        raise Faults(faults)
    values = {s.name: given.get(s.name) or s.default or "" for s in SETTINGS}
    values["BUCKET"] = values["BUCKET"] or f"{values['PROJECT']}-{values['SERVICE']}"
    values["QUEUE"] = values["QUEUE"] or values["SERVICE"]
    values["BUCKET_LOCATION"] = values["BUCKET_LOCATION"] or values["REGION"]
    values["FIRESTORE_LOCATION"] = values["FIRESTORE_LOCATION"] or values["REGION"]
    settings = Settings(values, worker)
    faults = together(settings)
    if faults:
        raise Faults(faults)
    return settings


def together(settings):
    """What is wrong with the settings as a whole."""
    faults = []

    def within(name, least, most):
        if not least <= settings.number(name) <= most:
            faults.append(f"{name} must be from {least} to {most}, found {settings[name]}")

    within("DISPATCHES_PER_SECOND", 1, 500)
    within("DISPATCHES_AT_ONCE", 1, 5000)
    within("MIN_INSTANCES", 0, 1000)
    within("MAX_INSTANCES", 1, 1000)
    within("REQUEST_TIMEOUT", DISPATCH_DEADLINE, 3600)
    for name in ("VISITS", "FETCHES", "NOTICES"):
        within(name, 1, 1000)
    if settings.number("MIN_INSTANCES") > settings.number("MAX_INSTANCES"):
        faults.append("MIN_INSTANCES must not be more than MAX_INSTANCES")
    if settings.concurrency > 1000:
        faults.append("VISITS, FETCHES and NOTICES must be 1000 together at most: Cloud Run takes no more")
    places = settings.number("MAX_INSTANCES") * settings.concurrency
    if settings.number("DISPATCHES_AT_ONCE") > places:
        faults.append(
            f"DISPATCHES_AT_ONCE must not be more than the {places} places that MAX_INSTANCES have"
            " together: the rest would only be refused"
        )
    cpus, memory = settings.number("CPU"), int(settings["MEMORY"][:-2])
    if memory > 32:
        faults.append(f"MEMORY must be from 1Gi to 32Gi, found {settings['MEMORY']}")
    need = next((cpus for above, cpus in CPUS_FOR_MEMORY if memory > above), 1)
    if cpus < need:
        faults.append(f"MEMORY={memory}Gi needs CPU={need} or more (Cloud Run)")
    if memory < MEMORY_FOR_CPUS[cpus]:
        faults.append(f"CPU={cpus} needs MEMORY={MEMORY_FOR_CPUS[cpus]}Gi or more (Cloud Run)")
    if settings["TASKS_AUTH"] == "iam" and settings.on("JOBS_API"):
        faults.append(
            "TASKS_AUTH=iam and JOBS_API=on do not go together: Cloud Run and the API both read"
            " the header Authorization"
        )
    return faults
