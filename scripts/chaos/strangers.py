"""What strangers and one owner's slow servers cost everybody else, on a real clock.

  python3 -B scripts/chaos/strangers.py FILMLAB CLIP CHARACTER

Starts the service with its usual limits, and the sandbox, on loopback and in a folder of its own.
Prints one line for each figure; exit code 1 if one is beyond its bound.
"""

import json
import pathlib
import re
import resource
import socket
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse

import stand_ins
from worlds import Worker, call, start_sandbox

TOKENS = {"alice": "strangers-token-of-alice", "bob": "strangers-token-of-bob"}
SETTINGS = """
[server]
listen = "{listen}"
api_tokens = [{tokens}]
allow_loopback = true
[data]
dir = "{folder}/data"
[provider]
base_url = "http://{provider}"
api_key = "sandbox"
poll_min = "300ms"
poll_max = "1s"
[provider.models.character_replace]
usual_base_s = 0.0
usual_per_second_s = 0.0
[log]
filter = "filmlab=warn"
"""
HALF_SENT, HALF_BODIES, IDLE, DRIPPING, HANGING = 300, 1500, 1100, 16, 200


class Silent(stand_ins.Handler):
    """A receiver of notices that never answers, and a source that gives a byte now and then."""

    def handle_call(self):
        if self.path.startswith("/hook"):
            self.body()
            self.hanging.append(self.path)
            time.sleep(300)
            self.close_connection = True
            return None
        self.dripping.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.send_header("Content-Type", "video/mp4")
        self.end_headers()
        try:
            for _ in range(3000):
                self.wfile.write(b"\0")
                self.wfile.flush()
                time.sleep(0.1)
        except OSError:
            pass
        self.close_connection = True
        return None


class Lab:
    def __init__(self, binary, clip, character, folder):
        self.binary, self.folder = binary, folder
        self.sandbox, provider = start_sandbox(binary, folder, "--max-running", "500")
        self.worker = Worker(0, binary, folder)
        tokens = ", ".join(f'{{ token = "{token}", owner = "{owner}" }}'
                           for owner, token in TOKENS.items())
        self.worker.config.write_text(SETTINGS.format(
            listen=self.worker.address, tokens=tokens, folder=folder, provider=provider))
        self.worker.start()
        if not self.worker.ready():
            sys.exit(self.worker.log.read_text())
        self.address = self.worker.address
        self.sources = {owner: {"video": self.upload(owner, clip),
                                "image": self.upload(owner, character)} for owner in TOKENS}

    def stop(self):
        self.worker.end()
        self.sandbox.kill()
        self.sandbox.wait()

    def ask(self, owner, method, path, body=None):
        headers = [("Content-Type", "application/json")] if isinstance(body, str) else []
        return call(self.address, method, path, body, TOKENS[owner], headers)

    def upload(self, owner, file):
        name = urllib.parse.quote(pathlib.Path(file).name)
        status, answer = self.ask(owner, "PUT", f"/v1/sources?name={name}",
                                  pathlib.Path(file).read_bytes())
        assert status == 201, answer
        return json.loads(answer)["source"]

    def create(self, owner, **more):
        body = {"kind": "character_replace", "source": self.sources[owner]} | more
        status, answer = self.ask(owner, "POST", "/v1/jobs", json.dumps(body))
        assert status == 201, answer
        return json.loads(answer)["id"]

    def job_s(self, owner):
        """How long one job takes, from its creation to its end."""
        began = time.monotonic()
        name = self.create(owner)
        while True:
            status, answer = self.ask(owner, "GET", f"/v1/jobs/{name}")
            job = json.loads(answer)
            if status == 200 and job["status"] in ("completed", "failed", "cancelled"):
                assert job["status"] == "completed", job
                return time.monotonic() - began
            time.sleep(0.02)

    def jobs_s(self, owner, count=7):
        return statistics.median(self.job_s(owner) for _ in range(count))

    def resident_mib(self):
        text = pathlib.Path(f"/proc/{self.worker.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024

    def connections(self, count, said):
        host, port = self.address.split(":")
        opened = []
        for _ in range(count):
            connection = socket.create_connection((host, int(port)))
            connection.sendall(said)
            opened.append(connection)
        return opened


def until_closed_s(connections, patience=90):
    """How long the slowest of them took to be closed by the other side."""
    began = time.monotonic()
    for connection in connections:
        connection.settimeout(max(0.1, began + patience - time.monotonic()))
        try:
            while connection.recv(4096):
                pass
        except TimeoutError:
            return float("inf")
        except OSError:
            pass
        connection.close()
    return time.monotonic() - began


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(
        resource.RLIMIT_NOFILE)[1]))
    binary, clip, character = sys.argv[1:4]
    bad = []

    def tell(what, figure, unit, bound):
        fine = figure <= bound
        print(f"{what}: {figure:.2f} {unit} (at most {bound:g}){'' if fine else '  BEYOND'}",
              flush=True)
        if not fine:
            bad.append(what)

    with tempfile.TemporaryDirectory(prefix="filmlab-strangers-") as folder:
        lab = Lab(binary, clip, character, pathlib.Path(folder))
        try:
            lab.jobs_s("bob", 3)
            alone = lab.jobs_s("bob")
            print(f"a job of bob's alone, median of 7: {alone:.2f} s", flush=True)

            half = lab.connections(HALF_SENT, b"GET /v1/jobs HTTP/1.1\r\nhost: x\r\nx-a: ")
            tell(f"{HALF_SENT} half-sent requests, until the last is closed",
                 until_closed_s(half), "s", 30)

            before, most = lab.resident_mib(), 0.0
            head = (b"POST /v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer nobody\r\n"
                    b"content-type: application/json\r\ncontent-length: 120000\r\n\r\n")
            strangers = lab.connections(HALF_BODIES, head + b"x" * 60_000)
            for _ in range(40):
                most = max(most, lab.resident_mib())
                time.sleep(0.05)
            tell(f"{HALF_BODIES} half bodies of strangers, resident more", most - before,
                 "MiB", 100)
            for connection in strangers:
                connection.close()

            idle = lab.connections(IDLE, b"")
            tell(f"a job of bob's beside {IDLE} idle connections, of its time alone",
                 lab.jobs_s("bob") / alone, "times", 2)
            for connection in idle:
                connection.close()

            hanging, dripping = [], []
            silent = stand_ins.serve(Silent, hanging=hanging, dripping=dripping)
            video = f"http://{silent}/clip.mp4"
            image = lab.sources["alice"]["image"]
            for at in range(DRIPPING):
                lab.create("alice", source={"video": f"{video}?{at}", "image": image})
            for at in range(HANGING):
                name = lab.create("alice", notify={"webhook": f"http://{silent}/hook/{at}"})
                lab.ask("alice", "POST", f"/v1/jobs/{name}/cancel")
            time.sleep(3)
            slowed = lab.jobs_s("bob")
            print(f"meanwhile {len(dripping)} sources were asked for and {len(hanging)} notices "
                  "were sent", flush=True)
            tell(f"a job of bob's beside {DRIPPING} dripping sources and {HANGING} hanging "
                 "webhooks of alice's, of its time alone", slowed / alone, "times", 2)
        finally:
            lab.stop()
    sys.exit(1 if bad else 0)


main()
