"""The Cloud Run service: one document that says all of it, compared with what runs."""

import json
import os

from access import Target, grant, member
from gcloud import Stop
from image import HERE
from watch import load

PORT = 8080
# Google's build of the OpenTelemetry Collector. The simpler sidecar for Managed Prometheus cannot
# send a token, and /metrics of a worker that others can reach asks for one.
# https://cloud.google.com/stackdriver/docs/instrumentation/opentelemetry-collector-cloud-run
COLLECTOR = (
    "us-docker.pkg.dev/cloud-ops-agents-artifacts/google-cloud-opentelemetry-collector/otelcol-google:0.160.0"
)

COLLECTOR_CONFIG = os.path.join(HERE, "collector.json")

SCALE = "autoscaling.knative.dev/"
RUN = "run.googleapis.com/"


def public_url(settings, number):
    """Cloud Run's address of a service can be told before it is there.
    https://cloud.google.com/run/docs/triggering/https-request#deterministic"""
    return settings["PUBLIC_URL"] or f"https://{settings['SERVICE']}-{number}.{settings['REGION']}.run.app"


def environment(settings, url):
    """The worker's settings. All of them are names of src/config; a test holds that."""
    env = {
        "GOOGLE_CLOUD_PROJECT": settings["PROJECT"],
        "FILMLAB_LEDGER__BACKEND": "firestore",
        "FILMLAB_LEDGER__DATABASE": settings["FIRESTORE_DATABASE"],
        "FILMLAB_STORAGE__BACKEND": "gcs",
        "FILMLAB_STORAGE__BUCKET": settings["BUCKET"],
        "FILMLAB_QUEUE__BACKEND": "cloud_tasks",
        "FILMLAB_QUEUE__LOCATION": settings["REGION"],
        "FILMLAB_QUEUE__NAME": settings["QUEUE"],
        "FILMLAB_SERVER__PUBLIC_URL": url,
        "FILMLAB_SERVER__TASKS_AUTH": settings["TASKS_AUTH"],
        "FILMLAB_SERVER__SERVICE_ACCOUNT": settings.account("tasks"),
        "FILMLAB_SERVER__JOBS_API": "true" if settings.on("JOBS_API") else "false",
        "FILMLAB_CREDITS__MODE": settings["CREDITS"],
        "FILMLAB_WORKER__CONCURRENCY": settings["VISITS"],
        "FILMLAB_WORKER__FETCHES": settings["FETCHES"],
        "FILMLAB_WORKER__NOTICES": settings["NOTICES"],
    }
    if settings["TASKS_AUTH"] == "iam":
        # The provider cannot come in.
        env["FILMLAB_PROVIDER__CALLBACKS"] = "false"
    if settings["FCM_PROJECT"]:
        env["FILMLAB_NOTIFY__FCM_PROJECT"] = settings["FCM_PROJECT"]
    return {**env, **settings.worker}


def wanted(settings, image, keys, url):
    env = [{"name": name, "value": value} for name, value in sorted(environment(settings, url).items())]
    env += [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": version}}}
        for variable, secret, version in sorted(keys)
    ]
    annotations = {
        SCALE + "minScale": settings["MIN_INSTANCES"],
        SCALE + "maxScale": settings["MAX_INSTANCES"],
        # A machine of its own: quicker processors and network than gVisor, and all system calls.
        RUN + "execution-environment": "gen2",
        RUN + "cpu-throttling": "true" if settings["CPU_BILLING"] == "request" else "false",
        RUN + "startup-cpu-boost": "true",
    }
    worker = {
        "name": "filmlab",
        "image": image,
        "ports": [{"name": "http1", "containerPort": PORT}],
        "env": env,
        "resources": {"limits": {"cpu": settings["CPU"], "memory": settings["MEMORY"]}},
        # Ready means that ledger and bucket can be written to, and that the queue's API answers: a
        # revision that lacks a role gets no requests, and the roll-out fails instead of the jobs.
        "startupProbe": {"httpGet": {"path": "/readyz", "port": PORT},
                         "periodSeconds": 10, "timeoutSeconds": 8, "failureThreshold": 12},
        # Only whether the process lives: an outage of Google's is no reason to restart it.
        "livenessProbe": {"httpGet": {"path": "/livez", "port": PORT},
                          "periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 4},
    }
    containers = [worker]
    if settings.on("METRICS"):
        annotations[RUN + "container-dependencies"] = json.dumps({"collector": ["filmlab"]})
        token = next(row for row in keys if row[0] == "FILMLAB_SERVER__API_TOKEN")
        containers.append({
            "name": "collector",
            "image": COLLECTOR,
            "args": ["--config=env:COLLECTOR_CONFIG"],
            "env": [
                {"name": "COLLECTOR_CONFIG", "value": json.dumps(load(COLLECTOR_CONFIG, settings))},
                {"name": "METRICS_TOKEN", "valueFrom": {"secretKeyRef": {"name": token[1], "key": token[2]}}},
            ],
            "resources": {"limits": {"cpu": "1", "memory": "512Mi"}},
        })
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": settings["SERVICE"],
            "annotations": {RUN + "ingress": "all"},
        },
        "spec": {
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {
                    "serviceAccountName": settings.account("worker"),
                    "containerConcurrency": settings.concurrency,
                    "timeoutSeconds": settings.number("REQUEST_TIMEOUT"),
                    "containers": containers,
                },
            },
            "traffic": [{"latestRevision": True, "percent": 100}],
        },
    }


