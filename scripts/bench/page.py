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
        rows.append((f"limit: the chain's `ffmpeg` call alone ÷ chain, wall: {entry['clip']}",
                     f"{entry['limit']['ratio']['wall']:.2f}", "–", "–"))
    for entry in media["deliverable"]:
        rows.append((f"the same, CPU: {entry['clip']}", f"{entry['ratio']['cpu']:.2f}", "–", "–"))
    call = media["call"]["ratio"]
    row("one pass, verified ÷ one `ffmpeg` call, wall", call["wall"], 1.0)
    row("the same, CPU", call["cpu"], 1.03)
    row("the same, peak memory", call["peak"], 0.70)
    row("CPU ÷ decoding alone + encoding alone", media["floor"]["ratio"]["cpu"], 1.05)
    row(f"peak memory, {media['times']} times as long", media["length"]["ratio"]["peak"], 1.05)
    times = lambda name: 1 / max(media[name]["ratio"]["wall"], 1e-9)
    long = media["deliverable"][-1]["clip"]
    row(f"copying, times faster than encoding: {long}", times("copy_long"), 20, least=True,
        show="{:.0f}")
    rows.append(("the same: 5 s, 720p, one group of pictures", f"{times('copy'):.0f}", "–", "–"))
    together, burst = media["together"], jobs["together"]["ratio"]
    many = jobs["together"]["jobs"]
    row(f"{many} jobs created together ÷ {many} chains started together, memory", burst["peak"], 0.25)
    row("the same, throughput", 1 / max(burst["wall"], 1e-9), 1.1, least=True)
    rows.append((f"{together['jobs']} passes at once in one process ÷ as many chains, memory",
                 f"{together['ratio']['peak']:.2f}", "–", "–"))
    rows.append(("the same, throughput", f"{1 / max(together['ratio']['wall'], 1e-9):.2f}", "–", "–"))
    ours, theirs = jobs["filmlab"], jobs["peer"]
    row("CPU of a job without its media, on one core, ms", jobs["road_ms"], 10, show="{:.1f}")
    row("start to the first 200, ms", ours["start_s"] * 1000, 20, show="{:.0f}")
    rows.append(("the same where the database is there", f"{ours['again_s'] * 1000:.0f}", "–", "–"))
    row("start ÷ the Python worker's", ours["start_s"] / theirs["start_s"], 0.05)
    for name, key in (("idle memory", "idle_bytes"), ("peak memory of the jobs", "peak_bytes")):
        rows.append((f"{name} ÷ the Python worker's", f"{ours[key] / theirs[key]:.2f}", "–", "–"))
    rows.append(("jobs a minute ÷ the Python worker's",
                 f"{ours['jobs_per_minute'] / theirs['jobs_per_minute']:.2f}", "–", "–"))
    return rows


def limits(found):
    """Why a row is where it is, in figures of the same run."""
    media, jobs = found["media"], found["jobs"]
    floor, call = media["floor"], media["call"]
    share = ", ".join(f"{e['limit']['ratio']['wall']:.2f} ({e['clip']})" for e in media["deliverable"])
    alone = floor["theirs"]["peak"]
    return f"""- **Whole deliverables.** The programs beside `ffmpeg` are all that can be saved of a chain, with the
  same decoder and the same encoder. A pass as fast as the chain's own call, with no look at the source,
  no poster, no storyboard and no verification, would stand at {share}.
- **CPU.** One pass, verified, takes {floor['ratio']['cpu']:.2f} of decoding alone and encoding alone.
- **Memory.** Decoding alone or encoding alone takes up to {alone / MIB:.0f} MiB, {alone / call['theirs']['peak']:.2f}
  of the whole call. filmlab's pass takes {call['ours']['peak'] / MIB:.0f} MiB. What x264 looks ahead is most of
  it; with fewer threads or a shorter look ahead it takes longer, or makes a larger file.
- **Copying.** A result is read back: its first and its last group of pictures are decoded. In a short
  clip that is all of it, so the gain grows with the length.
- **CPU of a job without its media.** {jobs['road_kernel_ms']:.1f} ms of the {jobs['road_ms']:.1f} are the kernel's: each step is
  on the disk before the next one begins, in the ledger, in the queue and in the store.
- **Start.** The program is loaded, and says its version, within {jobs['filmlab']['load_s'] * 1000:.0f} ms. What
  comes on top is the database, the certificates, the routes and the first request."""


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
    signing = [[e["clip"], *(f"{e['ratio'][name]:.3f}" for name in ("wall", "cpu", "peak")),
                *(f"{e[side]['wall'] * 1000:.0f} ms" for side in ("ours", "theirs"))]
               for e in media["signing"]]
    kept = f"{os.path.dirname(os.path.abspath(__file__))}/instructions.json"
    with open(kept, encoding="utf-8") as file:
        counts = json.load(file)
    many = jobs["many"]
    sizes = [size for _, size in many["memory"]]
    half = len(sizes) // 2
    quick = " It was a quick run: fewer repetitions." if found["quick"] else ""
    again = ""
    if "again" in found:
        a = found["again"]
        again = f"\nWhat is copied and signed was measured again on {a['date']}, with {a['filmlab']}."
    changed = ", with changes that are not committed" if m["changed"] else ""
    return f"""# Performance

Written by `make bench` on {m['date']}, in {found['took_s']} s, from revision {m['revision']}{changed}.
Do not edit: run it again.{quick}{again}

{m['processor']}, {m['cores']} cores, {m['memory_bytes'] / (1 << 30):.0f} GiB, Linux {m['kernel']};
one-minute load before the run {m['load']:.2f}. {m['filmlab']}, deployed build. Beside it:
{m['ffmpeg']}, Python {m['python']}.

Every ratio is ours ÷ theirs, measured side by side in one run (A B A B …): the median of the
ratios of the pairs. Both encode with x264, preset veryfast, crf 23, with the same mark and the
same rate cap. The chain is `ffprobe`, `ffmpeg`, `ffprobe`, and `ffmpeg` for a poster.

{table(["what", "measured", "target", ""], target_rows(found))}

![ratio by clip](performance/ratio.svg)

## What sets the limits

{limits(found)}

## In figures of this machine

{table(["clip", "", "wall", "CPU", "peak memory", "page faults", "bytes"], absolute)}

x264's rate cap: with it ÷ without it, CPU {media['cap']['ratio']['cpu']:.3f}.

## What signing costs

The same command with `--sign` ÷ without it (A B A B …), from start to end: a process of its own for
each run, which reads its key anew. The rows above are without a signature.

{table(["", "wall", "CPU", "peak memory", "wall signed", "wall unsigned"], signing)}

Differences of a few percent are the machine's. Counted instead of timed (`make bench-guard`), the manifest,
its signature and the reading of the key take {counts["sign"] / 1e6:.0f} million instructions: {counts["sign"] / counts["pass"]:.1%} of a pass over
one second of 720p, and a smaller part of a longer one.

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
