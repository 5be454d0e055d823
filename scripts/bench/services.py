"""filmlab and the peer as services, with the same provider's stand-in, clips and settings."""

import http.client
import json
import os
import re
import socket
import subprocess
import time
import urllib.parse

TOKEN = "a-token-for-the-benchmark"

SETTINGS = """
[server]
listen = "127.0.0.1:{port}"
api_tokens = [{{ token = "{token}" }}]
task_token = "{token}"
[data]
dir = "{folder}/data"
[provider]
base_url = "{base}"
api_key = "sandbox"
[provider.models.character_replace]
usual_base_s = 0.0
usual_per_second_s = 0.0
[credits]
mode = "off"
{mark}
# As the other side encodes.
[profiles.web]
video = {{ preset = "veryfast", crf = 23 }}
[log]
filter = "filmlab=warn,filmlab::cli=info"
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def family(pid):
    """A process and all that it has started."""
    found, parents = [pid], {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                parents[int(entry)] = int(file.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def resident(pid):
    """Bytes of a process and its children."""
    total = 0
    for one in family(pid):
        try:
            with open(f"/proc/{one}/status", encoding="ascii", errors="replace") as file:
                found = re.search(r"VmRSS:\s+(\d+)", file.read())
            total += int(found.group(1)) * 1024 if found else 0
        except OSError:
            continue
    return total


class Service:
    """Something that listens on a port, with a folder of its own."""

    def __init__(self, command, folder, port, environment=None):
        self.port, began = port, time.monotonic()
        self.log = open(f"{folder}/{port}.log", "w", encoding="utf-8")
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=subprocess.STDOUT, env=environment, cwd=folder
        )
        while True:
            try:
                if self.call("GET", "/readyz")[0] == 200:
                    break
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() - began > 60:
                raise RuntimeError(f"{command} did not start: {open(self.log.name).read()[-2000:]}")
            time.sleep(0.001)
        self.start = time.monotonic() - began

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def json(self, method, path, body=None):
        status, answer = self.call(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]}")
        return json.loads(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def sandbox(binary, folder, *more):
    log = f"{folder}/sandbox.log"
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [binary, "sandbox", "--listen", "127.0.0.1:0", "--copy", "--max-running", "100000",
             *more],
            stdout=file, stderr=subprocess.STDOUT, cwd=folder,
        )
    for _ in range(600):
        found = re.search(r"(http://127\.0\.0\.1:\d+)", open(log, encoding="utf-8").read())
        if found:
            return process, found.group(1)
        time.sleep(0.05)
    process.kill()
    raise RuntimeError("the sandbox did not start")


class Filmlab:
    """Jobs of the service itself."""

    name = "filmlab"

    def __init__(self, binary, folder, base, clip, image, logo, under=()):
        port = free_port()
        with open(f"{folder}/filmlab.toml", "w", encoding="utf-8") as file:
            mark = f'[watermark]\nimage = "{logo}"' if logo else ""
            file.write(SETTINGS.format(port=port, token=TOKEN, folder=folder, base=base, mark=mark))
        command = [*under, binary, "--config", f"{folder}/filmlab.toml", "serve"]
        self.service = Service(command, folder, port)
        self.clip, self.image = clip, image

    def prepare(self):
        sources = {}
        for name, path in (("video", self.clip), ("image", self.image)):
            where = f"/v1/sources?name={urllib.parse.quote(os.path.basename(path))}"
            with open(path, "rb") as file:
                sources[name] = self.service.json("PUT", where, file.read())["source"]
        self.body = json.dumps({"kind": "character_replace", "source": sources})

    def create(self):
        return self.service.json("POST", "/v1/jobs", self.body)["id"]

    def status(self, job):
        found = self.service.json("GET", f"/v1/jobs/{job}")
        return found["status"], found


class Peer:
    """The same of the worker as most people write it."""

    name = "Python and ffmpeg"

    def __init__(self, python, here, folder, base, clip, image, logo):
        port = free_port()
        os.makedirs(f"{folder}/results")
        environment = {
            **os.environ,
            "PROVIDER": base,
            "RESULTS": f"{folder}/results",
            "LOGO": logo,
            "PYTHONPATH": f"{here}/peer",
            "TMPDIR": folder,
        }
        command = [python, "-m", "uvicorn", "worker:app", "--host", "127.0.0.1",
                   "--port", str(port), "--log-level", "warning"]
        self.service = Service(command, folder, port, environment)
        self.body = json.dumps({"video": clip, "image": image})

    def prepare(self):
        pass

    def create(self):
        return self.service.json("POST", "/jobs", self.body)["id"]

    def status(self, job):
        found = self.service.json("GET", f"/jobs/{job}")
        return found["status"], found


def measured(side, jobs, sample=0.05):
    """Creates jobs together and waits for all; bytes at rest, at the peak, and over time."""
    service = side.service
    side.prepare()
    time.sleep(1.0)
    idle, began = resident(service.process.pid), time.monotonic()
    left, memory, done = {side.create() for _ in range(jobs)}, [], 0
    looked = began
    while left:
        memory.append((done, resident(service.process.pid)))
        if time.monotonic() - looked > 0.2:
            looked = time.monotonic()
            for job in list(left):
                status, found = side.status(job)
                if status in ("failed", "cancelled"):
                    raise RuntimeError(f"{side.name}: {found}")
                if status == "completed":
                    left.discard(job)
                    done += 1
        time.sleep(sample)
    took = time.monotonic() - began
    return {
        "start_s": service.start,
        "idle_bytes": idle,
        "peak_bytes": max(size for _, size in memory),
        "jobs": jobs,
        "took_s": took,
        "jobs_per_minute": jobs / took * 60,
        "memory": memory[:: max(1, len(memory) // 200)],
    }
