#!/usr/bin/env python3
"""Measures filmlab beside what people would use instead, and writes docs/performance.md.

  scripts/bench/run.py FILMLAB [--quick] [--out FOLDER]
  scripts/bench/run.py FILMLAB --copies           again what is copied and signed, beside the rest of
                                                  the last run; the page says so

FILMLAB is the deployed build. Needs `ffmpeg` and `ffprobe`, and Python's `venv` for the peer. All
runs are in turn (A B A B …), so that a machine that others use too is as slow for both.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import load
import page
import services
from measure import Took, at_once, in_turn, once

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PRESET, CRF = "veryfast", "23"


def told(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def say(text):
    print(f"bench: {text}", flush=True)


class Stand:
    """The clips, and the commands of both sides."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.logo = f"{ROOT}/fixtures/logo.png"
        self.short = f"{ROOT}/fixtures/bigbuckbunny.mp4"
        self.slow, self.long = f"{folder}/slow.mp4", f"{folder}/long.mp4"
        self.raw, self.small = f"{folder}/raw.y4m", f"{folder}/small.mp4"
        self.small_long = f"{folder}/small-long.mp4"

    def make_clips(self, times):
        self.times, self.seconds = times, round(times * 5.28)
        quiet = ["ffmpeg", "-v", "error", "-y"]
        again = ["-stream_loop", str(times - 1), "-i", self.short]
        self.call(quiet + again + ["-c", "copy", self.long])
        self.call(quiet + ["-stream_loop", "3", "-i", self.short, "-t", "12", "-vf",
                           "fps=10,scale=768:576,setsar=1", "-c:v", "libx264", "-preset", "medium",
                           "-crf", "18", "-c:a", "aac", self.slow])
        self.call(quiet + ["-i", self.short, "-pix_fmt", "yuv420p", self.raw])
        # Nothing of it has to change, so that it may be copied: six channels would be mixed down.
        self.call(quiet + ["-i", self.short, "-c:v", "libx264", "-preset", "veryfast", "-crf", "23",
                           "-c:a", "aac", "-ac", "2", "-movflags", "+faststart", self.small])
        self.call(quiet + ["-stream_loop", str(times - 1), "-i", self.small, "-c", "copy",
                           "-movflags", "+faststart", self.small_long])

    def call(self, command):
        subprocess.run(command, check=True)

    def ours(self, clip, poster=True, mark=True, name="ours", preset=PRESET):
        command = [self.binary, "process", clip, "-y", "-o", f"{self.folder}/{name}.mp4",
                   "--preset", preset, "--crf", CRF]
        if mark:
            command += ["--watermark", self.logo]
        if poster:
            command += ["--poster", f"{self.folder}/{name}.jpg"]
        return [command]

    def copied(self, clip):
        return [[self.binary, "process", clip, "-y", "-o", f"{self.folder}/copy.mp4"]]

    def signed_and_not(self, command, runs):
        """The key is made by the first run, which does not count."""
        keep = ["env", f"FILMLAB_DATA__DIR={self.folder}/data"]
        signed = [keep + command[0] + ["--sign"]]
        return in_turn(lambda: once(signed), lambda: once([keep + command[0]]), runs)

    def encode(self, clip, name="theirs", mark=True, rate=None):
        # 20 % of the short side, 3 % from the corner, and the opacity: as `process` lays it on.
        size = self.size(clip)
        width, edge = round(min(size) * 0.2), round(min(size) * 0.03)
        command = ["ffmpeg", "-v", "error", "-y", "-i", clip]
        if mark:
            command += ["-i", self.logo, "-filter_complex",
                        f"[1]format=rgba,scale={width}:-2,colorchannelmixer=aa=0.85[m];"
                        f"[0][m]overlay=W-w-{edge}:H-h-{edge}"]
        command += ["-c:v", "libx264", "-preset", PRESET, "-crf", CRF, "-pix_fmt", "yuv420p"]
        command += self.cap(clip) if rate is None else rate
        return command + ["-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart",
                          f"{self.folder}/{name}.mp4"]

    def cap(self, clip):
        """The rate cap that filmlab's plan has for this clip, so that both encoders do the same."""
        report = f"{self.folder}/plan-{os.path.basename(clip)}.json"
        if not os.path.exists(report):
            plan = self.ours(clip, poster=False, name="plan")[0] + ["--report", report]
            subprocess.run(plan, check=True, stdout=subprocess.DEVNULL)
        video = json.load(open(report, encoding="utf-8"))["plan"]["video"]
        rate = video.get("max_rate")
        if not rate:
            return []
        size = rate * video["burst_ms"] // 1000
        return ["-maxrate", str(rate), "-bufsize", str(min(size, 2**31 - 1))]

    def size(self, clip):
        out = told("ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
                   "stream=width,height", "-of", "csv=p=0", clip)
        return [int(side) for side in out.strip(",").split(",")[:2]]

    def chain(self, clip, name="theirs"):
        result = f"{self.folder}/{name}.mp4"

        def probe(path):
            return ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", path]

        poster = ["ffmpeg", "-v", "error", "-y", "-ss", "0.6", "-i", result, "-frames:v", "1",
                  f"{self.folder}/{name}.jpg"]
        return [probe(clip), self.encode(clip, name), probe(result), poster]

    def bench(self, *arguments):
        out = told(self.binary, "bench", "--json", "--watermark", self.logo, "--crf", CRF, *arguments)
        return json.loads(out)


