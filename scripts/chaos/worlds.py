"""The two deployments, with real processes, and what can be done to them."""

import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.parse

import stand_ins
from proxy import Proxy

TOKEN = "chaos-token-of-all"
OWNERS = {"u1": "chaos-token-of-u1", "u2": "chaos-token-of-u2", "u3": "chaos-token-of-u3"}
GRANT = 100_000_000
# A dead worker's jobs come back after this, and a stalled one has to last longer.
LEASE = 6

SETTINGS = """
[server]
listen = "{listen}"
api_tokens = [{tokens}]
task_token = "{token}"
jobs_api = true
allow_loopback = true
{server}
[data]
dir = "{data}"
[provider]
base_url = "{provider}"
api_key = "sandbox"
poll_min = "300ms"
poll_max = "1s"
busy_pause = "500ms"
submit_timeout = "4s"
[provider.models.character_replace]
usual_base_s = 0.0
usual_per_second_s = 0.0
[worker]
lease = "{lease}s"
heartbeat = "{heartbeat}s"
# With one resubmission each as many payments as a job may note.
attempts = 4
backoff_min = "200ms"
backoff_max = "1s"
media_slots = 2
sweep_every = "2s"
[credits]
mode = "hold"
[notify]
attempts = 60
backoff_min = "200ms"
backoff_max = "2s"
[watermark]
image = "{logo}"
[log]
filter = "filmlab=info"
format = "text"
{more}
"""


