#!/usr/bin/env bash
# Makes fixtures/generated/: small files, each named by the one trait it has.
# fixtures/README.md says what each is for. The product never starts the
# `ffmpeg` program; only this script and the tests do.
#
#   scripts/fixtures.sh          one line of summary
#   scripts/fixtures.sh -v       say what is being made
#   scripts/fixtures.sh --force  make them even if they are up to date
#
# The files are the same on every run with the same ffmpeg: no dates, no
# encoder names with versions, fixed thread counts, seeded noise.
# Exit codes: 0 made or up to date; 69 no `ffmpeg` program; other: ffmpeg failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out="$root/fixtures/generated"
verbose=
force=
for arg in "$@"; do
    case $arg in
        -v) verbose=1 ;;
        --force) force=1 ;;
        *) echo "usage: scripts/fixtures.sh [-v] [--force]" >&2; exit 64 ;;
    esac
done

if ! command -v ffmpeg >/dev/null; then
    echo "fixtures: the ffmpeg program is needed to make them: apt-get install ffmpeg" >&2
    exit 69
fi

# Two test runs may start at once; the directory itself is the lock.
exec 9<"$root/fixtures"
flock 9

stamp=$({ cat "${BASH_SOURCE[0]}" "$root"/scripts/cases/* "$root/fixtures/logo.png"; ffmpeg -version | head -n 1; } | sha256sum | cut -d' ' -f1)
if [[ -z $force && -f $out/.stamp && $(<"$out/.stamp") == "$stamp" ]]; then
    echo "fixtures: up to date"
    exit 0
fi

started=$SECONDS
work=$(mktemp -d "$root/fixtures/generated.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
skipped=()
encoders=$(ffmpeg -hide_banner -v quiet -encoders | awk '{ print $2 }')

has_encoder() { grep -qx -- "$1" <<<"$encoders"; }

# ff NAME [ffmpeg arguments]: the last argument of ffmpeg is always the file NAME.
ff() {
    local name=$1
    shift
    [[ -z $verbose ]] || echo "fixtures: $name"
    # One thread: with two, the outcome varied from run to run.
    ffmpeg -nostdin -hide_banner -v error -y "$@" -threads 1 -map_metadata -1 \
        -fflags +bitexact -flags:v +bitexact -flags:a +bitexact "$name" 9<&- || {
        echo "fixtures: ffmpeg failed on $name" >&2
        return 1
    }
}

# Sources. A moving test picture with a frame counter, and a plain tone.
picture() { echo "testsrc2=size=$1:rate=$2:duration=$3"; }
tone() { echo "sine=frequency=440:sample_rate=48000:duration=$1"; }

h264=(-c:v libx264 -preset veryfast -crf 23 -pix_fmt yuv420p -g 24)
aac=(-c:a aac -b:a 96k -ac 2)
both() { input=(-f lavfi -i "$(picture "$1" "$2" "$3")" -f lavfi -i "$(tone "$3")"); }

# be32 N...: big-endian 32-bit words.
be32() {
    local word
    for word in "$@"; do
        # shellcheck disable=SC2059  # the format is the data: octal escapes
        printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $((word >> 24 & 255)) $((word >> 16 & 255)) $((word >> 8 & 255)) $((word & 255)))"
    done
}

# display_matrix FILE A B C D X Y: overwrites the matrix of the first track.
# By hand, since the option for it differs between ffmpeg 5 and 7.
display_matrix() {
    local file=$1 at
    shift
    at=$(grep -abo tkhd "$file" | head -n 1 | cut -d: -f1)
    # 4 bytes of type and 40 of version 0 header fields precede the matrix.
    be32 "$(($1 * 65536))" "$(($2 * 65536))" 0 "$(($3 * 65536))" "$(($4 * 65536))" 0 \
        "$(($5 * 65536))" "$(($6 * 65536))" $((1 << 30)) |
        dd of="$file" bs=1 seek=$((at + 44)) conv=notrunc status=none
}

# ---- the plain ones ---------------------------------------------------------
both 320x180 24 2
ff tiny.mp4 "${input[@]}" "${h264[@]}" "${aac[@]}" -movflags +faststart
ff no-audio.mp4 -i tiny.mp4 -map 0:v -c copy -movflags +faststart
ff audio-only.m4a -f lavfi -i "$(tone 2)" "${aac[@]}" -f ipod
ff single-frame.mp4 -f lavfi -i "$(picture 320x180 24 1)" -frames:v 1 "${h264[@]}"
both 180x320 30 2
ff portrait.mp4 "${input[@]}" "${h264[@]}" "${aac[@]}" -movflags +faststart

# ---- codecs -----------------------------------------------------------------
both 320x180 24 1
ff vp9-opus.webm "${input[@]}" -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 200k -c:a libopus -b:a 64k
ff vp8-vorbis.webm "${input[@]}" -c:v libvpx -deadline realtime -cpu-used 8 -b:v 300k -c:a libvorbis -ac 2
if has_encoder libx265; then
    x265=(-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -tag:v hvc1)
    ff hevc-10bit.mp4 "${input[@]}" "${x265[@]}" -x265-params log-level=error:info=0:pools=2:frame-threads=1 "${aac[@]}"
    ff hdr-pq.mp4 "${input[@]}" -vf format=yuv420p10le "${x265[@]}" "${aac[@]}" \
        -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc \
        -x265-params log-level=error:info=0:pools=2:frame-threads=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc
    ff hdr-hlg.mp4 "${input[@]}" -vf format=yuv420p10le "${x265[@]}" "${aac[@]}" \
        -color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc \
        -x265-params log-level=error:info=0:pools=2:frame-threads=1:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc
else
    skipped+=("hevc-10bit.mp4, hdr-pq.mp4 and hdr-hlg.mp4 (this ffmpeg has no libx265)")
fi
if has_encoder libaom-av1; then
    ff av1.mp4 "${input[@]}" -c:v libaom-av1 -cpu-used 8 -usage realtime -row-mt 0 -b:v 200k "${aac[@]}"
elif has_encoder libsvtav1; then
    ff av1.mp4 "${input[@]}" -c:v libsvtav1 -preset 12 -crf 40 "${aac[@]}"
else
    skipped+=("av1.mp4 (this ffmpeg has no AV1 encoder)")
fi
ff prores.mov -f lavfi -i "$(picture 320x180 24 0.5)" -f lavfi -i "$(tone 0.5)" -c:v prores_ks -profile:v standard -pix_fmt yuv422p10le -c:a pcm_s16le
ff mjpeg.avi "${input[@]}" -c:v mjpeg -q:v 6 -pix_fmt yuvj420p -c:a pcm_s16le
ff mpeg4-mp3.avi "${input[@]}" -c:v mpeg4 -q:v 6 -c:a libmp3lame -ac 2
ff animation.gif -f lavfi -i "$(picture 160x90 10 1)"

# ---- geometry ---------------------------------------------------------------
# libx264 refuses odd sizes in 4:2:0; MPEG-4 part 2 does not.
# The test picture is always even, hence the scaling.
both 384x216 24 1
ff odd-size.mp4 "${input[@]}" -vf scale=321:181 -c:v mpeg4 -q:v 5 "${aac[@]}"
ff odd-size-444.mp4 "${input[@]}" -vf format=yuv444p,scale=321:181 "${h264[@]}" -pix_fmt yuv444p "${aac[@]}"
both 320x180 24 1
ff rotate90.mp4 "${input[@]}" "${h264[@]}" "${aac[@]}" -movflags +faststart
display_matrix rotate90.mp4 0 1 -1 0 180 0
# Rotated and mirrored: what a front camera may write.
cp rotate90.mp4 rotated.tmp.mp4
ff rotate90-flip.mov -i rotated.tmp.mp4 -c copy
display_matrix rotate90-flip.mov 0 1 1 0 0 0
ff rotate180.mp4 -i rotated.tmp.mp4 -c copy
display_matrix rotate180.mp4 -1 0 0 -1 320 180
rm rotated.tmp.mp4
# 320x240 stored, 16:9 shown.
both 320x240 24 1
ff sar.mp4 "${input[@]}" -vf setsar=4/3 "${h264[@]}" "${aac[@]}"
ff size-a.ts -f lavfi -i "$(picture 320x180 24 1)" "${h264[@]}" -bf 0
ff size-b.ts -f lavfi -i "$(picture 240x240 24 1)" "${h264[@]}" -bf 0 -output_ts_offset 1
cat size-a.ts size-b.ts >resolution-change.ts
rm size-a.ts size-b.ts

# ---- colour and pixel formats -------------------------------------------------
both 320x180 24 1
ff full-range.mp4 "${input[@]}" -vf scale=out_range=full:out_color_matrix=bt709,format=yuv420p "${h264[@]}" \
    -color_range pc -colorspace bt709 -color_primaries bt709 -color_trc bt709 "${aac[@]}"
ff yuv444-10bit.mkv "${input[@]}" "${h264[@]}" -pix_fmt yuv444p10le -c:a flac
ff yuv422.mkv "${input[@]}" "${h264[@]}" -pix_fmt yuv422p -c:a libopus -b:a 64k

# ---- time -------------------------------------------------------------------
# One second at 60 fps, one at 12, one at 20: gaps of 1, 5 and 3 ticks of 1/60 s.
ff vfr.mp4 -f lavfi -i "$(picture 320x180 60 3)" -f lavfi -i "$(tone 3)" \
    -vf "select='lt(n,60)+between(n,60,119)*not(mod(n,5))+gte(n,120)*not(mod(n,3))'" -fps_mode passthrough \
    "${h264[@]}" "${aac[@]}" -video_track_timescale 90000
ff late-audio.mp4 -f lavfi -i "$(picture 320x180 24 2)" -itsoffset 0.75 -f lavfi -i "$(tone 1.25)" "${h264[@]}" "${aac[@]}"
# Begins half a second after its first key frame: those frames are there and not shown.
ff edit-list.mp4 -ss 0.5 -i tiny.mp4 -c copy -movflags +faststart
ff start-offset.ts -i tiny.mp4 -c copy -output_ts_offset 3600.5
both 320x180 24 3
ff b-frames-open-gop.mp4 "${input[@]}" -c:v libx264 -preset veryfast -crf 23 -pix_fmt yuv420p \
    -x264-params open-gop=1:bframes=3:b-pyramid=normal:keyint=24:min-keyint=24:scenecut=0 "${aac[@]}"
# All video first, all audio behind it: reading it in order seeks at every packet.
ff non-interleaved.mp4 "${input[@]}" "${h264[@]}" "${aac[@]}" -chunk_duration 60000000 -max_interleave_delta 0

# ---- sound and other tracks --------------------------------------------------
# A tone of its own in each of the six channels, so a lost or swapped one shows.
ff surround.mp4 -f lavfi -i "$(picture 320x180 24 1)" -f lavfi \
    -i "aevalsrc=exprs=sin(2*PI*300*t)/4|sin(2*PI*500*t)/4|sin(2*PI*700*t)/4|sin(2*PI*60*t)/4|sin(2*PI*900*t)/4|sin(2*PI*1100*t)/4:c=5.1:s=48000:d=1" \
    "${h264[@]}" -c:a aac -b:a 256k
ff mono-22k.mp4 -f lavfi -i "$(picture 320x180 24 1)" -f lavfi -i "$(tone 1)" "${h264[@]}" -c:a aac -ac 1 -ar 22050
ff cover-art.mp4 -i tiny.mp4 -i "$root/fixtures/logo.png" -map 0:v -map 0:a -map 1:v -c copy -disposition:v:1 attached_pic
printf '1\n00:00:00,000 --> 00:00:01,000\nNot a picture.\n' >subtitle.tmp.srt
ff subtitle.mkv -i tiny.mp4 -i subtitle.tmp.srt -map 0 -map 1 -c copy
rm subtitle.tmp.srt
# The only one with metadata: a title, a comment, a place in the middle of the Pacific, and a
# data track as action cameras write it (`gpmd`). No program makes one, so a track of texts is
# renamed: its handler and its format, both four letters.
printf '1\n00:00:00,000 --> 00:00:01,000\nGPS 20.0000 S 130.0000 W\n' >gps.tmp.srt
ffmpeg -nostdin -hide_banner -v error -y -i tiny.mp4 -i gps.tmp.srt -map 0 -map 1 -c copy -c:s mov_text \
    -fflags +bitexact -metadata title="A title" -metadata location="-20.0000-130.0000/" \
    -metadata comment="private" -f mp4 gps.tmp 9<&-
LC_ALL=C sed -e 's/tx3g/gpmd/' -e 's/sbtl/meta/' gps.tmp >gps.mp4
rm gps.tmp gps.tmp.srt

# ---- damaged ----------------------------------------------------------------
size=$(stat -c %s tiny.mp4)
head -c $((size * 6 / 10)) tiny.mp4 >truncated.mp4
# 2 KiB of zeros in the middle of the media data; the index stays whole.
cp tiny.mp4 damaged.mp4
dd if=/dev/zero of=damaged.mp4 bs=1 seek=$((size / 2)) count=2048 conv=notrunc status=none

# ---- not videos, or not ones that are let in ----------------------------------
printf 'This is a text, whatever its name says.\n' >text.mp4
: >empty.mp4
ffmpeg -nostdin -hide_banner -v error -y -f lavfi -i anoisesrc=seed=7:sample_rate=48000:duration=1 -f s16le noise.mp4 9<&-
cp "$root/fixtures/logo.png" picture.mp4
# Port 9 of the loopback: whoever opens it is caught, and nothing answers.
printf '%s\n' '#EXTM3U' '#EXT-X-VERSION:3' '#EXT-X-TARGETDURATION:10' '#EXTINF:5.0,' 'file:///etc/passwd' \
    '#EXTINF:5.0,' 'http://127.0.0.1:9/segment.ts' '#EXT-X-ENDLIST' >playlist.m3u8
cp playlist.m3u8 playlist.mp4
printf '%s\n' 'ffconcat version 1.0' "file 'file:///etc/passwd'" "file 'http://127.0.0.1:9/part.mp4'" >concat.mp4
both 160x90 12 1
ff unsupported-codec.mkv "${input[@]}" -c:v ffv1 -c:a flac
ff unsupported-codec.avi "${input[@]}" -c:v wmv2 -c:a pcm_s16le
ff unsupported-format.wmv "${input[@]}" -c:v wmv2 -c:a wmav2

# ---- what people bring ---------------------------------------------------------
# Files of phones, browsers, cameras and editors, each with one trait of its own.
# `SEED=2 T=3 scripts/cases/make.sh FOLDER` makes others of the same kinds.
[[ -z $verbose ]] || echo "fixtures: cases"
bash "$root/scripts/cases/make.sh" "$work/cases" >/dev/null 9<&- || {
    echo "fixtures: scripts/cases/make.sh failed" >&2
    exit 1
}

echo "$stamp" >.stamp
count=$(find . -type f ! -name .stamp | wc -l)
bytes=$(du -sk . | cut -f1)
chmod 755 "$work"
rm -rf "$out"
mv "$work" "$out"
trap - EXIT
for line in ${skipped[@]+"${skipped[@]}"}; do
    echo "fixtures: SKIPPED $line" >&2
done
echo "fixtures: made $count files, $bytes KiB, in $((SECONDS - started)) s"
