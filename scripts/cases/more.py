"""Further inputs of `make.sh`: tracks, crops, words. Run by it."""
import os
import random
import struct
import subprocess

from mkvw import u, vp8, webm
from mp4edit import add_to_visual_entry, load, rename_entry, save, set_flags, stsd_entry, trak

B, D, T = os.environ["B"], os.environ["TMPD"] + "/", int(os.environ["T"])


def ff(*arguments):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments], check=True)


# A photo that moves: 25 pictures a second, and a still track of more pixels.
ff("-f", "lavfi", "-i", f"testsrc=s=640x480:r=1:d={T}", "-c:v", "libx264", "-pix_fmt", "yuv420p", D + "still.mp4")
ff("-i", B, "-i", D + "still.mp4", "-map", "0:v", "-map", "0:a", "-map", "1:v", "-c", "copy", D + "photo.mp4")
r = load(D + "photo.mp4")
for t in trak(r, "vide"):
    set_flags(t, True)
save(r, "mp4-moving-photo.mp4", D + "photo.mp4")


# Clean aperture: a size, and the distance of its middle from the picture's.
def clap(width, height, x, y, name):
    r = load(B)
    v = trak(r, "vide")[0]
    numbers = struct.pack(">IIIIiIiI", width, 1, height, 1, x, 1, y, 1)
    add_to_visual_entry(v, struct.pack(">I4s", len(numbers) + 8, b"clap") + numbers)
    save(r, name, B)


clap(240, 180, 0, 0, "mp4-clap-240x180.mp4")
clap(320, 172, 0, 4, "mp4-clap-320x172-low.mp4")

# Matroska's crop, and the size that is shown.
w, h, frames, keys = vp8(["-i", B], D + "crop.ivf", ("-b:v", "250k"))
times = [40 * i for i in range(len(frames))]
crop = u(0x54BB, 40) + u(0x54AA, 40)
webm("mkv-crop-320x100.mkv", "V_VP8", w, h, frames, times, keys, unknown=False, doctype="matroska", vextra=crop)
shown = u(0x54B0, 320) + u(0x54BA, 100)
webm("mkv-crop-shown-320x100.mkv", "V_VP8", w, h, frames, times, keys, unknown=False, doctype="matroska", vextra=crop + shown)

# A file whose segment says how long it is, and one that breaks off.
webm("mkv-whole.mkv", "V_VP8", w, h, frames, times, keys, unknown=False, doctype="matroska", duration=1000.0 * T)
whole = open("mkv-whole.mkv", "rb").read()
open("mkv-cut.mkv", "wb").write(whole[: len(whole) * 2 // 3])
ff("-i", B, "-c:v", "mpeg4", "-q:v", "8", "-c:a", "libmp3lame", D + "whole.avi")
whole = open(D + "whole.avi", "rb").read()
open("avi-cut.avi", "wb").write(whole[: len(whole) * 2 // 3])

# Protected: Apple's shop, and common encryption without its boxes.
for four, name in ((b"drmi", "mp4-protected-by-a-shop.m4v"), (b"encv", "mp4-common-encryption.mp4")):
    r = load(B)
    rename_entry(trak(r, "vide")[0], four)
    save(r, name, B)


# Nothing but sound of a kind nobody knows.
r = load(B)
entry = b"apac" + bytes(6) + struct.pack(">H", 1) + bytes(8) + struct.pack(">HHHHI", 4, 16, 0, 0, 48000 << 16)
entry += struct.pack(">I4s", 16, b"dapa") + bytes(range(1, 9))
stsd_entry(trak(r, "soun")[0]).data = struct.pack(">III", 0, 1, len(entry) + 4) + entry
save(r, "mov-apac-only.mov", B)

# Two languages, and one that comes late in the order is the default.
ff("-i", B, "-map", "0:v", "-map", "0:a", "-map", "0:a", "-c:v", "copy", "-c:a:0", "aac", "-c:a:1", "ac3", "-ac:a:1", "2",
   "-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=eng", "-disposition:a:0", "0", "-disposition:a:1", "default",
   "mkv-two-languages.mkv")

# An audio track in the header of fragments, and none in them.
ff("-i", B, "-c", "copy", "-movflags", "+frag_keyframe+empty_moov+default_base_moof", D + "frag.mp4")
r = load(D + "frag.mp4")
kept = []
for box in r.kids:
    if box.t == b"moof":
        trafs = [k for k in box.kids if k.t == b"traf"]
        sound = [k for k in trafs if struct.unpack(">I", k.find("tfhd")[0].data[4:8])[0] == 2]
        for k in sound:
            # A run of no samples: the box stays, so that offsets stay.
            k.t = b"free"
            k.data, k.kids = b"".join(x.ser() for x in k.kids), None
    kept.append(box)
r.kids = kept
save(r, "mp4-fragments-without-the-sound.mp4")

# Pictures that move in formats of pictures.
ff("-f", "lavfi", "-i", "testsrc2=s=96x54:r=5:d=1", "-f", "apng", "-plays", "0", "animation.png")
ff("-f", "lavfi", "-i", "testsrc2=s=96x54:r=5:d=1", "-c:v", "libwebp_anim", "animation.webp")
open("photo.heic", "wb").write(struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic") + bytes(64))
open("photo.avif", "wb").write(struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"avif", 0, b"mif1", b"avif") + bytes(64))

# What camcorders, editing programs, discs and old phones write: DV, DNxHD, TrueHD, AMR.
PCM = ["-c:a", "pcm_s16le", "-ar", "48000", "-ac", "2"]
PAL = ["-t", "0.8", "-vf", "scale=720:576,setdar=4/3", "-c:v", "dvvideo", "-pix_fmt", "yuv420p", "-r", "25"]
ff("-i", B, *PAL, *PCM, "avi-dv-pcm.avi")
ff("-i", B, *PAL, *PCM, "mov-dv-pcm.mov")
HD = ["-t", "0.4", "-vf", "scale=1280:720", "-r", "25", "-c:v", "dnxhd", "-b:v", "60M", "-pix_fmt", "yuv422p"]
ff("-i", B, *HD, *PCM, "mov-dnxhd-pcm.mov")
ff("-i", B, "-c:v", "dnxhd", "-profile:v", "dnxhr_sq", "-pix_fmt", "yuv422p", *PCM, "mov-dnxhr-pcm.mov")
TRUEHD = ["-c:v", "copy", "-c:a", "truehd", "-strict", "-2", "-ar", "48000", "-ac", "2"]
ff("-i", B, *TRUEHD, "mkv-truehd.mkv")
ff("-i", B, *TRUEHD, "ts-truehd.ts")
# There is no encoder of AMR here: frames of its best mode whose bits are chance are noise.
chance = random.Random(int(os.environ["SEED"]))
for name, magic, head, size in (("nb", b"#!AMR\n", 0x3C, 31), ("wb", b"#!AMR-WB\n", 0x44, 60)):
    with open(D + name, "wb") as sound:
        sound.write(magic + b"".join(bytes([head]) + chance.randbytes(size) for _ in range(50 * T)))
    ff("-i", B, "-f", "amr", "-i", D + name, "-map", "0:v", "-map", "1:a", "-c", "copy", f"3gp-amr-{name}.3gp")
