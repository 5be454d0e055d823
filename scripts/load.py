#!/usr/bin/env python3
"""Figures under load: jobs that wait for the provider, a burst of wake-ups, CPU of a job's road.

  scripts/load.py FILMLAB CLIP CHARACTER [JOBS [PLANTED]]

Starts the given binary as service and sandbox on loopback, in folders of its own. At first the
sandbox lets every prediction take an hour; then, with another service on one core, none: CPU of
whole jobs, with that of their media work and without. Exit code 1 if an answer is neither 2xx nor
409, or a job is lost. PLANTED jobs that wait for an hour are copied into the ledger's file first:
what they cost is what anybody else waits longer for.
"""

import collections
import concurrent.futures
import datetime
import http.client
import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

TOKEN = "a-token-for-the-load"
CLIENTS = 32
QUEUED = 'filmlab_jobs{state="queued"}'
# Jobs that wait before anything is measured.
FIRST = 1000
EPOCH = datetime.datetime(1970, 1, 1)


def start(command, log, pattern, cores=None):
    bound = (lambda: os.sched_setaffinity(0, cores)) if cores else None
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, preexec_fn=bound)
    for _ in range(300):
        found = re.search(pattern, open(log.name, encoding="utf-8").read())
        if found:
            return process, found.group(1)
        time.sleep(0.1)
    process.kill()
    sys.exit(f"{command} did not start")


def resident_mib(pid):
    text = open(f"/proc/{pid}/status", encoding="ascii").read()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024


