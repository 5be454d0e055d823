#!/usr/bin/env python3
"""Runs what the pages show, with a built filmlab:

  - each setting that a page names is one, and each block of TOML is taken as settings;
  - each `filmlab` command that a page shows, in a block or in a line, has these flags;
  - each block of shell after <!-- run --> runs, in an empty folder with a service and a sandbox;
  - each block after <!-- like: NAME --> has the shape of what the service really sent.

  scripts/docs/examples.py FILMLAB

Everything listens on loopback. Exit code 1 if something is wrong; each fault is a line of its own.
"""

import base64
import http.server
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import check
import pages as markdown

SECTIONS = sorted({name.split(".")[0] for name in check.settings_listed(ROOT)})
SETTING = re.compile(r"^(%s)\.([A-Za-z_]\w*(?:\.\w+)*)(?: = .*)?$" % "|".join(SECTIONS))
# Without these the settings of a cloud are not read.
GIVEN = {"ledger.backend": "firestore", "queue.backend": "cloud_tasks", "storage.backend": "gcs"}
# Tables with names of somebody's own.
TABLES = {"credits.prices"}
# Fields of a job, of a request or of what `probe` says that are named like a setting's section.
FIELD = {"credits.cost", "credits.state", "notify.webhook", "notify.fcm_token", "output.profile",
         "output.watermark", "provenance.manifest"}
SECRET = "whsec_" + base64.b64encode(b"a key for the pages' examples").decode()
SETTINGS = """
[server]
listen = "127.0.0.1:0"
allow_loopback = true
[data]
dir = "var/filmlab"
[provider]
base_url = "{base}"
api_key = "sandbox"
poll_min = "200ms"
poll_max = "1s"
{models}
[notify]
webhook_url = "{receiver}"
webhook_secret = "{secret}"
[profiles.web]
video = {{ preset = "ultrafast" }}
"""
# The sandbox is done at once, so it is asked at once.
MODELS = "\n".join(f"[provider.models.{kind}]\nusual_base_s = 0.0\nusual_per_second_s = 0.0"
                   for kind in ("upscale", "extend", "character_replace"))
# A curl that fails where the answer does, and says so.
CURL = '#!/bin/sh\nexec "{curl}" --silent --show-error --fail-with-body --max-time 60 "$@"\n'


def told(binary, *arguments, **given):
    return subprocess.run([binary, *arguments], capture_output=True, text=True, check=False,
                          timeout=60, **given)


# Settings

def named_settings(pages):
    """(place, key) of each setting in a span of code."""
    for page in pages:
        # Entries of the changelog speak of their time; a field of a document is no setting.
        if page.name in ("CHANGELOG.md", "docs/firestore-schema.md"):
            continue
        for line, span in page.spans():
            found = SETTING.match(span)
            key = found and f"{found.group(1)}.{found.group(2)}"
            if not key or key in FIELD or key.endswith(".rs"):
                continue
            # KIND and NAME stand for somebody's own names.
            if not re.search(r"\b[A-Z]{2,}\b", key):
                yield f"{page.name}:{line}", key


def wrong_settings(binary, pages):
    """All at once: filmlab tells every key that is not a setting."""
    named = list(named_settings(pages))
    tables = {}
    for _, key in named:
        section, name = key.rsplit(".", 1)
        tables.setdefault(section, set()).add(name)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "filmlab.toml")
        with open(path, "w", encoding="utf-8") as file:
            for section, names in sorted(tables.items()):
                # A table cannot be a value as well.
                inner = {other.split(".")[1] for other in tables if other.startswith(section + ".")}
                inner.update(name for name in names if f"{section}.{name}" in TABLES)
                rows = "".join(f'{name} = "{GIVEN.get(f"{section}.{name}", "?")}"\n'
                               for name in sorted(names - inner))
                file.write(f"[{section}]\n{rows}")
        ran = told(binary, "--config", path, "doctor", env={})
    unknown = set(re.findall(r"^filmlab: (\S+): is not a setting", ran.stderr, re.MULTILINE))
    if ran.returncode != 64:
        yield f"filmlab takes '?' for settings: {ran.stderr}"
    for place, key in named:
        if key in unknown:
            yield f"{place}: {key} is not a setting"


