"""What `ffprobe` and `ffmpeg` see in a file: streams, frames with their times, sound, and how alike
two pictures are."""

import json
import os
import re
import statistics
from collections import Counter
from dataclasses import dataclass, field

from child import Bounds, run

# How many moments of a video are held beside each other.
MOMENTS = 8


@dataclass
class Picture:
    """The frames of one video stream, in the order they are shown."""

    times: list[float] = field(default_factory=list)
    # How long the last one stands, if the file says so.
    last: float = 0.0
    # Width, height and shape of a pixel of what is shown longest.
    size: tuple[int, int, float] = (0, 0, 1.0)
    sizes: int = 0
    interlaced: bool = False

    @property
    def interval(self) -> float:
        """From one frame to the next, as a rule."""
        gaps = [b - a for a, b in zip(self.times, self.times[1:]) if b > a]
        return statistics.median(gaps) if gaps else (self.last or 0.04)

    @property
    def end(self) -> float:
        """When the last frame goes."""
        return self.times[-1] + (self.last or self.interval) if self.times else 0.0


@dataclass
class Sound:
    """The samples of one track."""

    start: float = 0.0
    seconds: float = 0.0
    # dBFS, all channels together; `None` if nothing was decoded.
    mean: float | None = None


class Reference:
    """`ffprobe` and `ffmpeg` on one machine."""

    def __init__(self, bounds: Bounds, folder: str):
        self.bounds = bounds
        self.folder = folder

    def streams(self, path: str) -> tuple[dict, str]:
        """Format and streams as JSON, empty if it cannot be opened, and what was said."""
        ended = run(
            ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", path],
            self.bounds,
            self.folder,
        )
        try:
            found = json.loads(ended.out or b"{}")
        except ValueError:
            found = {}
        return (found if "format" in found else {}), ended.err

    def _frames(self, path: str, index: int, entries: str, before: list[str]):
        ended = run(
            ["ffprobe", "-v", "error", *before, "-select_streams", str(index), "-show_entries"]
            + [f"frame={entries}:frame_side_data=", "-of", "compact=p=0:nk=0", path],
            self.bounds,
            self.folder,
        )
        frames = []
        for line in ended.out.decode("utf-8", "replace").splitlines():
            fields = dict(part.split("=", 1) for part in line.split("|") if "=" in part)
            if fields:
                frames.append(fields)
        return frames, ended.err.strip(), ended.hung

    def picture(self, path: str, index: int) -> tuple[Picture, str, bool]:
        """All frames of a stream, what the decoder complained of, and whether it hung."""
        frames, complaints, hung = self._frames(
            path,
            index,
            "best_effort_timestamp_time,pkt_duration_time,duration_time,width,height,"
            "sample_aspect_ratio,interlaced_frame",
            [],
        )
        picture, shown = Picture(), Counter()
        rows = []
        for frame in frames:
            at = number(frame.get("best_effort_timestamp_time"))
            if at is None:
                # Without a time it stands one frame behind the one before.
                step = rows[-1][0] - rows[-2][0] if len(rows) > 1 else 0.001
                at = rows[-1][0] + step if rows else 0.0
            stands = number(frame.get("duration_time")) or number(frame.get("pkt_duration_time"))
            rows.append((at, stands or 0.0, frame))
        rows.sort(key=lambda row: row[0])
        for position, (at, stands, frame) in enumerate(rows):
            until = rows[position + 1][0] if position + 1 < len(rows) else at + stands
            key = (
                int(frame.get("width") or 0),
                int(frame.get("height") or 0),
                ratio(frame.get("sample_aspect_ratio")),
            )
            shown[key] += max(until - at, 0.001)
            picture.times.append(at)
            picture.last = stands
            picture.interlaced |= frame.get("interlaced_frame") == "1"
        if shown:
            picture.size = shown.most_common(1)[0][0]
            picture.sizes = len({key[:2] for key in shown})
        return picture, complaints, hung

    def sound(self, path: str, index: int, rate: int) -> Sound:
        """All samples of a track, and how loud they are."""
        frames, _, _ = self._frames(path, index, "best_effort_timestamp_time,nb_samples", [])
        sound = Sound()
        samples = sum(int(frame.get("nb_samples") or 0) for frame in frames)
        if not samples or not rate:
            return sound
        starts = [number(frame.get("best_effort_timestamp_time")) for frame in frames]
        sound.start = next((at for at in starts if at is not None), 0.0)
        sound.seconds = samples / rate
        ended = run(
            ["ffmpeg", "-nostdin", "-hide_banner", "-v", "info", "-nostats", "-i", path]
            + ["-map", f"0:{index}", "-af", "volumedetect", "-f", "null", "-"],
            self.bounds,
            self.folder,
        )
        said = re.search(r"mean_volume: (-?[0-9.]+|-inf) dB", ended.err)
        if said:
            sound.mean = -120.0 if said[1] == "-inf" else float(said[1])
        return sound

    def stills(self, path: str, index: int, times: list[float], chain, size, before, out: str):
        """Writes the frames that stand at these times, of one size, one behind the other."""
        # By time and not by number: a size that changes begins the filters anew.
        wanted = "+".join(f"lt(abs(t-{at:.6f})\\,0.0006)" for at in times)
        filters = [part for part in (chain[0], f"select={wanted}", chain[1]) if part]
        run(
            ["ffmpeg", "-nostdin", "-v", "error", "-y", *before, "-copyts", "-i", path]
            + ["-map", f"0:{index}", "-vf", ",".join(filters), "-fps_mode", "passthrough"]
            + ["-s", f"{size[0]}x{size[1]}", "-f", "rawvideo", out],
            self.bounds,
            self.folder,
        )

    def likeness(self, ours: str, theirs: str, size) -> dict | None:
        """SSIM and PSNR of two rows of stills: mean and the worst of them."""
        frame = size[0] * size[1] * 3 // 2
        try:
            counts = [os.path.getsize(name) // frame for name in (ours, theirs)]
        except OSError:
            return None
        if counts[0] != counts[1] or not counts[0]:
            return None
        raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{size[0]}x{size[1]}", "-r", "25"]
        log = os.path.join(self.folder, os.path.basename(ours) + ".log")
        ended = run(
            ["ffmpeg", "-nostdin", "-v", "error", *raw, "-i", ours, *raw, "-i", theirs, "-lavfi"]
            + [f"[0][1]ssim=f={log}.s;[0][1]psnr=f={log}.p", "-f", "null", "-"],
            self.bounds,
            self.folder,
        )
        found = {}
        for name, file, pattern in (
            ("ssim", ".s", r"All:([0-9.]+)"),
            ("psnr", ".p", r"psnr_avg:([0-9.]+|inf)"),
        ):
            try:
                with open(log + file, encoding="ascii") as lines:
                    values = [float(v) for v in re.findall(pattern, lines.read())]
            except OSError:
                return None
            if not values:
                return None
            # Equal pictures: a number that JSON has.
            values = [min(value, 100.0) for value in values]
            found[name] = {
                "mean": round(statistics.mean(values), 4),
                "worst": round(min(values), 4),
            }
        return found if ended.status == 0 else None


def number(text: str | None) -> float | None:
    """A number of ffprobe's, which writes N/A where there is none."""
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def ratio(text: str | None) -> float:
    """A shape such as 4:3; what is not said is square."""
    try:
        over, under = (text or "1:1").replace("/", ":").split(":")
        value = float(over) / float(under)
    except (ValueError, ZeroDivisionError):
        return 1.0
    return value if value > 0 else 1.0
