"""Holds builds of filmlab against `ffprobe` and `ffmpeg`, with every file of a folder.

  python3 scripts/corpus FOLDER NAME=PROGRAM [NAME=PROGRAM …]

PROGRAM is a filmlab, NAME what the table calls it. Every file of the folder and its sub-folders is
probed, processed as most jobs are and, if that was a copy, encoded. Nothing is written to the folder.

  OUT      also write everything as JSON to this file
  TIMEOUT  seconds for one program and one file (300)
  MEMORY   MiB for one program (4096)
  TOGETHER how many files at a time (half of the cores)
  PRESET   x264's, where it encodes (veryfast)
  ONLY     only files whose path holds this word

Exit code 0 if all is right; 1 if something is not; 64 for wrong use; 69 if ffmpeg is missing.
"""

import concurrent.futures
import json
import os
import pathlib
import shutil
import sys
import tempfile
from collections import Counter

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from child import Bounds, run  # noqa: E402
from judge import Build, Judge, Row, Source, as_json  # noqa: E402
from reference import Reference  # noqa: E402

WORDS = ["right", "refused", "different", "broken"]


def stop(code: int, words: str):
    print(f"corpus: {words}", file=sys.stderr)
    sys.exit(code)


def setting(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or int(text) < 1:
        stop(64, f"{name} is no number above 0: {text}")
    return int(text)


def files(folder: pathlib.Path):
    """All files below a folder, in order; what begins with a dot is left alone."""
    only = os.environ.get("ONLY") or ""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if path.is_file() and not hidden and only in str(inside):
            yield path


def line(row: Row) -> str:
    verdict = f"refused ({row.code})" if row.verdict == "refused" else row.verdict
    if row.verdict == "right" and row.code:
        verdict = f"right ({row.code})"
    if row.verdict == "different":
        said = "; ".join(f"{what}: {words}" for what, words in sorted(row.differences.items()))
    else:
        said = row.says
    return f"{row.build:<10} {verdict:<30} {row.file}  {said}".rstrip()


def main() -> int:
    arguments = sys.argv[1:]
    if len(arguments) < 2 or not all("=" in pair for pair in arguments[1:]):
        stop(64, "usage: scripts/corpus FOLDER NAME=PROGRAM [NAME=PROGRAM …]")
    folder = pathlib.Path(arguments[0]).resolve()
    if not folder.is_dir():
        stop(64, f"{folder} is no folder")
    builds = [Build(*pair.split("=", 1)) for pair in arguments[1:]]
    for build in builds:
        build.program = str(pathlib.Path(build.program).resolve())
        if not os.access(build.program, os.X_OK):
            stop(64, f"{build.program} is no program")
    for program in ("ffmpeg", "ffprobe"):
        if shutil.which(program) is None:
            stop(69, f"{program} is missing: scripts/setup.sh fixtures")
    seconds, memory = setting("TIMEOUT", 300), setting("MEMORY", 4096) << 20
    together = setting("TOGETHER", max(1, (os.cpu_count() or 2) // 2))
    bounds = Bounds(seconds, memory)
    extra = ["--preset", os.environ.get("PRESET") or "veryfast"]
    paths = list(files(folder))
    rows, seen = [], {}
    with tempfile.TemporaryDirectory(prefix="filmlab-corpus-") as room:
        reference = Reference(bounds, room)
        judge = Judge(reference, bounds, room, extra)

        def look(path: pathlib.Path):
            name = str(path.relative_to(folder))
            source = Source(str(path), reference)
            found = [judge.row(build, source, name) for build in builds]
            return name, source.summary(), found

        with concurrent.futures.ThreadPoolExecutor(together) as pool:
            for name, summary, found in pool.map(look, paths):
                seen[name] = summary
                rows += found
                for row in found:
                    print(line(row), flush=True)
        versions = {build.name: version(build.program, bounds, room) for build in builds}
        versions["ffmpeg"] = version("ffmpeg", bounds, room, "-version")
    summary = {build.name: summed([r for r in rows if r.build == build.name]) for build in builds}
    print(f"\n{len(paths)} files")
    for name, counts in summary.items():
        print(f"\n{name}: " + ", ".join(f"{counts[word]} {word}" for word in WORDS))
        for what in ("rightly_refused", "refused_codes", "different_in"):
            if counts[what]:
                inside = ", ".join(f"{n} {key}" for key, n in counts[what].items())
                print(f"  {what.replace('_', ' ')}: {inside}")
    out = os.environ.get("OUT")
    if out:
        report = {
            "folder": str(folder),
            "programs": versions,
            "bounds": {"seconds": seconds, "bytes": memory},
            "summary": summary,
            "files": seen,
            "rows": [as_json(row) for row in rows],
        }
        with open(out, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1, ensure_ascii=False)
            file.write("\n")
    return 0 if all(row.verdict == "right" for row in rows) else 1


def version(program: str, bounds: Bounds, room: str, flag: str = "--version") -> str:
    lines = run([program, flag], bounds, room).out.decode("utf-8", "replace").splitlines()
    return lines[0] if lines else ""


def summed(rows: list[Row]) -> dict:
    """The numbers of one build."""
    counts = Counter(row.verdict for row in rows)
    refusals = lambda word: Counter(r.code for r in rows if r.verdict == word and r.code)  # noqa: E731
    return {
        **{word: counts[word] for word in WORDS},
        "rightly_refused": dict(refusals("right").most_common()),
        "refused_codes": dict(refusals("refused").most_common()),
        "different_in": dict(
            Counter(what for r in rows if r.verdict == "different" for what in r.differences)
            .most_common()
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
