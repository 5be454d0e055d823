"""Writes docs/performance.md and its plots from the figures of a run: nothing is typed by hand.

  scripts/bench/page.py FIGURES.json [FOLDER]     draw them again
"""

import json
import os
import sys

import plots

MIB = 1 << 20


def mark(value, target, least=False):
    met = value >= target if least else value <= target
    return "met" if met else "**not met**"


def target_rows(found):
    media, jobs = found["media"], found["jobs"]
    rows = []

    def row(what, value, target, least=False, show="{:.2f}"):
        sign = "≥" if least else "≤"
        rows.append((what, show.format(value), f"{sign} {show.format(target)}",
                     mark(value, target, least)))

    for target, entry in zip((0.80, 0.65, 0.95), media["deliverable"]):
        row(f"whole deliverable ÷ chain, wall: {entry['clip']}", entry["ratio"]["wall"], target)
    for entry in media["deliverable"]:
        rows.append((f"the same, CPU: {entry['clip']}", f"{entry['ratio']['cpu']:.2f}", "–", "–"))
    call = media["call"]["ratio"]
    row("one pass, verified ÷ one `ffmpeg` call, wall", call["wall"], 1.0)
    row("the same, CPU", call["cpu"], 1.03)
    row("the same, peak memory", call["peak"], 0.70)
    row("CPU ÷ decoding alone + encoding alone", media["floor"]["ratio"]["cpu"], 1.05)
    row(f"peak memory, {media['times']} times as long", media["length"]["ratio"]["peak"], 1.05)
    copy = 1 / max(media["copy"]["ratio"]["wall"], 1e-9)
    row("copying, times faster than encoding", copy, 20, least=True, show="{:.0f}")
    together = media["together"]
    row(f"{together['jobs']} clips at once ÷ as many chains, memory", together["ratio"]["peak"], 0.25)
    row("the same, throughput", 1 / max(together["ratio"]["wall"], 1e-9), 1.1, least=True)
    ours, theirs = jobs["filmlab"], jobs["peer"]
    row("start to the first 200, ms", ours["start_s"] * 1000, 20, show="{:.0f}")
    row("start ÷ the Python worker's", ours["start_s"] / theirs["start_s"], 0.05)
    for name, key in (("idle memory", "idle_bytes"), ("peak memory of the jobs", "peak_bytes")):
        rows.append((f"{name} ÷ the Python worker's", f"{ours[key] / theirs[key]:.2f}", "–", "–"))
    rows.append(("jobs a minute ÷ the Python worker's",
                 f"{ours['jobs_per_minute'] / theirs['jobs_per_minute']:.2f}", "–", "–"))
    return rows


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def draw(found, folder):
    media, jobs = found["media"], found["jobs"]
    os.makedirs(folder, exist_ok=True)

    def save(name, text):
        with open(f"{folder}/{name}.svg", "w", encoding="utf-8") as file:
            file.write(text)

    entries = media["deliverable"]
    save("ratio", plots.bars("Whole deliverable ÷ chain of programs (1 is the same)", "",
         [(e["clip"], [e["ratio"]["wall"], e["ratio"]["cpu"]]) for e in entries],
         ["wall clock", "CPU"], line=1.0))
    save("memory", plots.bars("Peak memory by clips at once", " MiB",
         [(f"{n}", [ours / MIB, theirs / MIB]) for n, ours, theirs in media["memory"]],
         ["filmlab, one process", "chains of programs"]))
    stages = [(r["preset"], [(r["stages"][s]["cpu_ms"] or 0) / 1000 for s in ("open", "pass", "verify")])
              for r in media["presets"]["rows"]]
    save("stages", plots.bars("CPU of one pass by stage", " s", stages,
         ["open", "decode, mark, encode", "read back, poster"], stacked=True))
    save("jobs", plots.lines("Memory over many jobs", " MiB", "jobs done",
         [("filmlab", [(done, size / MIB) for done, size in jobs["many"]["memory"]])]))