def chains(stand, count):
    """So many chains started together."""
    return at_once([stand.chain(stand.short, f"theirs-{n}") for n in range(count)])


def copies(stand, runs):
    """What is copied, and what a signature costs."""
    found = {}
    say("copying against encoding")
    for name, clip in (("copy", stand.small), ("copy_long", stand.small_long)):
        copy = stand.copied(clip)
        said = subprocess.run(copy[0], capture_output=True, text=True, check=True)
        if not re.search(r"picture copied.*sound copied", said.stdout + said.stderr):
            raise RuntimeError(f"this was to be copied: {said.stdout}{said.stderr}")
        found[name] = in_turn(lambda c=copy: once(c),
                              lambda c=clip: once(stand.ours(c, poster=False, mark=False)),
                              runs if clip == stand.small else max(1, runs // 2))
    say("what signing costs")
    found["signing"] = [{"clip": name, **stand.signed_and_not(command, some)}
                        for name, command, some in (
                            ("5 s, encoded", stand.ours(stand.short, poster=False), runs),
                            ("5 s, copied", stand.copied(stand.small), 2 * runs),
                            (f"{stand.seconds} s, copied", stand.copied(stand.small_long), 2 * runs))]
    return found


def media(stand, runs, eight):
    found = {}
    clips = [("5 s, 720p", stand.short), ("12 s, 768×576, 10 fps", stand.slow),
             (f"{stand.seconds} s, 720p", stand.long)]
    found["deliverable"] = []
    for name, clip in clips:
        say(f"the whole deliverable: {name}")
        # Half a minute each.
        some = runs if clip != stand.long else max(1, runs - 1)
        row = in_turn(lambda c=clip: once(stand.ours(c)), lambda c=clip: once(stand.chain(c)), some)
        # A pass as fast as the chain's own, and nothing beside it.
        row["limit"] = in_turn(lambda c=clip: once([stand.encode(c)]),
                               lambda c=clip: once(stand.chain(c)), max(1, some // 2))
        row["bytes"] = [os.path.getsize(f"{stand.folder}/{n}.mp4") for n in ("ours", "theirs")]
        found["deliverable"].append({"clip": name, **row})
    say("one pass against one call")
    found["call"] = in_turn(lambda: once(stand.ours(stand.short, poster=False)),
                            lambda: once([stand.encode(stand.short)]), runs)
    say("the floor: decoding alone and encoding alone")
    floor = [["ffmpeg", "-v", "error", "-i", stand.short, "-f", "null", "-"],
             ["ffmpeg", "-v", "error", "-y", "-i", stand.raw, "-c:v", "libx264", "-preset", PRESET,
              "-crf", CRF, "-an", f"{stand.folder}/floor.mp4"]]
    found["floor"] = in_turn(lambda: once(stand.ours(stand.short, poster=False)),
                             lambda: once(floor), runs)
    say("what the rate cap costs x264")
    found["cap"] = in_turn(
        lambda: once([stand.encode(stand.short, mark=False)]),
        lambda: once([stand.encode(stand.short, mark=False, rate=[])]), runs)
    found.update(copies(stand, runs))
    say("memory and length")
    found["times"] = stand.times
    found["length"] = in_turn(lambda: once(stand.ours(stand.long)),
                              lambda: once(stand.ours(stand.short)), 1)
    say(f"{eight} clips at once")
    ours = [[stand.binary, "bench", stand.short, "--json", "--no-ssim", "--watermark", stand.logo,
             "--crf", CRF, "--preset", PRESET, "--jobs", str(eight), "--runs", "1"]]
    together = in_turn(
        lambda: once(ours),
        lambda: chains(stand, eight),
        max(1, runs // 2))
    found["together"] = {"jobs": eight, **together}
    memory = []
    for jobs in sorted({1, 2, 4, eight}):
        measured = stand.bench(stand.short, "--preset", PRESET, "--jobs", str(jobs), "--runs", "1",
                               "--no-ssim")
        memory.append([jobs, measured["rows"][0]["peak_memory_bytes"], chains(stand, jobs).peak])
    found["memory"] = memory
    say("presets")
    presets = ["ultrafast", "veryfast", "fast", "medium"]
    flags = [flag for preset in presets for flag in ("--preset", preset)]
    found["presets"] = stand.bench(stand.short, *flags, "--runs", "1" if runs < 4 else "3")
    return found


# Jobs of the service, and chains beside them.
TOGETHER = 8


def burst(made):
    found = services.measured(made, TOGETHER)
    return Took(found["took_s"], 0.0, found["peak_bytes"], 0)


def jobs(stand, quick):
    count = 8 if quick else 16
    found, python = {}, peer_python()
    with tempfile.TemporaryDirectory() as folder:
        box, base = services.sandbox(stand.binary, folder)
        try:
            image = f"{ROOT}/fixtures/character.png"
            for side in ("filmlab", "peer"):
                say(f"{count} jobs: {side}")
                own = f"{folder}/{side}"
                os.makedirs(own)
                starts = []
                runs = 1 if quick else 5
                for _ in range(runs):
                    if side == "filmlab":
                        shutil.rmtree(f"{own}/data", ignore_errors=True)
                        made = services.Filmlab(stand.binary, own, base, stand.short, image,
                                                stand.logo)
                    else:
                        shutil.rmtree(f"{own}/results", ignore_errors=True)
                        made = services.Peer(python, HERE, own, base, stand.short, image, stand.logo)
                    starts.append(made.service.start)
                    if len(starts) < runs:
                        made.service.stop()
                try:
                    found[side] = services.measured(made, count)
                    found[side]["start_s"] = statistics.median(starts)
                finally:
                    made.service.stop()
                if side == "filmlab":
                    # Beside chains in turn: a quarter of an hour later the machine may be another.
                    say(f"{TOGETHER} jobs created together")
                    made = services.Filmlab(stand.binary, own, base, stand.short, image, stand.logo)
                    try:
                        ratios = in_turn(lambda m=made: burst(m), lambda: chains(stand, TOGETHER),
                                         1 if quick else 3)
                        found["together"] = {"jobs": TOGETHER, **ratios}
                    finally:
                        made.service.stop()
                    # With the database and the folders there.
                    again = []
                    for _ in range(runs):
                        made = services.Filmlab(stand.binary, own, base, stand.short, image,
                                                stand.logo)
                        again.append(made.service.start)
                        made.service.stop()
                    found[side]["again_s"] = statistics.median(again)
                    found[side]["load_s"] = statistics.median(loads(stand.binary, 9))
            say("a job's road, without its media")
            tiny = f"{ROOT}/fixtures/generated/tiny.mp4"
            road = load.with_lab(stand.binary, tiny, image, load.road)
            found["road_ms"], found["road_kernel_ms"] = road
            say("memory over many jobs")
            own = f"{folder}/many"
            os.makedirs(own)
            many = services.Filmlab(stand.binary, own, base, f"{ROOT}/fixtures/generated/tiny.mp4",
                                    image, stand.logo)
            try:
                found["many"] = services.measured(many, 40 if quick else 200)
            finally:
                many.service.stop()
        finally:
            box.terminate()
            box.wait()
    return found


def loads(binary, runs):
    """Seconds until the program is there and has said which one it is."""
    took = []
    for _ in range(runs):
        began = time.monotonic()
        subprocess.run([binary, "--version"], check=True, capture_output=True)
        took.append(time.monotonic() - began)
    return took


def peer_python():
    """A virtual environment with the peer's pinned requirements, made once."""
    place = f"{ROOT}/target/bench-peer"
    wanted = open(f"{HERE}/peer/requirements.txt", encoding="ascii").read()
    noted = f"{place}/requirements.txt"
    if not (os.path.exists(noted) and open(noted, encoding="ascii").read() == wanted):
        say("installing the peer's requirements")
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([f"{place}/bin/pip", "install", "--quiet", "--requirement",
                        f"{HERE}/peer/requirements.txt"], check=True)
        with open(noted, "w", encoding="ascii") as file:
            file.write(wanted)
    return f"{place}/bin/python"


def machine(binary):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*:\s*(.+)", file.read())
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(re.search(r"MemTotal:\s+(\d+)", file.read()).group(1)) * 1024
    return {
        "processor": model.group(1) if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
        "ffmpeg": told("ffmpeg", "-version").splitlines()[0].split(" Copyright")[0],
        "filmlab": told(binary, "--version"),
        "revision": told("git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"),
        "changed": bool(told("git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no",
                             "--", "src", "vendor", "Cargo.lock")),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": platform.python_version(),
    }


def keep(found, figures, out):
    os.makedirs(os.path.dirname(figures), exist_ok=True)
    with open(figures, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    page.write(found, out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    parser.add_argument("--copies", action="store_true", help="only what is copied and signed")
    parser.add_argument("--out", default=f"{ROOT}/docs", help="folder of performance.md")
    given = parser.parse_args()
    began = time.monotonic()
    binary = os.path.abspath(given.binary)
    figures = f"{ROOT}/target/bench/figures.json"
    with tempfile.TemporaryDirectory(prefix="filmlab-bench-") as folder:
        stand = Stand(binary, folder)
        if given.copies:
            with open(figures, encoding="utf-8") as file:
                found = json.load(file)
            stand.make_clips(found["media"]["times"])
            found["again"] = machine(binary)
            found["media"].update(copies(stand, 2 if found["quick"] else 5))
            keep(found, figures, given.out)
            return
        # Before the load is ours.
        found = {"machine": machine(binary), "quick": given.quick}
        stand.make_clips(12)
        found["media"] = media(stand, 2 if given.quick else 5, 8)
        found["jobs"] = jobs(stand, given.quick)
    found["took_s"] = round(time.monotonic() - began)
    keep(found, figures, given.out)
    say(f"{given.out}/performance.md, after {found['took_s']} s; {figures} has all")


if __name__ == "__main__":
    main()
