"""Runs gcloud itself, as it is installed here, with every command that the script uses.

    python3 -B scripts/deploy/test/real.py [WORDS]   a minute of processor time; not a part of `make lint`

With WORDS, only the commands that begin with them. A server on loopback takes the part of Google. A command must be taken by gcloud, and call what it should;
a look must print what the stand-in says it prints. Run it when flags.json is renewed.
"""

import http.server
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from urllib.parse import unquote

import stand_in
from support import main, run, with_settings

# Where the list stands in the answer of Google's API, by the command that asks for it.
LISTS = {
    "services list": "services", "iam service-accounts list": "accounts", "firestore databases list": "databases",
    "firestore indexes composite list": "indexes", "firestore indexes fields list": "fields",
    "storage buckets list": "items", "tasks queues list": "queues", "secrets list": "secrets",
    "secrets versions list": "versions", "artifacts repositories list": "repositories",
    "scheduler jobs list": "jobs", "alpha monitoring policies list": "alertPolicies",
    "beta monitoring channels list": "notificationChannels", "monitoring dashboards list": "dashboards",
}
APIS = ("serviceusage cloudresourcemanager iam firestore storage cloudtasks secretmanager artifactregistry"
        " cloudbuild cloudscheduler monitoring").split()
# Cloud Run has an address for each region, which cannot be turned to loopback: gcloud reads the command and
# finds no server.
NOWHERE = "127.0.0.1'"
# What gcloud adds to what Google answers.
ADDED = {"disabled", "kind"}


class Google(http.server.BaseHTTPRequestHandler):
    answer, asked = {}, []

    def log_message(self, *_):
        pass

    def act(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(self.path.split("?")[0])
        self.asked.append((self.command, path))
        value = self.answer
        if path.endswith(":getIamPolicy") or path.endswith("/iam"):
            value = {"version": 3, "etag": "BwXhqDVFhTE=", "bindings": self.answer.get("bindings", [])}
        elif path.endswith("/packages"):
            value = {"packages": [{"name": path.removeprefix("/v1/") + "/filmlab"}]}
        elif "/packages/" in path and path.endswith("/tags"):
            value = {"tags": [{"name": path.removeprefix("/v1/") + "/abcdef123456", "version": "v/sha256:0"}]}
        elif path.count("/") == 7 and "/repositories/" in path:
            value = {"name": path.removeprefix("/v1/"), "format": "DOCKER"}
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = act


def recorded():
    """Each command with each set of flags once: arguments, and what the stand-in answers to a look."""
    cloud = stand_in.Cloud()
    answers = {}

    def call(args, stdin):
        status, answer, said = cloud(args, stdin)
        command, _, flags = cloud.parse(args)
        key = (command, tuple(sorted(flags)))
        if status == 0 and (key not in answers or len(answer) > len(answers[key][1])):
            answers[key] = (list(args), answer)
        return status, answer, said

    call.rules = cloud.rules
    call.state = cloud.state
    first = with_settings(ALERT_EMAIL="a@b.cd", POINT_IN_TIME_RECOVERY="on")
    other = with_settings(TASKS_AUTH="iam", MEMORY="8Gi", SWEEP_SCHEDULE="1 * * * *", SOFT_DELETE_DAYS="0",
                          DISPATCHES_AT_ONCE="9", METRICS="off", ALERT_EMAIL="x@y.zz")
    for settings in (first, first, other, other):
        assert run(call, "apply", settings=settings).status == 0
    main.destroy.destroy.__defaults__ = (lambda prompt: "my-project",)
    ran = run(call, "destroy", "--with-bucket", "my-project-filmlab", "--with-database", "(default)", stdin="")
    assert ran.status == 0, ran.said
    return {key: value for key, value in answers.items() if key[0] not in ("version", "auth print-access-token")}


def same(found, wanted):
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(same(found.get(key), value) for key, value in wanted.items()) and not (
            set(found) - set(wanted) - ADDED)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return found == wanted


def fault(command, args, answer, env, token):
    look = command.split()[-1] in stand_in.LOOKS
    wanted = json.loads(answer) if look else {}
    Google.answer = {LISTS[command]: wanted} if command in LISTS else wanted
    Google.asked.clear()
    stdin = "a-value" if "--data-file=-" in args else ""
    done = subprocess.run(["gcloud", *args, f"--access-token-file={token}"], input=stdin, env=env,
                          capture_output=True, text=True)
    if done.returncode == 2 or "unrecognized" in done.stderr or "Invalid choice" in done.stderr:
        return done.stderr
    if command.startswith("run "):
        return None if Google.asked or NOWHERE in done.stderr else done.stderr
    if not Google.asked:
        return f"it asked nobody: {done.stderr}"
    if not look:
        methods = {method for method, _ in Google.asked} - {"GET"}
        policy = command.endswith("iam-policy-binding")
        return None if methods or policy else f"it only looked: {Google.asked}"
    if done.returncode:
        return done.stderr
    if command == "artifacts docker tags list":
        found = json.loads(done.stdout)
        return None if [sorted(row) for row in found] == [sorted(row) for row in wanted] else done.stdout
    found = json.loads(done.stdout)
    if command.endswith("get-iam-policy"):
        found, wanted = found.get("bindings", []), wanted.get("bindings", [])
    return None if same(found, wanted) else f"wanted {json.dumps(wanted)[:500]}\nfound  {json.dumps(found)[:500]}"


def check(only):
    if not shutil.which("gcloud"):
        print("there is no gcloud here", file=sys.stderr)
        return 69
    commands = {key: value for key, value in recorded().items() if key[0].startswith(only)}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Google)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        token = os.path.join(folder, "token")
        with open(token, "w", encoding="utf-8") as text:
            text.write("x")
        # A configuration of its own: nobody's account is used, and nothing outside is called.
        env = {**os.environ, "CLOUDSDK_CONFIG": folder, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
               "CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API": "false", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1"}
        address = f"http://127.0.0.1:{server.server_port}/"
        for api in [*APIS, "run"]:
            env[f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}"] = address + ("storage/v1/" if api == "storage" else "")
        for (command, _), (args, answer) in sorted(commands.items()):
            said = fault(command, args, answer, env, token)
            print("ok    " if said is None else "FAULT ", shlex.join(["gcloud", *args])[:150], flush=True)
            if said is not None:
                faults += 1
                print("        " + said.strip().replace("\n", "\n        "), flush=True)
    print(f"{len(commands)} commands, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(check(" ".join(sys.argv[1:])))