def text(found):
    m, media, jobs = found["machine"], found["media"], found["jobs"]
    side = lambda e: [f"{e['wall']:.2f} s", f"{e['cpu']:.2f} s", f"{e['peak'] / MIB:.0f} MiB",
                      f"{e['faults']:,.0f}"]
    absolute = []
    for entry in media["deliverable"]:
        absolute.append([entry["clip"], "filmlab", *side(entry["ours"]), f"{entry['bytes'][0]:,}"])
        absolute.append([entry["clip"], "chain", *side(entry["theirs"]), f"{entry['bytes'][1]:,}"])
    presets = [[r["preset"], f"{r['wall_ms'] / 1000:.2f} s", f"{r['cpu_ms'] / 1000:.2f} s",
                f"{r['realtime']:.1f}", f"{r['bytes']:,}", f"{r['ssim']:.4f}",
                f"{(r['stages']['verify']['cpu_ms'] or 0) / max(r['stages']['pass']['cpu_ms'] or 1, 1):.1%}"]
               for r in media["presets"]["rows"]]
    service = [[name, f"{e['start_s'] * 1000:.0f} ms", f"{e['idle_bytes'] / MIB:.0f} MiB",
                f"{e['peak_bytes'] / MIB:.0f} MiB", f"{e['jobs_per_minute']:.1f}"]
               for name, e in (("filmlab", jobs["filmlab"]), ("Python and ffmpeg", jobs["peer"]))]
    many = jobs["many"]
    sizes = [size for _, size in many["memory"]]
    half = len(sizes) // 2
    quick = " It was a quick run: fewer repetitions, a shorter long clip." if found["quick"] else ""
    changed = ", with changes that are not committed" if m["changed"] else ""
    return f"""# Performance

Written by `make bench` on {m['date']}, in {found['took_s']} s, from revision {m['revision']}{changed}.
Do not edit: run it again.{quick}

{m['processor']}, {m['cores']} cores, {m['memory_bytes'] / (1 << 30):.0f} GiB, Linux {m['kernel']};
one-minute load before the run {m['load']:.2f}. {m['filmlab']}, deployed build. Beside it:
{m['ffmpeg']}, Python {m['python']}.

Every ratio is ours ÷ theirs, measured side by side in one run (A B A B …): the median of the
ratios of the pairs. Both encode with x264, preset veryfast, crf 23, with the same mark and the
same rate cap. The chain is `ffprobe`, `ffmpeg`, `ffprobe`, and `ffmpeg` for a poster.

{table(["what", "measured", "target", ""], target_rows(found))}

![ratio by clip](performance/ratio.svg)

## In figures of this machine

{table(["clip", "", "wall", "CPU", "peak memory", "page faults", "bytes"], absolute)}

x264's rate cap: with it ÷ without it, CPU {media['cap']['ratio']['cpu']:.3f}.

## Presets

`filmlab bench`, 5 s of 720p. The last column is the reading back, poster included, in CPU of the
pass.

{table(["preset", "wall", "CPU", "× real time", "bytes", "SSIM", "read back"], presets)}

{media['presets']['advice']}

![CPU by stage](performance/stages.svg)

## Memory

![memory by clips at once](performance/memory.svg)

## As a service

The same provider's stand-in, which answers at once; {jobs['filmlab']['jobs']} jobs are created
together. The Python worker is in `scripts/bench/peer/`; it lets as many chains run at once as this
machine has cores, keeps its jobs in a dictionary, and loses them when it ends.

{table(["", "start to the first 200", "idle memory", "peak memory", "jobs a minute"], service)}

{many['jobs']} jobs in a row: {max(sizes[:half] or [0]) / MIB:.0f} MiB at most in the first half,
{max(sizes[half:] or [0]) / MIB:.0f} MiB in the second.

![memory over many jobs](performance/jobs.svg)
"""


def write(found, folder):
    draw(found, f"{folder}/performance")
    with open(f"{folder}/performance.md", "w", encoding="utf-8") as file:
        file.write(text(found))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as figures:
        write(json.load(figures), sys.argv[2] if len(sys.argv) > 2 else "docs")
