"""The sample table of an MP4: what a player goes by, whatever the headers claim."""

import struct

# Boxes on the way to a track's times.
INSIDE = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}


def boxes(data: bytes, start: int, end: int):
    """Type, start and end of the content of each box in a range."""
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", data[start + 8 : start + 16])[0], 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            return
        yield kind, start + head, start + size
        start += size


def length(path: str) -> float:
    """Seconds that the samples of the first video track take up together; 0 if there is none."""
    with open(path, "rb") as file:
        data = file.read()
    for kind, start, end in boxes(data, 0, len(data)):
        if kind != b"moov":
            continue
        for kind, start, end in boxes(data, start, end):
            found = track(data, start, end) if kind == b"trak" else None
            if found:
                return found
    return 0.0


def track(data: bytes, start: int, end: int) -> float | None:
    """The same of one track, `None` if it is no video."""
    handler, scale, total = b"", 0, 0
    ranges = [(start, end)]
    while ranges:
        for kind, first, last in boxes(data, *ranges.pop()):
            if kind in INSIDE:
                ranges.append((first, last))
            elif kind == b"hdlr":
                handler = data[first + 8 : first + 12]
            elif kind == b"mdhd":
                at = first + (20 if data[first] == 1 else 12)
                scale = struct.unpack(">I", data[at : at + 4])[0]
            elif kind == b"stts":
                count = struct.unpack(">I", data[first + 4 : first + 8])[0]
                for n in range(count):
                    at = first + 8 + 8 * n
                    samples, delta = struct.unpack(">II", data[at : at + 8])
                    total += samples * delta
    return total / scale if handler == b"vide" and scale else None