def wrong_toml(binary, pages):
    """Blocks of TOML as a settings file: no key may be unknown. Values may be samples."""
    for block in (block for page in pages for block in page.blocks if block.language == "toml"):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "filmlab.toml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(block.text)
            ran = told(binary, "--config", path, "doctor", env={}, cwd=folder)
            for key in re.findall(r"^filmlab: (\S+): is not a setting", ran.stderr, re.MULTILINE):
                yield f"{block.place}: {key} is not a setting"


# Commands

def commands(pages):
    """(place, words) of each command that begins with filmlab; the changelog has those of its time."""
    for page in (page for page in pages if page.name != "CHANGELOG.md"):
        for line, span in page.spans():
            if span.startswith("filmlab ") and "…" not in span and "|" not in span:
                yield f"{page.name}:{line}", words(span)
        for block in page.blocks:
            if block.language in ("sh", "bash", "shell"):
                for row in block.text.replace("\\\n", " ").split("\n"):
                    if "filmlab " in row:
                        yield block.place, words(row)


def words(row):
    """What is given to filmlab, where a row runs it."""
    try:
        parts = shlex.split(row, comments=True)
    except ValueError:
        return []
    command = []
    for part in [*parts, ";"]:
        if part not in ("&&", "|", "||", ";", "&"):
            command.append(part)
            continue
        while command and re.match(r"^[A-Z_]+=", command[0]):
            command.pop(0)
        if command and os.path.basename(command[0]) == "filmlab":
            return command[1:]
        command = []
    return []


class Help:
    """What `--help` says of each command, asked for once."""

    def __init__(self, binary):
        self.binary, self.known = binary, {}

    def of(self, names):
        if names not in self.known:
            ran = told(self.binary, *names, "--help", env={})
            self.known[names] = ran.stdout if ran.returncode == 0 else ""
        return self.known[names]

    def commands(self, names):
        part = self.of(names).partition("Commands:\n")[2].partition("\n\n")[0]
        return set(re.findall(r"^  (\S+)", part, re.MULTILINE))

    def flags(self, names):
        return set(re.findall(r"(?<![\w-])(-{1,2}[A-Za-z][\w-]*)", self.of(names)))

    def with_value(self, names):
        """The flags after which a value comes."""
        found = re.findall(r"(?:(-\w), )?(--[\w-]+) <", self.of(names))
        return {flag for pair in found for flag in pair if flag}

    def fault(self, given):
        names, words = (), iter(given)
        for word in words:
            if word.startswith("-"):
                # A flag belongs to the command that stands before it.
                if word.split("=")[0] not in self.flags(names) and word != "--":
                    return f"filmlab {' '.join(names)} has no flag {word}"
                if word in self.with_value(names):
                    next(words, None)
            elif word in self.commands(names):
                names += (word,)
            elif self.commands(names) and word.islower():
                return f"filmlab {' '.join(names)} has no command {word}"
        return None


def wrong_commands(binary, pages):
    asked = Help(binary)
    for place, given in commands(pages):
        if given and not given[0].startswith("__"):
            fault = asked.fault(given)
            if fault:
                yield f"{place}: {fault}"


# What is run

