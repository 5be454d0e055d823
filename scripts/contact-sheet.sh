#!/usr/bin/env bash
# For each fixture with a trait: the source as the `ffmpeg` program shows it beside
# our result with the mark, in var/contact/<fixture>.png, and all of them on
# var/contact/sheet.png. To be looked at: a wrong colour, a stretched circle or a
# picture on its side is seen at once and measured only by whoever expects it.
#
#   scripts/contact-sheet.sh [fixture ...]     without names: all that are videos
#
# Environment: FILMLAB, the program (default: target/debug/filmlab, built if missing).
# Exit codes: 0 done; 1 a fixture was refused or `ffmpeg` failed; 69 no `ffmpeg`.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
if ! command -v ffmpeg >/dev/null; then
    echo "contact-sheet: the ffmpeg program is needed: apt-get install ffmpeg" >&2
    exit 69
fi
scripts/fixtures.sh >/dev/null
program=${FILMLAB:-${CARGO_TARGET_DIR:-target}/debug/filmlab}
[[ -x $program ]] || cargo build --locked --quiet

refused='^(text|empty|noise|picture|playlist|concat|unsupported|audio-only|truncated)'
if (($#)); then
    names=("$@")
else
    mapfile -t names < <(cd fixtures/generated && printf '%s\n' -- * | grep -vE "$refused|^--$")
fi

out=var/contact
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
count=0

# still FILE TIME FILTER PNG: one frame, squared and turned as a player shows it.
still() {
    ffmpeg -nostdin -v error -y -i "$1" -map 0:v:0 -ss "$2" \
        -vf "$3scale='trunc(iw*sar/2)*2:ih',setsar=1,scale=400:300:force_original_aspect_ratio=decrease:flags=lanczos,pad=400:300:(ow-iw)/2:(oh-ih)/2:0x404040" \
        -frames:v 1 "$4"
}

for name in "${names[@]}"; do
    source=fixtures/generated/$name
    # HDR is shown with the same curve we use; anything else as it is.
    curve=
    case $name in
        hdr-*) curve='zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p,' ;;
    esac
    # Past the change of size, and not past the end of the shortest.
    at=0.3
    case $name in
        single-frame*) at=0 ;;
        resolution-change*) at=1.5 ;;
    esac
    if ! "$program" process "$source" -o "$work/result.mp4" -y --watermark fixtures/logo.png \
        --scale 30% --crf 18 >"$work/log" 2>&1; then
        echo "contact-sheet: $name: $(tail -n 1 "$work/log")" >&2
        failed=1
        continue
    fi
    still "$source" "$at" "$curve" "$work/source.png" || failed=1
    still "$work/result.mp4" "$at" "" "$work/result.png" || failed=1
    ffmpeg -nostdin -v error -y -i "$work/source.png" -i "$work/result.png" \
        -filter_complex "[0][1]hstack,drawtext=text='$name':x=6:y=6:fontsize=20:fontcolor=white:box=1:boxcolor=black" \
        "$out/$name.png" 2>/dev/null ||
        ffmpeg -nostdin -v error -y -i "$work/source.png" -i "$work/result.png" \
            -filter_complex hstack "$out/$name.png"
    cp "$out/$name.png" "$work/sheet-$(printf '%03d' "$count").png"
    count=$((count + 1))
done

if ((count)); then
    ffmpeg -nostdin -v error -y -i "$work/sheet-%03d.png" -vf "scale=560:-2,tile=3x$(((count + 2) / 3)):padding=4" \
        -frames:v 1 "$out/sheet.png"
fi
echo "contact-sheet: $count pairs in $out"
exit "$failed"
