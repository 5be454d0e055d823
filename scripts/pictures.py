#!/usr/bin/env python3
"""Draws fixtures/logo.png and fixtures/character.png.

Both pictures are committed; this script only documents how they came to be and
lets anyone change them. It needs nothing but the Python standard library.
Shapes are signed distance functions, so edges are anti-aliased by the distance
of a pixel's centre to the outline.
"""

import math
import pathlib
import struct
import zlib

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"


class Canvas:
    """Straight (not premultiplied) RGBA, all transparent at first."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.pixels = [(0.0, 0.0, 0.0, 0.0)] * (width * height)

    def paint(self, distance, box, colour, softness=1.0, opacity=1.0):
        """Lays `colour` where `distance` is negative, fading over `softness` pixels."""
        left, top, right, bottom = box
        for y in range(max(0, int(top)), min(self.height, math.ceil(bottom))):
            for x in range(max(0, int(left)), min(self.width, math.ceil(right))):
                cover = 0.5 - distance(x + 0.5, y + 0.5) / softness
                alpha = min(1.0, max(0.0, cover)) * opacity
                if alpha <= 0.0:
                    continue
                at = y * self.width + x
                r, g, b, a = self.pixels[at]
                out = alpha + a * (1.0 - alpha)
                keep = a * (1.0 - alpha)
                self.pixels[at] = (
                    (colour[0] * alpha + r * keep) / out,
                    (colour[1] * alpha + g * keep) / out,
                    (colour[2] * alpha + b * keep) / out,
                    out,
                )

    def ellipse(self, cx, cy, rx, ry, colour):
        # Exact for circles; for mild ellipses the error stays below the fade.
        small = min(rx, ry)
        self.paint(
            lambda x, y: (math.hypot((x - cx) / rx, (y - cy) / ry) - 1.0) * small,
            (cx - rx - 2, cy - ry - 2, cx + rx + 2, cy + ry + 2),
            colour,
        )

    def stroke(self, x0, y0, x1, y1, radius, colour):
        dx, dy = x1 - x0, y1 - y0
        length = dx * dx + dy * dy

        def distance(x, y):
            t = min(1.0, max(0.0, ((x - x0) * dx + (y - y0) * dy) / length))
            return math.hypot(x - x0 - t * dx, y - y0 - t * dy) - radius

        edge = radius + 2
        box = (min(x0, x1) - edge, min(y0, y1) - edge, max(x0, x1) + edge, max(y0, y1) + edge)
        self.paint(distance, box, colour)

    def rounded(self, left, top, right, bottom, radius, colour, softness=1.0):
        cx, cy = (left + right) / 2, (top + bottom) / 2
        hx, hy = (right - left) / 2 - radius, (bottom - top) / 2 - radius

        def distance(x, y):
            qx, qy = abs(x - cx) - hx, abs(y - cy) - hy
            outside = math.hypot(max(qx, 0.0), max(qy, 0.0))
            return outside + min(max(qx, qy), 0.0) - radius

        edge = softness
        self.paint(distance, (left - edge, top - edge, right + edge, bottom + edge), colour, softness)

    def triangle(self, corners, colour):
        def distance(x, y):
            worst = -1e9
            for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1]):
                nx, ny = by - ay, ax - bx
                worst = max(worst, ((x - ax) * nx + (y - ay) * ny) / math.hypot(nx, ny))
            return worst

        xs, ys = [c[0] for c in corners], [c[1] for c in corners]
        self.paint(distance, (min(xs) - 2, min(ys) - 2, max(xs) + 2, max(ys) + 2), colour)

    def write(self, path):
        rows = bytearray()
        for y in range(self.height):
            rows.append(0)
            for r, g, b, a in self.pixels[y * self.width : (y + 1) * self.width]:
                rows += bytes((round(r), round(g), round(b), round(a * 255)))

        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 6, 0, 0, 0)
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(bytes(rows), 9))
            + chunk(b"IEND", b"")
        )


def logo():
    """A flat red field (a wrong matrix shows in it at once), a white mark, a soft edge."""
    canvas = Canvas(400, 120)
    white = (255, 255, 255)
    canvas.rounded(6, 6, 394, 114, 22, (255, 0, 0), softness=12)
    # A strip of film with its perforations, and a play mark in the frame.
    canvas.rounded(30, 30, 130, 90, 8, white)
    canvas.triangle([(66, 44), (98, 60), (66, 76)], (255, 0, 0))
    for x in (38, 114):
        for y in (36, 50, 64, 78):
            canvas.rounded(x, y, x + 8, y + 6, 1, (255, 0, 0))
    # Bars in place of letters: no font is needed and none can change.
    canvas.rounded(150, 42, 340, 54, 6, white)
    canvas.rounded(150, 68, 280, 80, 6, white)
    return canvas


def character():
    """A standing figure on a transparent ground, feet near the lower edge."""
    canvas = Canvas(512, 768)
    ink, skin, hair = (38, 36, 52), (246, 200, 160), (122, 62, 28)
    shirt, trousers, shoe = (36, 140, 210), (58, 62, 110), (214, 58, 54)

    def limb(x0, y0, x1, y1, radius, colour):
        canvas.stroke(x0, y0, x1, y1, radius + 5, ink)
        canvas.stroke(x0, y0, x1, y1, radius, colour)

    for side in (-1, 1):
        limb(256 + side * 46, 500, 256 + side * 62, 700, 34, trousers)
        limb(256 + side * 66, 728, 256 + side * 104, 730, 22, shoe)
    # One arm waves, one hangs: left and right can be told apart.
    limb(180, 372, 108, 262, 26, shirt)
    limb(104, 254, 100, 232, 26, skin)
    limb(332, 372, 386, 490, 26, shirt)
    limb(390, 500, 394, 516, 26, skin)
    canvas.rounded(161, 315, 351, 545, 64, ink)
    canvas.rounded(166, 320, 346, 540, 60, shirt)
    canvas.triangle([(256, 384), (290, 444), (222, 444)], (255, 214, 64))
    canvas.stroke(256, 290, 256, 330, 26, skin)
    canvas.ellipse(256, 176, 129, 137, ink)
    canvas.ellipse(256, 150, 124, 116, hair)
    canvas.ellipse(256, 196, 112, 112, skin)
    canvas.ellipse(200, 110, 70, 36, hair)
    canvas.ellipse(290, 104, 84, 34, hair)
    for side in (-1, 1):
        canvas.ellipse(256 + side * 44, 190, 22, 28, (255, 255, 255))
        canvas.ellipse(256 + side * 44 + 4, 194, 11, 14, ink)
        canvas.ellipse(256 + side * 44 + 8, 188, 4, 4, (255, 255, 255))
        canvas.ellipse(256 + side * 74, 232, 18, 12, (240, 150, 130))
    for step in range(12):
        a, b = (math.pi * (0.2 + 0.05 * (step + i)) for i in (0, 1))
        canvas.stroke(
            256 + 52 * math.cos(a), 222 + 36 * math.sin(a),
            256 + 52 * math.cos(b), 222 + 36 * math.sin(b),
            5, ink,
        )
    return canvas


if __name__ == "__main__":
    logo().write(FIXTURES / "logo.png")
    character().write(FIXTURES / "character.png")