def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kernel_s(pid):
    """What the kernel did for threads other than those of media work."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            text = open(f"/proc/{pid}/task/{thread}/stat", encoding="utf-8", errors="replace").read()
        except OSError:
            continue
        if "(filmlab-media)" not in text:
            total += int(text.rsplit(")", 1)[1].split()[12])
    return total / os.sysconf("SC_CLK_TCK")


local = threading.local()


def call(address, method, path, body=None):
    """One connection a client, opened again where it was closed."""
    for attempt in range(2):
        connection = getattr(local, "connection", None)
        if connection is None:
            connection = local.connection = http.client.HTTPConnection(address, timeout=120)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, OSError):
            connection.close()
            local.connection = None
            if attempt:
                raise


def every(address, calls):
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(lambda one: call(address, *one), calls))


def main():
    binary, clip, character = sys.argv[1:4]
    jobs = int(sys.argv[4] or 1000) if len(sys.argv) > 4 else 1000
    planted = int(sys.argv[5] or 0) if len(sys.argv) > 5 else 0
    with_lab(binary, clip, character, lambda lab: waiting(lab, jobs, planted))
    with_lab(binary, clip, character, road)


def with_lab(binary, clip, character, part):
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(binary, clip, character, folder)
        try:
            return part(lab)
        finally:
            for process in lab.running:
                process.terminate()
                process.wait()


class Lab:
    """A service and the sandbox it works with."""

    def __init__(self, binary, clip, character, folder):
        self.binary, self.clip, self.character, self.folder = binary, clip, character, folder
        self.running = []

    def start(self, min_time, cores=None, jobs=0):
        log = open(f"{self.folder}/sandbox.log", "w", encoding="utf-8")
        command = [self.binary, "sandbox", "--listen", "127.0.0.1:0", "--copy",
                   "--max-running", "1000000", "--min-time", str(min_time)]
        sandbox, base = start(command, log, r"(http://127\.0\.0\.1:\d+)")
        self.running.append(sandbox)
        with open(f"{self.folder}/filmlab.toml", "w", encoding="utf-8") as file:
            file.write(SETTINGS.format(folder=self.folder, base=base, waiting=max(50_000, 2 * jobs)))
        log = open(f"{self.folder}/serve.log", "w", encoding="utf-8")
        command = [self.binary, "--config", f"{self.folder}/filmlab.toml", "serve"]
        service, self.address = start(command, log, r"address=([0-9.:]+)", cores)
        self.running.append(service)
        self.pid = service.pid
        sources = {}
        for name, file in [("video", self.clip), ("image", self.character)]:
            path = f"/v1/sources?name={urllib.parse.quote(os.path.basename(file))}"
            status, answer = call(self.address, "PUT", path, open(file, "rb").read())
            assert status == 201, answer
            sources[name] = json.loads(answer)["source"]
        self.body = json.dumps({"kind": "character_replace", "source": sources,
                                "deadline_s": 86400})

    def create(self, jobs):
        created = every(self.address, [("POST", "/v1/jobs", self.body)] * jobs)
        assert all(status == 201 for status, _ in created), created[0]
        return [json.loads(answer)["id"] for _, answer in created]

    def metric(self, name):
        status, text = call(self.address, "GET", "/metrics")
        assert status == 200
        values = re.findall(rf"^{re.escape(name)} (\S+)$", text.decode(), re.MULTILINE)
        return sum(map(float, values))

    def until(self, name, least):
        """Waits for a number of the metrics, and until nobody waits for a first visit; counted jobs
        go up to 10,000."""
        for _ in range(7200):
            if self.metric(name) >= min(least, 10_000) and not self.metric(QUEUED):
                return
            time.sleep(0.5)
        sys.exit(f"{name} does not reach {least}")


SETTINGS = f"""
[server]
listen = "127.0.0.1:0"
api_tokens = [{{{{ token = "{TOKEN}" }}}}]
task_token = "{TOKEN}"
[data]
dir = "{{folder}}/data"
[worker]
max_waiting = {{waiting}}
[provider]
base_url = "{{base}}"
api_key = "sandbox"
[provider.models.character_replace]
usual_base_s = 0.0
usual_per_second_s = 0.0
[log]
filter = "filmlab=warn,filmlab::cli=info"
"""


def plant(lab, jobs):
    """Copies of one that waits, each with its wake-up, for an hour."""
    micros = int((time.time() + 3600) * 1e6)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(micros / 1e6))
    with sqlite3.connect(f"{lab.folder}/data/filmlab.sqlite", timeout=60) as db:
        row = db.execute("SELECT owner, kind, created_at, status, doc FROM jobs "
                         "WHERE doc ->> 'stage' = 'generate' AND doc ->> '$.lease.holder' IS NULL "
                         "LIMIT 1").fetchone()
        owner, kind, created_at, status, doc = row
        doc = json.loads(doc)
        doc["next_visit_at"] = doc["wake"]["at"] = at
        seq = doc["wake"]["seq"]
        began = EPOCH + datetime.timedelta(microseconds=created_at)
        for number in range(jobs):
            name = doc["id"] = f"planted-{number}"
            # A page ends with the time in its last document: it must be that of the column.
            doc["created_at"] = f"{began + datetime.timedelta(microseconds=-number):%Y-%m-%dT%H:%M:%S.%fZ}"
            task = json.dumps({"type": "job", "id": name, "seq": seq, "why": "wake"})
            db.execute("INSERT INTO jobs (id, owner, kind, created_at, status, next_visit_at, "
                       "wake_seq, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                       (name, owner, kind, created_at - number, status, micros, seq,
                        json.dumps(doc)))
            db.execute("INSERT INTO tasks (name, task, due_at) VALUES (?, ?, ?)",
                       (f"{name}-{seq}-wake", task.replace(": ", ":").replace(", ", ","), micros))


def waiting(lab, jobs, planted):
    lab.start(3600, jobs=jobs + planted + FIRST)
    generating = 'filmlab_jobs{state="generating"}'
    # What a crowd of clients and a job at its peak need is no matter of how many wait.
    lab.create(FIRST)
    lab.until(generating, FIRST)
    looks(lab, FIRST)
    if planted:
        plant(lab, planted)
        looks(lab, planted + FIRST)
    began, size, cpu = time.monotonic(), resident_mib(lab.pid), cpu_s(lab.pid)
    ids = lab.create(jobs)
    took = time.monotonic() - began
    lab.until(generating, jobs + FIRST)
    waits = time.monotonic() - began
    per_job = (cpu_s(lab.pid) - cpu) / jobs * 1000
    print(f"created {jobs} jobs in {took:.1f} s; all wait for the provider after {waits:.1f} s")
    before = planted + FIRST
    print(f"resident: {size:.1f} MiB with {before} jobs waiting, {resident_mib(lab.pid):.1f} MiB "
          f"with {jobs + before}; CPU to there {per_job:.1f} ms a job", flush=True)

    looks(lab, jobs + before)
    ids = (ids * (1000 // len(ids) + 1))[:1000]
    task = json.dumps({"seq": 2, "why": "wake"})
    size, cpu, began = resident_mib(lab.pid), cpu_s(lab.pid), time.monotonic()
    answers = every(lab.address, [("POST", f"/tasks/jobs/{name}", task) for name in ids])
    took = time.monotonic() - began
    counts = collections.Counter(status for status, _ in answers)
    print(f"1000 wake-ups by {CLIENTS} clients in {took:.1f} s: {dict(counts)}; "
          f"resident {size:.1f} → {resident_mib(lab.pid):.1f} MiB, "
          f"CPU {cpu_s(lab.pid) - cpu:.1f} s", flush=True)
    left = listed(lab.address)
    print(f"jobs afterwards: {dict(left)}", flush=True)
    fine = all(200 <= status < 300 or status == 409 for status in counts)
    # Each look created one.
    created = 3 if planted else 2
    if not fine or sum(left.values()) != jobs + planted + FIRST + created or left["failed"]:
        sys.exit("an answer was wrong, or a job was lost")


def looks(lab, waiting):
    """What somebody waits for, whatever else there is: medians of 20."""
    idle = cpu_s(lab.pid)
    time.sleep(5)
    idle = (cpu_s(lab.pid) - idle) / 5
    took = {}
    for name, method, path, body in [
            ("a page of the list", "GET", "/v1/jobs?limit=100", None),
            ("one of a kind", "GET", "/v1/jobs?limit=100&kind=character_replace", None),
            ("a sweep", "POST", "/tasks/sweep", None),
            ("the metrics", "GET", "/metrics", None),
            ("a creation", "POST", "/v1/jobs", lab.body)]:
        times = []
        for _ in range(1 if body else 20):
            began = time.monotonic()
            status, answer = call(lab.address, method, path, body)
            assert status in (200, 201), answer
            times.append(time.monotonic() - began)
        took[name] = statistics.median(times) * 1000
    said = ", ".join(f"{name} {ms:.0f} ms" for name, ms in took.items())
    print(f"with {waiting} jobs waiting: {said}; CPU at rest {idle * 100:.0f} %", flush=True)


def road(lab, jobs=200):
    """On one core, so that media work has no codec threads and its thread's CPU is all of it."""
    lab.start(0, {min(os.sched_getaffinity(0))})
    ended = 'filmlab_jobs_ended_total{code="none",kind="character_replace",status="completed"}'
    media = "filmlab_media_cpu_seconds_sum"
    lab.create(20)
    lab.until(ended, 20)
    cpu, native, kernel = cpu_s(lab.pid), lab.metric(media), kernel_s(lab.pid)
    lab.create(jobs)
    lab.until(ended, jobs + 20)
    cpu, native = cpu_s(lab.pid) - cpu, lab.metric(media) - native
    without, kernel = (cpu - native) / jobs * 1000, (kernel_s(lab.pid) - kernel) / jobs * 1000
    print(f"{jobs} whole jobs: {cpu / jobs * 1000:.1f} ms CPU each, {without:.1f} ms without media, "
          f"{kernel:.1f} ms of that in the kernel")
    return without, kernel


def listed(address):
    counts, token = collections.Counter(), ""
    while True:
        page = "&page_token=" + urllib.parse.quote(token) if token else ""
        status, answer = call(address, "GET", f"/v1/jobs?limit=100{page}")
        assert status == 200, answer
        answer = json.loads(answer)
        counts.update(job["status"] for job in answer["jobs"])
        before, token = token, answer.get("next_page_token")
        if not token:
            return counts
        if token == before:
            sys.exit(f"the list does not go on behind {token}")


if __name__ == "__main__":
    main()