def call(address, method, path, body=None, token=TOKEN, headers=(), timeout=60):
    """One request; (status, body). OSError where there is no answer."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request(method, path, body,
                           {"Authorization": f"Bearer {token}", **dict(headers)})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as place:
        return "127.0.0.1:%d" % place.getsockname()[1]


class Worker:
    def __init__(self, number, binary, folder):
        self.number, self.binary = number, binary
        self.address = free_address()
        self.config = folder / f"worker-{number}.toml"
        self.log = folder / f"worker-{number}.log"
        self.environment = {}
        self.process = None
        self.stalled = False
        self.retired = False

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "--config", str(self.config), "serve"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.environment})

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def end(self, how=signal.SIGKILL):
        if self.alive:
            self.process.send_signal(how)
            if self.stalled:
                self.process.send_signal(signal.SIGCONT)
            self.process.wait()

    def ready(self, patience=60):
        for _ in range(patience * 20):
            if not self.alive:
                return False
            with contextlib.suppress(OSError):
                if call(self.address, "GET", "/livez", timeout=5)[0] == 200:
                    return True
            time.sleep(0.05)
        return False


def start_sandbox(binary, folder, *flags):
    """The process, and the address of its API."""
    log = folder / "sandbox.log"
    with open(log, "ab") as out:
        process = subprocess.Popen(
            [binary, "sandbox", "--listen", "127.0.0.1:0", "--copy", "--min-time", "0.5", *flags],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    for _ in range(600):
        found = re.search(r"API: http://([0-9.:]+)", log.read_text())
        if found:
            return process, found.group(1)
        time.sleep(0.1)
    process.kill()
    raise SystemExit(f"the sandbox did not start: {log.read_text()}")


class World:
    """What both deployments have: a sandbox, workers, callers."""

    name = ""
    # Each gives a context in which it lasts.
    outages = {}
    skipped = ()

    def __init__(self, folder, binaries, sandbox_binary, files, faults, seed):
        self.folder, self.files = folder, files
        self.random = random.Random(seed)
        folder.mkdir(parents=True)
        (folder / "faults.json").write_text(json.dumps(faults))
        self.started = []
        self.provider = self.start_sandbox(sandbox_binary, seed)
        self.workers = [Worker(at, binary, folder) for at, binary in enumerate(binaries)]

    def start_sandbox(self, binary, seed):
        process, address = start_sandbox(
            binary, self.folder, "--max-running", "64", "--seed", str(seed),
            "--faults-file", str(self.folder / "faults.json"))
        self.started.append(process)
        return address

    def settings(self, worker, **own):
        tokens = ", ".join(f'{{ token = "{token}", owner = "{owner}" }}'
                           for owner, token in OWNERS.items())
        given = {"listen": worker.address, "tokens": f'{tokens}, {{ token = "{TOKEN}" }}',
                 "token": TOKEN, "provider": f"http://{self.provider}", "lease": LEASE,
                 "heartbeat": LEASE // 3, "logo": self.files["logo"],
                 "data": self.folder / "data", "server": "", "more": ""}
        worker.config.write_text(SETTINGS.format(**(given | own)))

    def start(self):
        for worker in self.workers:
            worker.start()
            if not worker.ready():
                raise SystemExit(f"worker {worker.number} did not start: "
                                 f"{worker.log.read_text()[-2000:]}")
        for owner in OWNERS:
            self.grant(owner)

    def grant(self, owner):
        worker = self.workers[0]
        subprocess.run([worker.binary, "--config", worker.config, "credits", "grant", owner,
                        str(GRANT), "--id", "chaos"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, **worker.environment})

    def api(self, method, path, body=None, owner=None, headers=(), patience=180):
        """As a patient client: asks again until somebody answers for good."""
        until = time.monotonic() + patience
        token = OWNERS.get(owner, TOKEN)
        text = json.dumps(body) if isinstance(body, dict) else body
        headers = list(headers) + [("Content-Type", "application/json")] * isinstance(body, dict)
        last = None
        while time.monotonic() < until:
            try:
                last = call(self.entry(), method, path, text, token, headers, timeout=30)
                if last[0] < 500 and last[0] not in (408, 429):
                    return last
            except OSError as error:
                last = (0, str(error).encode())
            time.sleep(self.random.uniform(0.05, 0.5))
        return last

    def upload(self, owner, file):
        name = urllib.parse.quote(pathlib.Path(file).name)
        data = pathlib.Path(file).read_bytes()
        status, answer = self.api("PUT", f"/v1/sources?name={name}", data, owner)
        if status != 201:
            raise SystemExit(f"the upload failed: {status} {answer}")
        return json.loads(answer)["source"]

    def submissions(self):
        return json.loads(call(self.provider, "GET", "/sandbox/submissions")[1])

    def stop(self):
        for worker in self.workers:
            worker.end()
        for process in self.started:
            process.kill()
            process.wait()

    def tick(self):
        """What a deployment does by itself, from time to time."""


class Plain(World):
    """Two processes on one SQLite file and one folder."""

    name = "sqlite"

    def __init__(self, folder, binaries, *rest):
        super().__init__(folder, binaries, *rest)
        self.data = folder / "data"
        self.data.mkdir()
        self.outages = {"ledger": self.locked}
        # Room for the run, and little enough to fill.
        if mount("tmpfs", self.data, "size=512m"):
            self.outages["disk"] = self.full
            (self.data / "objects").mkdir()
            if mount("bind", self.data / "objects"):
                self.outages["store"] = self.read_only
        else:
            self.skipped = ("disk and store: nothing can be mounted here",)
        for worker in self.workers:
            self.settings(worker)

    def entry(self):
        alive = [worker for worker in self.workers if worker.alive and not worker.stalled]
        return self.random.choice(alive or self.workers).address

    def open(self, mode="ro"):
        file = self.data / "filmlab.sqlite"
        return sqlite3.connect(f"file:{file}?mode={mode}", uri=True, timeout=5,
                               isolation_level=None)

    def watched(self):
        """(job, status, stage) now."""
        with contextlib.closing(self.open()) as file:
            return file.execute("SELECT id, status, json_extract(doc, '$.stage') FROM jobs "
                                "WHERE json_valid(doc)").fetchall()

    def books(self):
        with contextlib.closing(self.open()) as file:
            jobs = {name: json.loads(doc)
                    for name, doc in file.execute("SELECT id, doc FROM jobs")}
            entries = [dict(zip(("owner", "id", "kind", "amount"), row)) for row in file.execute(
                "SELECT owner, id, kind, amount FROM credit_entries")]
            accounts = {owner: (credits, held) for owner, credits, held in file.execute(
                "SELECT owner, credits, credits_held FROM accounts")}
            notices = [json.loads(doc) for (doc,) in file.execute("SELECT doc FROM outbox")]
            whole = file.execute("PRAGMA integrity_check").fetchone()[0]
        assert whole == "ok", whole
        return {"jobs": jobs, "entries": entries, "accounts": accounts, "notices": notices}

    def objects(self):
        root = self.data / "objects"
        return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]

    @contextlib.contextmanager
    def locked(self):
        """Somebody else holds the write lock."""
        other = self.open("rw")
        other.execute("PRAGMA busy_timeout = 10000")
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()

    @contextlib.contextmanager
    def full(self):
        ballast = self.data / "ballast"
        try:
            with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
                while True:
                    # The last bytes one by one would take long: a page is full enough.
                    file.write(bytes(1 << 20))
            yield
        finally:
            ballast.unlink(missing_ok=True)

    @contextlib.contextmanager
    def read_only(self):
        objects = self.data / "objects"
        # It cannot be had while a file is open for writing: a moment later it can.
        for _ in range(200):
            if mount("remount", objects, "remount,bind,ro"):
                break
            time.sleep(0.02)
        try:
            yield
        finally:
            if not mount("remount", objects, "remount,bind,rw"):
                raise SystemExit("the objects stay read-only")

    def stop(self):
        super().stop()
        # What is in the mount is gone with it: a failed run is looked at afterwards.
        kept = self.folder / "kept"
        shutil.copytree(self.data, kept, dirs_exist_ok=True)
        # Innermost first. A folder with a mount in it cannot be removed.
        if "store" in self.outages:
            mount("undo", self.data / "objects")
        if "disk" in self.outages:
            mount("undo", self.data)


def mount(kind, place, options=None):
    """Whether it could be done: in a name space of our own (see __main__)."""
    command = {"tmpfs": ["mount", "-t", "tmpfs", "-o", options, "none", place],
               "bind": ["mount", "--bind", place, place],
               "remount": ["mount", "-o", options, place],
               "undo": ["umount", place]}[kind]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Cloud(World):
    """Three workers, Firestore's emulator, a bucket and a task queue."""

    name = "firestore"

    def __init__(self, folder, binaries, *rest, emulator):
        super().__init__(folder, binaries, *rest)
        self.emulator = emulator
        self.project = f"chaos-{random.getrandbits(48):012x}"
        self.identity = stand_ins.serve(stand_ins.Identity)
        self.bucket = stand_ins.Bucket()
        self.tasks = stand_ins.CloudTasks()
        self.to_ledger, self.to_store = Proxy([emulator]), Proxy([self.bucket.address])
        self.to_tasks = Proxy([self.tasks.address])
        self.front = Proxy([worker.address for worker in self.workers])
        self.outages = {"ledger": lambda: out(self.to_ledger, "refuse"),
                        "ledger hangs": lambda: out(self.to_ledger, "stall"),
                        "store": lambda: out(self.to_store, "refuse"),
                        "store hangs": lambda: out(self.to_store, "stall"),
                        "queue": lambda: out(self.to_tasks, "refuse")}
        for worker in self.workers:
            worker.environment = {"FIRESTORE_EMULATOR_HOST": self.to_ledger.address}
            self.settings(worker, server=f'public_url = "http://{self.front.address}"', more=f"""
[cloud]
project = "demo"
metadata_url = "http://{self.identity}/"
[ledger]
backend = "firestore"
project = "{self.project}"
emulator = "{self.to_ledger.address}"
[storage]
backend = "gcs"
bucket = "{stand_ins.BUCKET}"
endpoint = "http://{self.to_store.address}/"
iam_endpoint = "http://{self.identity}/"
[queue]
backend = "cloud_tasks"
location = "here"
name = "jobs"
endpoint = "http://{self.to_tasks.address}/"
[links]
key = "0123456789abcdef"
""")
        self.swept = 0
        self.sweeping = threading.Thread()

    def entry(self):
        return self.front.address

    def tick(self):
        # As Cloud Scheduler does, if more often.
        if time.monotonic() - self.swept > 3 and not self.sweeping.is_alive():
            self.swept = time.monotonic()
            self.sweeping = threading.Thread(target=self.sweep, daemon=True)
            self.sweeping.start()

    def sweep(self):
        with contextlib.suppress(OSError):
            call(self.front.address, "POST", "/tasks/sweep", timeout=30)

    def rest(self, method, path, body=None):
        status, text = 0, b""
        root = f"/v1/projects/{self.project}/databases/(default)/documents"
        connection = http.client.HTTPConnection(self.emulator, timeout=60)
        try:
            connection.request(method, urllib.parse.quote(root, safe="/()") + path,
                               json.dumps(body) if body else None,
                               {"Authorization": "Bearer owner",
                                "Content-Type": "application/json"})
            answer = connection.getresponse()
            status, text = answer.status, answer.read()
        finally:
            connection.close()
        if status != 200:
            raise OSError(f"{status} {text[:200]}")
        return json.loads(text)

    def watched(self):
        query = {"structuredQuery": {
            "from": [{"collectionId": "jobs"}],
            "select": {"fields": [{"fieldPath": "status"}, {"fieldPath": "stage"}]}}}
        rows = []
        for row in self.rest("POST", ":runQuery", query):
            if "document" in row:
                fields = plain(row["document"].get("fields", {}))
                name = row["document"]["name"].rsplit("/", 1)[1]
                rows.append((name, fields.get("status"), fields.get("stage")))
        return rows

    def listed(self, collection):
        found, token = {}, ""
        while True:
            page = self.rest("GET", f"/{collection}?pageSize=300&pageToken={token}")
            for document in page.get("documents", []):
                name = urllib.parse.unquote(document["name"].rsplit("/", 1)[1])
                found[name] = plain(document.get("fields", {}))
            token = page.get("nextPageToken", "")
            if not token:
                return found

    def books(self):
        accounts, entries = {}, []
        for owner, user in self.listed("users").items():
            accounts[owner] = (user["credits"], user.get("credits_held", 0))
            for name, entry in self.listed(f"users/{owner}/credit_entries").items():
                entries.append({"owner": owner, "id": name, "kind": entry["kind"],
                                "amount": entry["amount"]})
        notices = self.listed("outbox")
        return {"jobs": self.listed("jobs"), "entries": entries, "accounts": accounts,
                "notices": [{"id": name, **notice} for name, notice in notices.items()]}

    def objects(self):
        with self.bucket.lock:
            return list(self.bucket.objects)


@contextlib.contextmanager
def out(proxy, mode):
    proxy.set(mode)
    try:
        yield
    finally:
        proxy.set("pass")


def plain(value):
    """Firestore's typed JSON as plain values."""
    def one(typed):
        (kind, inner), = typed.items()
        match kind:
            case "integerValue":
                return int(inner)
            case "mapValue":
                return plain(inner.get("fields", {}))
            case "arrayValue":
                return [one(item) for item in inner.get("values", [])]
            case _:
                return inner
    return {name: one(typed) for name, typed in value.items()}