def flat(service):
    """What is compared, by a name a person understands. What Google adds by itself is left out."""
    template = service["spec"]["template"]
    spec = template["spec"]
    notes = template.get("metadata", {}).get("annotations", {})
    facts = {
        "ingress": service["metadata"].get("annotations", {}).get(RUN + "ingress", "all"),
        "account": spec.get("serviceAccountName"),
        "concurrency": spec.get("containerConcurrency"),
        "timeout": spec.get("timeoutSeconds"),
        "min instances": notes.get(SCALE + "minScale", "0"),
        "max instances": notes.get(SCALE + "maxScale"),
        "execution environment": notes.get(RUN + "execution-environment"),
        "cpu only during requests": notes.get(RUN + "cpu-throttling", "true"),
        "cpu boost": notes.get(RUN + "startup-cpu-boost", "false"),
        "order of containers": json.loads(notes.get(RUN + "container-dependencies", "{}")),
    }
    for number, container in enumerate(spec.get("containers", [])):
        # A service that was made by hand has one container, without a name.
        name = container.get("name") or ("filmlab" if number == 0 else str(number))
        facts[f"{name}: image"] = container.get("image")
        limits = container.get("resources", {}).get("limits", {})
        if container.get("args"):
            facts[f"{name}: arguments"] = container["args"]
        cpu = limits.get("cpu", "")
        facts[f"{name}: cpu"] = str(int(cpu[:-1]) // 1000) if cpu.endswith("000m") else cpu
        facts[f"{name}: memory"] = limits.get("memory")
        for port in container.get("ports", []):
            facts[f"{name}: port"] = port.get("containerPort")
        for probe in ("startupProbe", "livenessProbe"):
            found = container.get(probe, {})
            if "httpGet" in found:
                facts[f"{name}: {probe}"] = "{} every {} s, {} s each, {} times".format(
                    found["httpGet"].get("path"), found.get("periodSeconds"), found.get("timeoutSeconds"),
                    found.get("failureThreshold"))
        for variable in container.get("env", []):
            ref = variable.get("valueFrom", {}).get("secretKeyRef")
            facts[f"{name}: {variable['name']}"] = (
                f"secret {ref['name']} version {ref['key']}" if ref else variable.get("value", ""))
    return facts


def differences(found, wanted):
    found, wanted = flat(found), flat(wanted)
    return [
        (key, found.get(key), wanted.get(key))
        for key in sorted({*found, *wanted})
        if found.get(key) != wanted.get(key)
    ]


def target(settings, there):
    name, where = settings["SERVICE"], f"--region={settings['REGION']}"
    return Target(
        f"service {name}",
        ("run", "services", "get-iam-policy", name, where),
        ("run", "services", "add-iam-policy-binding", name, where),
        there,
    )


EVERYBODY = ("roles/run.invoker", "allUsers", None)


def find(cloud, settings, enabled):
    if "run.googleapis.com" not in enabled:
        return None
    rows = cloud.look("run", "services", "list", f"--region={settings['REGION']}")
    return next((row for row in rows if row["metadata"]["name"] == settings["SERVICE"]), None)


def service(cloud, settings, enabled, number, image, keys, files):
    url = public_url(settings, number)
    document = wanted(settings, image, keys, url)
    found = find(cloud, settings, enabled)
    name, where = settings["SERVICE"], f"--region={settings['REGION']}"
    door = target(settings, found is not None)
    if settings["TASKS_AUTH"] == "iam" and EVERYBODY in door.policy(cloud):
        # Before the worker begins to trust the platform's check, there has to be one.
        cloud.change(f"close the service {name} to the public", "run", "services", "remove-iam-policy-binding",
                     name, where, "--member=allUsers", "--role=roles/run.invoker")
    if found is not None:
        # Who sends requests to a revision of his choice has a reason: a roll-back, a trial.
        document["spec"]["traffic"] = found["spec"].get("traffic") or document["spec"]["traffic"]
    file = files.write("service.json", document)
    changed = None if found is None else differences(found, document)
    if found is None or changed:
        for key, before, after in changed or []:
            cloud.say(f"    {key}: {shown(before)} → {shown(after)}")
        cloud.change(f"service {name}" if found is None else f"a revision of the service {name}",
                     "run", "services", "replace", file, where)
        pinned = [row for row in document["spec"]["traffic"] if not row.get("latestRevision") and row.get("percent")]
        if pinned:
            cloud.say(f"    note: requests go to {', '.join(str(row.get('revisionName')) for row in pinned)}, as you"
                      f" have said. To send them to the new revision: gcloud run services update-traffic {name}"
                      f" --to-latest {where} --project={settings['PROJECT']}")
    if settings["TASKS_AUTH"] == "iam":
        row = ("roles/run.invoker", member(settings.account("tasks")), None, "brings tasks")
    else:
        row = (*EVERYBODY, "the provider's callbacks; tasks are checked by the service")
    grant(cloud, door, [row])
    if cloud.apply:
        right_address(cloud, settings, url)
    return url


def shown(value):
    return "–" if value is None else value


def right_address(cloud, settings, url):
    """Whether the address that the worker was told is one of the service's own."""
    if settings["PUBLIC_URL"]:
        return
    found = find(cloud, settings, {"run.googleapis.com"})
    notes = (found or {}).get("metadata", {}).get("annotations", {})
    addresses = json.loads(notes.get(RUN + "urls", "[]")) or [(found or {}).get("status", {}).get("url")]
    if url not in addresses:
        raise Stop(f"the service is not at {url} but at {', '.join(str(address) for address in addresses)}",
                   "set PUBLIC_URL in the settings to this address, and run this again")