class Receiver:
    """Takes webhooks and keeps them."""

    def __init__(self):
        self.taken = taken = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                taken.append((dict((k.lower(), v) for k, v in self.headers.items()), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/filmlab"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def webhook(self, event):
        for _ in range(200):
            for headers, body in list(self.taken):
                if json.loads(body)["type"] == event:
                    return headers, body
            time.sleep(0.1)
        raise RuntimeError(f"no {event} was delivered")


class Lab:
    """An empty folder with a service and a sandbox, as a new user has them."""

    def __init__(self, binary, folder):
        self.folder, self.processes, self.done = folder, [], None
        self.binary = os.path.abspath(binary)
        for name in ("bin", "target/release"):
            os.makedirs(os.path.join(folder, name))
            os.symlink(self.binary, os.path.join(folder, name, "filmlab"))
        curl = os.path.join(folder, "bin", "curl")
        with open(curl, "w", encoding="utf-8") as file:
            file.write(CURL.format(curl=shutil.which("curl")))
        os.chmod(curl, 0o755)
        files = {"clip.mp4": "generated/tiny.mp4", "hero.png": "character.png", "logo.png": "logo.png"}
        for name, source in files.items():
            shutil.copy(os.path.join(ROOT, "fixtures", source), os.path.join(folder, name))
        self.receiver = Receiver()

    def begin(self):
        folder = self.folder
        base = self.start(["sandbox", "--listen", "127.0.0.1:0"], r"(http://127\.0\.0\.1:\d+)")
        with open(os.path.join(folder, "filmlab.toml"), "w", encoding="utf-8") as file:
            file.write(SETTINGS.format(base=base, receiver=self.receiver.url,
                                       secret=SECRET, models=MODELS))
        self.base = base
        self.address = "http://" + self.start(["serve"], r"address=([0-9.:]+)")
        self.source = self.ask("PUT", "/v1/sources?name=clip.mp4",
                               open(os.path.join(folder, "clip.mp4"), "rb").read())["source"]

    def start(self, arguments, pattern):
        log = os.path.join(self.folder, f"{arguments[0]}.log")
        with open(log, "w", encoding="utf-8") as file:
            process = subprocess.Popen([self.binary, *arguments], cwd=self.folder, stdout=file,
                                       stderr=subprocess.STDOUT, env=self.environment())
        self.processes.append(process)
        for _ in range(300):
            found = re.search(pattern, open(log, encoding="utf-8").read())
            if found:
                return found.group(1)
            time.sleep(0.1)
        raise RuntimeError(f"{arguments} did not start: {open(log, encoding='utf-8').read()}")

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def environment(self):
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        known = {"PATH": path, "HOME": self.folder, "LANG": "C.UTF-8", "FILMLAB_LOG__FILTER":
                 "filmlab=warn,filmlab::cli=info"}
        if hasattr(self, "address"):
            known["FILMLAB_SERVER"] = self.address
        return known

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.address + path, method=method, data=body,
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def job(self, until, fault=None):
        """Creates a job and waits; the fault strikes its submission alone."""
        if fault:
            request = urllib.request.Request(
                self.base + "/sandbox/faults", method="POST",
                data=json.dumps({**fault, "times": 1}).encode(),
                headers={"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=60).close()
        body = {"kind": "upscale", "source": {"video": self.source}, "params": {"target": "720p"}}
        job = self.ask("POST", "/v1/jobs", json.dumps(body).encode())
        for _ in range(600):
            if until in (job["status"], job.get("stage")):
                return job
            time.sleep(0.1)
            job = self.ask("GET", f"/v1/jobs/{job['id']}")
        raise RuntimeError(f"a job did not become {until}: {job}")

    def completed(self):
        """One for all who only look at it."""
        if self.done is None:
            self.done = self.job("completed")["id"]
        return self.done

    def failed(self):
        return self.job("failed", {"fault": "reject", "code": 1401})["id"]

    def running(self):
        return self.job("generate", {"fault": "slow", "polls": 10000})["id"]

    def filled(self, text):
        """The block with a job in place of ID, one that bears what its line does."""
        rows = []
        for row in text.replace("\\\n", " ").split("\n"):
            said = row.split(" #")[0]
            if re.search(r"\bID\b", said):
                if "cancel" in said:
                    job = self.running()
                elif "retry" in said:
                    job = self.failed()
                elif "DELETE" in said or "delete" in said:
                    job = self.failed()
                else:
                    job = self.completed()
                row = re.sub(r"\bID\b", job, row)
            rows.append(row)
        text = "\n".join(rows).replace("http://127.0.0.1:8080", self.address)
        return text.replace("sources/…", self.source)


def wrong_runs(lab, pages):
    for block in (block for page in pages for block in page.blocks if block.mark == "run"):
        if block.language == "python":
            yield from wrong_python(lab, block)
            continue
        text = lab.filled(block.text)
        began = time.monotonic()
        ran = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=lab.folder, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                             env=lab.environment(), timeout=180)
        print(f"ran {block.place} in {time.monotonic() - began:.1f} s", flush=True)
        if ran.returncode != 0:
            yield f"{block.place}: ends with {ran.returncode}:\n{ran.stdout[-2000:]}"


def wrong_python(lab, block):
    """The page's own functions, tried on what the service has and on what it delivered."""
    names = {}
    exec(compile(block.text, block.place, "exec"), names)
    if "every_job" in names:
        jobs = {job["id"] for job in names["every_job"](lab.address)}
        if lab.known_job not in jobs:
            yield f"{block.place}: does not find a job that is there"
        return
    headers, body = lab.receiver.webhook("job.completed")
    if not names["verified"](SECRET, headers, body):
        yield f"{block.place}: refuses a webhook that was delivered"
    if names["verified"](SECRET, headers, body + b" "):
        yield f"{block.place}: takes a webhook that was changed"


# What is shown of answers

NOT_SHOWN = "is sent and not shown"


def unlike(shown, real, at=""):
    """Where a sample has another shape than what was really sent."""
    if isinstance(shown, dict) and isinstance(real, dict):
        for name in sorted(shown.keys() ^ real.keys()):
            yield f"{at}.{name} " + ("is not sent" if name in shown else NOT_SHOWN)
        for name in sorted(shown.keys() & real.keys()):
            yield from unlike(shown[name], real[name], f"{at}.{name}")
    elif isinstance(shown, list) and isinstance(real, list):
        if shown and real:
            yield from unlike(shown[0], real[0], f"{at}[]")
        elif bool(shown) != bool(real):
            yield f"{at}: one list is empty"
    else:
        number = (int, float)
        same = type(shown) is type(real) or isinstance(shown, number) and isinstance(real, number) \
            and not isinstance(shown, bool) and not isinstance(real, bool)
        if not same:
            yield f"{at}: {shown!r} is shown, {real!r} was sent"


def events_of(text):
    """The fields of each server-sent event."""
    for part in filter(None, text.strip().split("\n\n")):
        event = {}
        for row in part.split("\n"):
            name, _, value = row.partition(":")
            if name:
                event[name] = value.strip()
        if event:
            yield event


def real(lab, name):
    """What the service sends, of which a page shows a sample."""
    if name.startswith("webhook "):
        return json.loads(lab.receiver.webhook(name.split()[1])[1])
    if name == "webhook-headers":
        return lab.receiver.webhook("job.completed")[0]
    if name == "completed":
        return lab.ask("GET", f"/v1/jobs/{lab.completed()}")
    if name == "links":
        return lab.ask("POST", f"/v1/jobs/{lab.completed()}/links", b"{}")
    if name == "notifications":
        return lab.ask("GET", f"/v1/jobs/{lab.completed()}/notifications")
    if name == "last event":
        path = f"{lab.address}/v1/jobs/{lab.completed()}/events"
        with urllib.request.urlopen(path, timeout=60) as answer:
            return list(events_of(answer.read().decode()))[-1]
    raise KeyError(name)


def wrong_samples(lab, pages):
    for block in (block for page in pages for block in page.blocks if block.mark == "like"):
        sent = real(lab, block.why)
        if block.language == "json":
            yield from (f"{block.place}: {fault}" for fault in unlike(json.loads(block.text), sent))
            continue
        # The last of the events shown; its data is JSON.
        shown = list(events_of(block.text))[-1]
        faults = [f"{name} is shown or sent alone"
                  for name in sorted(shown.keys() ^ (sent.keys() - {"retry"}))]
        faults += unlike(json.loads(shown["data"]), json.loads(sent["data"]), "data")
        yield from (f"{block.place}: {fault}" for fault in faults)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    binary, pages = os.path.abspath(sys.argv[1]), markdown.pages(ROOT)
    found = [*wrong_settings(binary, pages), *wrong_toml(binary, pages), *wrong_commands(binary, pages)]
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(binary, folder)
        try:
            lab.begin()
            lab.known_job = lab.failed()
            found += wrong_runs(lab, pages)
            found += wrong_samples(lab, pages)
        finally:
            lab.stop()
    # A field that came later is no lie of the page, and is told.
    for fault in found:
        print(f"not shown: {fault}" if fault.endswith(NOT_SHOWN) else fault)
    return 0 if all(fault.endswith(NOT_SHOWN) for fault in found) else 1


if __name__ == "__main__":
    sys.exit(main())
