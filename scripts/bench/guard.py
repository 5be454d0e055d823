#!/usr/bin/env python3
"""A guard against getting slower: instructions that a fixed set of work takes, under callgrind.

  scripts/bench/guard.py FILMLAB [--record]

Counts are the same on a busy machine, unlike times. They are held against instructions.json beside
this file and may be 5 % more; --record writes them anew, which belongs into the commit that means
it, as the first run does. Exit code 1 where something takes more.
"""

import argparse
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import services

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KEPT = f"{HERE}/instructions.json"
MORE = 1.05


def count(command, folder):
    """Instructions of a whole process, which has a key of its own to sign with."""
    out = f"{folder}/callgrind.out"
    ran = subprocess.run(under(out) + command, capture_output=True, text=True, check=False, cwd=folder,
                         env=keyed(folder))
    if ran.returncode != 0:
        sys.exit(f"guard: {command} failed:\n{ran.stderr[-2000:]}")
    return counted(out)


def keyed(folder):
    return {**os.environ, "FILMLAB_DATA__DIR": f"{folder}/data"}


def under(out):
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--trace-children=no"]


def counted(out):
    with open(out, encoding="utf-8", errors="replace") as file:
        return int(re.findall(r"^(?:summary|totals): (\d+)", file.read(), re.MULTILINE)[-1])


def road(binary, folder):
    """A job from its document to its links, its video copied: what ten more of them take."""
    clip, image = f"{ROOT}/fixtures/generated/tiny.mp4", f"{ROOT}/fixtures/character.png"
    box, base = services.sandbox(binary, folder)
    counts = []
    try:
        for jobs in (2, 12):
            own = f"{folder}/{jobs}"
            os.makedirs(own)
            out = f"{own}/callgrind.out"
            side = services.Filmlab(binary, own, base, clip, image, None, under(out))
            try:
                side.prepare()
                for done in range(jobs):
                    side.create()
                    # From outside: to ask the service would be counted.
                    for _ in range(600):
                        if len(glob.glob(f"{own}/data/**/metadata.json", recursive=True)) > done:
                            break
                        time.sleep(0.1)
                    else:
                        sys.exit(f"guard: a job did not end:\n{open(side.service.log.name).read()[-2000:]}")
                    # The way from there to its notice.
                    time.sleep(1)
            finally:
                side.service.stop()
            counts.append(counted(out))
    finally:
        box.terminate()
        box.wait()
    return (counts[1] - counts[0]) // 10


def work(binary, folder):
    """Name and command. One thread, so that no waiting is counted."""
    clip, second = f"{ROOT}/fixtures/bigbuckbunny.mp4", f"{folder}/second.mp4"
    quiet = ["ffmpeg", "-v", "error", "-y", "-i", clip]
    subprocess.run(quiet + ["-t", "1", "-c:v", "libx264", "-preset", "veryfast", "-threads", "1",
                            "-c:a", "aac", "-movflags", "+faststart", second], check=True)
    process = [binary, "process", second, "-y", "--threads", "1"]
    return {
        "probe": [binary, "probe", second],
        "copy": process + ["-o", f"{folder}/copy.mp4"],
        "pass": process + ["-o", f"{folder}/pass.mp4", "--preset", "veryfast", "--crf", "23",
                           "--watermark", f"{ROOT}/fixtures/logo.png", "--poster",
                           f"{folder}/pass.jpg"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--record", action="store_true", help="write the counts anew")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        binary = os.path.abspath(given.binary)
        commands = work(binary, folder)
        found = {name: count(command, folder) for name, command in commands.items()}
        # The first run makes the key, which is not what a signature costs.
        signed = commands["pass"] + ["--sign"]
        subprocess.run(signed, capture_output=True, check=True, cwd=folder, env=keyed(folder))
        found["sign"] = count(signed, folder) - found["pass"]
        found["job"] = road(binary, folder)
    if not os.path.exists(KEPT):
        print(f"guard: nothing is kept yet; these are: {KEPT}")
        given.record = True
    if given.record:
        with open(KEPT, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)
            file.write("\n")
    with open(KEPT, encoding="utf-8") as file:
        kept = json.load(file)
    slower = False
    for name, instructions in found.items():
        if name not in kept:
            sys.exit(f"guard: {name} is not in {KEPT}: record it")
        ratio = instructions / kept[name]
        slower |= ratio > MORE
        verdict = "MORE than it may" if ratio > MORE else "less: record it" if ratio < 0.95 else "fine"
        print(f"{name:6} {instructions / 1e6:10.1f} million instructions, {ratio:.3f} of what is kept: {verdict}")
    sys.exit(slower)


if __name__ == "__main__":
    main()
