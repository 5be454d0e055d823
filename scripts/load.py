#!/usr/bin/env python3
"""Figures under load: jobs that wait for the provider, and a burst of wake-ups.

  scripts/load.py FILMLAB CLIP [JOBS]

Starts the given binary as service and sandbox on loopback, in a folder of its own. The sandbox
lets every prediction take an hour. Prints resident size and CPU time of the service, and what it
answered. Exit code 1 if an answer is neither 2xx nor 409, or a job is lost.
"""

import collections
import concurrent.futures
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

TOKEN = "a-token-for-the-load"
CLIENTS = 32


def start(command, log, pattern):
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
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
    binary, clip = sys.argv[1], sys.argv[2]
    jobs = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    with tempfile.TemporaryDirectory() as folder:
        running = []
        try:
            run(binary, clip, jobs, folder, running)
        finally:
            for process in running:
                process.terminate()
                process.wait()


def run(binary, clip, jobs, folder, running):
    log = open(f"{folder}/sandbox.log", "w", encoding="utf-8")
    command = [binary, "sandbox", "--listen", "127.0.0.1:0", "--min-time", "3600"]
    sandbox, base = start(command, log, r"(http://127\.0\.0\.1:\d+)")
    running.append(sandbox)
    settings = f"""
[server]
listen = "127.0.0.1:0"
api_tokens = [{{ token = "{TOKEN}" }}]
task_token = "{TOKEN}"
[data]
dir = "{folder}/data"
[provider]
base_url = "{base}"
api_key = "sandbox"
[log]
filter = "filmlab=warn,filmlab::cli=info"
"""
    with open(f"{folder}/filmlab.toml", "w", encoding="utf-8") as file:
        file.write(settings)
    log = open(f"{folder}/serve.log", "w", encoding="utf-8")
    command = [binary, "--config", f"{folder}/filmlab.toml", "serve"]
    service, address = start(command, log, r"address=([0-9.:]+)")
    running.append(service)
    status, answer = call(address, "PUT", "/v1/sources?name=clip.mp4", open(clip, "rb").read())
    assert status == 201, answer
    source = json.loads(answer)["source"]
    body = json.dumps({"kind": "upscale", "source": {"video": source}, "deadline_s": 86400})

    # What one job needs at its peak is no matter of how many wait.
    every(address, [("POST", "/v1/jobs", body)] * 20)
    settle(address, 20)
    began, size, cpu = time.monotonic(), resident_mib(service.pid), cpu_s(service.pid)
    created = every(address, [("POST", "/v1/jobs", body)] * jobs)
    assert all(status == 201 for status, _ in created)
    took = time.monotonic() - began
    settle(address, jobs + 20)
    waits = time.monotonic() - began
    per_job = (cpu_s(service.pid) - cpu) / jobs * 1000
    print(f"created {jobs} jobs in {took:.1f} s; all wait for the provider after {waits:.1f} s")
    print(f"resident: {size:.1f} MiB with 20 jobs waiting, {resident_mib(service.pid):.1f} MiB "
          f"with {jobs + 20}; CPU to there {per_job:.1f} ms a job")

    ids = [json.loads(answer)["id"] for _, answer in created]
    ids = (ids * (1000 // len(ids) + 1))[:1000]
    task = json.dumps({"seq": 2, "why": "wake"})
    size, cpu, began = resident_mib(service.pid), cpu_s(service.pid), time.monotonic()
    answers = every(address, [("POST", f"/tasks/jobs/{name}", task) for name in ids])
    took = time.monotonic() - began
    counts = collections.Counter(status for status, _ in answers)
    print(f"1000 wake-ups by {CLIENTS} clients in {took:.1f} s: {dict(counts)}; "
          f"resident {size:.1f} → {resident_mib(service.pid):.1f} MiB, "
          f"CPU {cpu_s(service.pid) - cpu:.1f} s")
    left = listed(address)
    print(f"jobs afterwards: {dict(left)}")
    fine = all(200 <= status < 300 or status == 409 for status in counts)
    if not fine or sum(left.values()) != jobs + 20 or left["failed"]:
        sys.exit("an answer was wrong, or a job was lost")


def listed(address):
    counts, token = collections.Counter(), ""
    while True:
        page = "&page_token=" + urllib.parse.quote(token) if token else ""
        status, answer = call(address, "GET", f"/v1/jobs?limit=100{page}")
        assert status == 200, answer
        answer = json.loads(answer)
        counts.update(job["status"] for job in answer["jobs"])
        token = answer.get("next_page_token")
        if not token:
            return counts


def settle(address, jobs):
    """Waits until every job has been visited once."""
    for _ in range(1200):
        if listed(address)["processing"] >= jobs:
            return
        time.sleep(0.5)
    sys.exit("the jobs are not visited")


main()
