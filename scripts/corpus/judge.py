"""Holds what filmlab did beside what `ffprobe` and `ffmpeg` see, and says whether it is right.

What differs by design is taken from filmlab's own report, never from the name of a file."""

import json
import os
from dataclasses import asdict, dataclass, field

import table
from child import Bounds, run
from reference import MOMENTS, Picture, Reference, Sound, ratio

# What docs/media.md says is taken. A refusal of anything else is a decision, not a fault.
CONTAINERS = {
    *("mov", "mp4", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "gif"),
}
VIDEO = {
    *("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "prores", "gif", "mpeg1video"),
    *("mpeg2video", "h263", "flv1", "dvvideo", "msmpeg4v2", "msmpeg4v3", "dnxhd"),
}
SOUND = {
    *("aac", "aac_latm", "mp2", "mp3", "opus", "vorbis", "flac", "ac3", "eac3", "dts", "truehd"),
    *("alac", "amr_nb", "amr_wb", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_ms", "pcm_bluray"),
}
# Marks of encrypted tracks: as ffprobe names them, and in the headers, where it looks behind them.
ENCRYPTED = {"encv", "enca", "drmi", "drms", "drmt"}
SEALS = (b"encv", b"enca", b"tenc", b"pssh")
# The program's limits (docs/media.md).
LONGEST, STREAMS, PIXELS, SIDE, FASTEST, BYTES = 1800.0, 32, 8192 * 4608, 16384, 1000, 8 << 30
# Documented exit statuses: done, the input's fault. All others are ours.
DONE, INPUT = 0, 65

# The least likeness of a frame: grain at the profile's quality has 0.93, and pixels that are made
# square lose more.
LIKE = 0.85
# Half a frame at 60/s, and what timescales of containers round away.
MOMENT = 0.010


@dataclass
class Build:
    """One filmlab to be held against the reference."""

    name: str
    program: str


@dataclass
class Row:
    """What became of one file with one build."""

    file: str
    build: str
    verdict: str = ""
    code: str = ""
    says: str = ""
    differences: dict = field(default_factory=dict)
    ways: dict = field(default_factory=dict)
    seconds: float = 0.0


class Source:
    """One file as the reference sees it; looked at once for all builds."""

    def __init__(self, path: str, reference: Reference):
        self.path = path
        self.reference = reference
        found, self.complaints = reference.streams(path)
        self.format = found.get("format", {})
        streams = found.get("streams", [])
        self.streams = streams
        self.video = [
            s
            for s in streams
            if s.get("codec_type") == "video"
            and not s.get("disposition", {}).get("attached_pic")
            and not s.get("disposition", {}).get("timed_thumbnails")
        ]
        self.audio = [s for s in streams if s.get("codec_type") == "audio"]
        self._pictures: dict[int, tuple[Picture, str, bool]] = {}
        self._sounds: dict[int, Sound] = {}

    def picture(self, stream: dict) -> Picture:
        return self._looked_at(stream)[0]

    def damaged(self, stream: dict) -> bool:
        """Whether the decoder complained of it, or never ended."""
        _, complaints, hung = self._looked_at(stream)
        return bool(complaints) or hung

    def _looked_at(self, stream: dict):
        index = stream["index"]
        if index not in self._pictures:
            self._pictures[index] = self.reference.picture(self.path, index)
        return self._pictures[index]

    def sound(self, stream: dict) -> Sound:
        index = stream["index"]
        if index not in self._sounds:
            rate = int(stream.get("sample_rate") or 0)
            sound = self.reference.sound(self.path, index, rate)
            if stream.get("codec_name", "").startswith("amr"):
                # Of several frames in a packet ffmpeg decodes the first alone.
                sound.seconds = float(stream.get("duration") or sound.seconds)
            self._sounds[index] = sound
        return self._sounds[index]

    def plays(self) -> bool:
        """Whether ffmpeg gets a moving picture out of it."""
        return any(len(self.picture(stream).times) > 1 for stream in self.video)

    def sealed(self) -> bool:
        """Whether its first megabyte has headers of encryption."""
        with open(self.path, "rb") as file:
            head = file.read(1 << 20)
        return any(seal in head for seal in SEALS)

    def summary(self) -> dict:
        """For the report."""
        return {
            "format": self.format.get("format_name"),
            "video": [s.get("codec_name") for s in self.video],
            "audio": [s.get("codec_name") for s in self.audio],
            "frames": [len(self.picture(s).times) for s in self.video],
            "complaints": self.complaints.strip()[:300],
        }


def justified(code: str, source: Source) -> str | None:
    """Why a refusal is right, or `None`."""
    video = source.video
    known = set((source.format.get("format_name") or "").split(",")) & CONTAINERS
    tags = {s.get("codec_tag_string") for s in source.streams}
    damaged = bool(source.complaints.strip()) or any(source.damaged(s) for s in video)
    if not source.format:
        return "ffprobe cannot open it"
    if not video:
        return "ffprobe finds no video"
    if not any(source.picture(s).times for s in video):
        return "ffmpeg decodes no frame of it"
    if code == "unsupported_format" and not known:
        return "this container is not taken"
    if code in ("not_a_video", "no_video_stream", "unsupported_format") and not source.plays():
        return "ffmpeg decodes one picture"
    if code == "unsupported_codec":
        if tags & ENCRYPTED or source.sealed():
            return "it is encrypted"
        if any(s.get("codec_name") not in VIDEO for s in video):
            return "this picture is not taken"
        if source.audio and not any(sound_is_taken(s) for s in source.audio):
            return "this sound is not taken"
    if code == "hdr_not_supported":
        for stream in video:
            for data in stream.get("side_data_list", []):
                if data.get("dv_profile") == 5 or data.get("dv_bl_signal_compatibility_id") == 0:
                    return "Dolby Vision that others cannot show"
    if code in ("truncated", "damaged_media", "frames_missing", "not_decodable") and damaged:
        return "ffmpeg complains of damage"
    if code == "truncated":
        claimed = float(source.format.get("duration") or 0)
        held = max(source.picture(s).end for s in video)
        if held < 0.98 * claimed - 0.1:
            return "it holds less than it claims"
    limits = {
        "too_long": max(source.picture(s).end for s in video) > LONGEST,
        "too_many_streams": len(source.streams) > STREAMS,
        "input_too_large": os.path.getsize(source.path) > BYTES,
        "too_many_pixels": any(
            s.get("width", 0) * s.get("height", 0) > PIXELS
            or max(s.get("width", 0), s.get("height", 0)) > SIDE
            for s in video
        ),
        "frame_rate_too_high": any(
            sum(1 for at in source.picture(s).times if at < source.picture(s).times[0] + 1)
            > FASTEST
            for s in video
            if source.picture(s).times
        ),
    }
    return "it is beyond the limit" if limits.get(code) else None


def sound_is_taken(stream: dict) -> bool:
    codec = stream.get("codec_name") or ""
    return codec in SOUND or codec.startswith("pcm_")


class Judge:
    """Runs builds of filmlab over files."""

    def __init__(self, reference: Reference, bounds: Bounds, folder: str, extra: list[str]):
        self.reference = reference
        self.bounds = bounds
        self.folder = folder
        self.extra = extra

    def row(self, build: Build, source: Source, name: str) -> Row:
        """Probes and processes a file, and says how that went."""
        row = Row(file=name, build=build.name)
        probe = run([build.program, "probe", source.path, "--json"], self.bounds, self.folder)
        row.seconds += probe.seconds
        if self._ended_badly(row, "probe", probe, source):
            return row
        if probe.status == DONE:
            self._hold_probe(row, json.loads(probe.out), source)
        # As most jobs are; what is copied then is encoded too.
        again = True
        for way, flags in (("as it is", []), ("encoded", ["--crf", "21"])):
            if not again:
                break
            report = self._process(row, build, source, way, flags)
            if report is None:
                break
            again = report["plan"]["video"]["action"] == "copy"
        row.verdict = row.verdict or ("different" if row.differences else "right")
        row.seconds = round(row.seconds, 2)
        return row

    def _ended_badly(self, row: Row, what: str, ended, source: Source) -> bool:
        """Notes a refusal or a fault of ours."""
        if ended.status == DONE:
            return False
        lines = [line for line in ended.err.splitlines() if line.startswith("filmlab: ")]
        said = lines[-1].removeprefix("filmlab: ") if lines else ended.err.strip()[-300:]
        row.code, _, row.says = said.partition(": ") if lines else ("", "", said)
        if ended.status != INPUT or not row.code:
            row.verdict = "broken"
            row.says = f"{what} {ended.words()}. {said}".strip()
            return True
        why = justified(row.code, source)
        row.verdict = "right" if why else "refused"
        if why:
            row.says += f" [{why}]"
        return True

    def _process(self, row: Row, build: Build, source: Source, way: str, flags: list[str]):
        out = os.path.join(self.folder, f"{os.getpid()}-{id(row)}.mp4")
        told = out + ".json"
        ended = run(
            [build.program, "process", source.path, "--output", out, "--report", told, "-y"]
            + flags
            + self.extra,
            self.bounds,
            self.folder,
        )
        row.seconds += ended.seconds
        try:
            if self._ended_badly(row, f"process ({way})", ended, source):
                return None
            with open(told, encoding="utf-8") as file:
                report = json.load(file)
            self._hold(row, way, report, source, out)
            return report
        finally:
            for file in (out, told):
                if os.path.exists(file):
                    os.remove(file)

    def _hold_probe(self, row: Row, probe: dict, source: Source):
        stream = self._stream(probe, source)
        if stream is None:
            return
        picture = source.picture(stream)
        # How long a single frame stands is what the header says.
        if len(picture.times) < 2 or source.damaged(stream):
            return
        track = self._track(probe, source)
        zero, end = picture.times[0], picture.end
        if track is not None:
            sound = source.sound(track)
            if sound.seconds:
                zero = min(zero, sound.start)
                end = max(end, sound.start + sound.seconds)
        said = probe["container"]["duration_ms"] / 1000
        if not said:
            # The file does not claim any.
            return
        # Headers may count another frame than the decoder, and the sound's padding.
        if abs(said - (end - zero)) > max(0.15, 0.03 * (end - zero), 1.5 * picture.interval):
            row.differences["length"] = f"probe says {said:.2f} s, there are {end - zero:.2f}"

    def _stream(self, probe: dict, source: Source) -> dict | None:
        """The video stream that a probe speaks of."""
        video = probe.get("video")
        if not video:
            return None
        alike = [s for s in source.video if s.get("codec_name") == video["codec"]]
        same = [
            s
            for s in alike
            if (s.get("width"), s.get("height")) == (video["width"], video["height"])
        ]
        found = same or alike or source.video
        return next((s for s in found if s.get("disposition", {}).get("default")), None) or (
            found[0] if found else None
        )

    def _track(self, probe: dict, source: Source) -> dict | None:
        """The track of sound that a probe speaks of; else the one that should be there."""
        audio = probe.get("audio")
        if audio:
            number = audio.get("track") or 1
            return source.audio[number - 1] if number <= len(source.audio) else None
        return next((s for s in source.audio if sound_is_taken(s)), None)

    def _hold(self, row: Row, way: str, report: dict, source: Source, out: str):
        if not source.format:
            # A later FFmpeg than that of the programs reads it: there is nothing to hold it against.
            row.says = "[ffprobe cannot open it: not compared]"
            return
        differences = {}
        stream = self._stream(report["source"], source)
        found, _ = self.reference.streams(out)
        streams = found.get("streams", [])
        video = next((s for s in streams if s.get("codec_type") == "video"), None)
        audio = next((s for s in streams if s.get("codec_type") == "audio"), None)
        if stream is None or video is None:
            row.differences["frames"] = "there is no picture"
            return
        theirs = source.picture(stream)
        ours, complaints, _ = self.reference.picture(out, video["index"])
        # With B-frames the last one shown is not the last of the sample table, whose sum counts as
        # far as the track is shown at all.
        shown = float(video.get("duration") or 0)
        held = min(table.length(out), shown) + (ours.times[0] if ours.times else 0.0)
        if ours.times and held > ours.end:
            ours.last = held - ours.times[-1]
        if complaints and not source.complaints:
            differences["frames"] = f"the result is damaged: {complaints[:120]}"
        track = self._track(report["source"], source)
        heard = source.sound(track) if track is not None else Sound()
        starts = theirs.times[:1] + ([heard.start] if heard.seconds else [])
        zero = min(starts, default=0.0)
        if not ours.times or not theirs.times:
            differences["frames"] = f"{len(ours.times)} instead of {len(theirs.times)}"
        else:
            differences |= self._frames(report, ours, theirs, zero)
            differences |= self._length(report, ours, theirs, zero, source, stream)
            differences |= self._size(report, ours, theirs, stream)
        if audio is None and heard.seconds:
            differences["sound"] = f"{heard.seconds:.2f} s of it are gone"
        elif audio is not None:
            made = self.reference.sound(out, audio["index"], int(audio["sample_rate"]))
            differences |= self._sound(made, heard, zero)
        likeness = None
        if "frames" not in differences and ours.times and theirs.times:
            likeness, why = self._likeness(report, source, stream, ours, theirs, zero, out, row)
            if likeness and likeness["ssim"]["worst"] < LIKE:
                differences["picture"] = f"SSIM {likeness['ssim']['worst']} at the worst"
            elif likeness is None and why is None:
                differences["picture"] = "frames are not found at the same times"
        row.ways[way] = {
            "plan": report["plan"]["video"]["action"],
            "frames": len(ours.times),
            "seconds": round(ours.end, 3),
            "likeness": likeness,
        }
        for what, words in differences.items():
            row.differences.setdefault(what, f"{way}: {words}")

    def _frames(self, report: dict, ours: Picture, theirs: Picture, zero: float) -> dict:
        have, want = len(ours.times), len(theirs.times)
        damage = report["damage"]
        # Frames that could not be decoded or stood at the same moment may be counted by one alone.
        slack = damage["bad_packets"] + damage["bad_frames"] + damage["dropped_frames"]
        cap = report["plan"]["video"].get("fps")
        if cap:
            want = len({int((at - zero) * cap + 0.5) for at in theirs.times})
            slack += 2 + want // 50
        distinct = len({round(at, 6) for at in theirs.times})
        if min(want, distinct) - slack <= have <= max(want, distinct) + slack:
            return {}
        return {"frames": f"{have} instead of {want}"}

    def _length(self, report, ours, theirs, zero, source: Source, stream) -> dict:
        end = theirs.end - zero
        # A last frame without a length stands as long as the file says that it lasts.
        claimed = float(stream.get("duration") or source.format.get("duration") or 0)
        most = max(end, claimed if not theirs.last else 0)
        slack = max(0.06, 1.5 * theirs.interval)
        cap = report["plan"]["video"].get("fps")
        if cap:
            slack += 1 / cap
        if not (end - slack <= ours.end <= most + slack) and not report["damage"]["truncated"]:
            return {"length": f"{ours.end:.3f} s instead of {end:.3f}"}
        if not cap and len(ours.times) == len(theirs.times):
            # The first may stand longer, from 0 on.
            pairs = list(zip(ours.times, theirs.times))[1:]
            late = [(abs(a - (b - zero)), n) for n, (a, b) in enumerate(pairs, 1)]
            worst, at = max(late, default=(0.0, 0))
            if worst > MOMENT + 0.1 * theirs.interval:
                return {"length": f"frame {at} is {worst * 1000:.0f} ms off"}
        return {}

    def _size(self, report: dict, ours: Picture, theirs: Picture, stream: dict) -> dict:
        said = report["source"]["video"]
        width, height, shape = theirs.size
        shapes = {shape, ratio(stream.get("sample_aspect_ratio"))}
        if said.get("crop"):
            # Older programs do not apply the container's; its display size is that of what is left.
            width, height = said["crop"][2:]
            shapes = {ratio(said.get("sample_aspect_ratio"))}
        turned = turn(stream) % 180 == 90
        possible = []
        for pixel in shapes:
            square = abs(pixel - 1) < 0.005
            wide, high = (width if square else width * pixel), height
            if turned:
                wide, high = high, wide
                # It is the shown width that changes.
                if not square:
                    wide, high = wide / pixel, high / pixel
            possible.append((wide, high))
        have = ours.size[:2]
        most = report["plan"]["video"]
        if most["action"] == "encode" and (most["width"], most["height"]) != have:
            return {"size": f"{have[0]}x{have[1]}, not as planned"}
        for wide, high in possible:
            if abs(have[0] - wide) <= 2.5 and abs(have[1] - high) <= 2.5:
                return {}
        wide, high = possible[0]
        return {"size": f"{have[0]}x{have[1]} instead of {wide:.0f}x{high:.0f}"}

    def _sound(self, made: Sound, heard: Sound, zero: float) -> dict:
        if not heard.seconds:
            return {"sound": "there is some where ffmpeg decodes none"} if made.seconds else {}
        if abs(made.seconds - heard.seconds) > max(0.1, 0.01 * heard.seconds):
            return {"sound": f"{made.seconds:.2f} s instead of {heard.seconds:.2f}"}
        if abs(made.start - (heard.start - zero)) > 0.06:
            return {"sound": f"begins at {made.start:.3f} s instead of {heard.start - zero:.3f}"}
        if (heard.mean or 0) > -60 and made.mean is not None and made.mean < -80:
            return {"sound": f"silent, and {heard.mean} dB before"}
        return {}

    def _likeness(self, report, source, stream, ours, theirs, zero, out, row):
        """What the pictures have in common, or why they are not compared."""
        plan = report["plan"]["video"]
        if plan.get("tone_map"):
            return None, "HDR becomes standard range"
        size = ours.size[:2]
        if min(size) < 48:
            return None, "too small to compare"
        count = len(ours.times)
        places = sorted({round((n + 0.5) * count / MOMENTS - 0.5) for n in range(MOMENTS)})
        places = [place for place in places if 0 <= place < count]
        pairs = []
        for place in places:
            at = ours.times[place]
            if count == len(theirs.times):
                nearest = theirs.times[place]
            else:
                nearest = min(theirs.times, key=lambda time: abs(time - zero - at))
            pairs.append((at, nearest))
        # One still each: two of ours never come of one of theirs, nor the other way round.
        pairs = list({theirs: (ours, theirs) for ours, theirs in pairs}.values())
        before, first, chain = undo(report, stream, theirs, size)
        name = os.path.join(self.folder, f"{os.getpid()}-{id(row)}")
        files = [name + ".ours", name + ".theirs"]
        try:
            mine = [at for at, _ in pairs]
            self.reference.stills(out, 0, mine, ("", "format=yuv420p"), size, [], files[0])
            wanted = [at for _, at in pairs]
            filters = (first, chain)
            self.reference.stills(
                source.path, stream["index"], wanted, filters, size, before, files[1]
            )
            return self.reference.likeness(*files, size), None
        finally:
            for file in (*files, files[0] + ".log.s", files[0] + ".log.p"):
                if os.path.exists(file):
                    os.remove(file)


def turn(stream: dict) -> int:
    """Degrees that the stream is turned by for display."""
    for data in stream.get("side_data_list", []):
        if "rotation" in data:
            return int(data["rotation"]) % 360
    return 0


def undo(report: dict, stream: dict, theirs: Picture, size) -> tuple[list[str], str, str]:
    """What ffmpeg is told so that it does by hand what filmlab does by itself: for the decoder,
    before a frame is picked, and after that."""
    said, plan = report["source"]["video"], report["plan"]["video"]
    chain, before = [], []
    first = ""
    if theirs.interlaced and plan.get("deinterlace", "off") == "auto":
        # By the frames' own flags: progressive ones pass.
        first = "bwdif=mode=send_frame:deint=interlaced"
    form = stream.get("pix_fmt") or ""
    codec = stream.get("codec_name")
    tagged = (stream.get("tags") or {}).get("alpha_mode") == "1"
    see_through = tagged or any(mark in form for mark in ("yuva", "rgba", "argb", "bgra", "pal8"))
    if tagged and codec in ("vp8", "vp9"):
        # ffmpeg's own decoders drop it.
        before = ["-c:v", "libvpx" if codec == "vp8" else "libvpx-vp9"]
    if see_through or "gif" == codec:
        light = 0 if plan.get("background") == "black" else 255
        chain.append(
            f"format=rgba,split[top][under];[under]lutrgb=r={light}:g={light}:b={light}:a=255[paper];"
            "[paper][top]overlay=format=auto"
        )
    if said.get("crop"):
        left, top, width, height = said["crop"]
        chain.append(f"crop={width}:{height}:{left}:{top}")
    width, height = size
    if theirs.sizes > 1:
        # Bars, where the shape is another one.
        chain.append(
            f"scale={width}:{height}:force_original_aspect_ratio=decrease:out_range=tv,"
            f"pad={width}:{height}:-1:-1"
        )
    else:
        chain.append(f"scale={width}:{height}:out_range=tv")
    chain.append("format=yuv420p")
    return before, first, ",".join(chain)


def as_json(row: Row) -> dict:
    return asdict(row)
