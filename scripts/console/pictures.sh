#!/usr/bin/env bash
# Makes the pictures of the README in docs/pictures, from a real run: sandbox and service on loopback,
# a job of each kind on the demo's clip, watched in Chromium while it goes on. Look at them afterwards.
#
#   scripts/console/pictures.sh          some minutes
#
# Exit codes: 0 made; 1 broken; 75 no Chromium, no Node.js, no ffmpeg.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-target}
home="$target/console"
# shellcheck source=scripts/service.sh
. scripts/service.sh

scripts/console.sh install
chromium=$(command -v chromium || command -v chromium-browser) || exit 75
command -v ffmpeg >/dev/null || exit 75

start_sandbox
token=console-operator-token
start_service <<END
[server]
listen = "127.0.0.1:0"
api_tokens = [{ token = "$token" }]
[watermark]
image = "$PWD/fixtures/logo.png"
anchor = "bottom-right"
[credits]
mode = "hold"
END
address=http://$address
"$filmlab" --config "$work/filmlab.toml" credits grant local 1000 --id pictures >/dev/null

clip=fixtures/bigbuckbunny.mp4
submit() {
    "$filmlab" submit --server "$address" --token "$token" --output "$work/results/$1" "$@" \
        >>"$work/submit.log" 2>&1 || { cat "$work/submit.log" >&2; exit 1; }
}
submit character_replace --video "$clip" --image fixtures/character.png --prompt "a hero at the window"
submit extend --video "$clip" --prompt "the camera moves on" --seconds 5 --resolution 720p
# One that fails: no video at all.
"$filmlab" submit upscale --server "$address" --token "$token" --output "$work/results/none" \
    --video "$0" >>"$work/submit.log" 2>&1 || true

mkdir -p "$work/life" docs/pictures
CONSOLE_MODULES=$PWD/$home/node_modules node scripts/console/pictures.js \
    "$address" "$token" "$work/life" "$chromium"

quiet=(ffmpeg -v error -nostdin -y)
for name in jobs job; do
    "${quiet[@]}" -i "$work/life/$name.png" \
        -vf "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=dither=bayer:bayer_scale=5" \
        "docs/pictures/$name.png"
done
"${quiet[@]}" -f concat -safe 0 -i "$work/life/frames.txt" \
    -vf "fps=10,scale=760:-2:flags=area,split[a][b];[a]palettegen=stats_mode=full:max_colors=128[p];[b][p]paletteuse=dither=none:diff_mode=rectangle" \
    docs/pictures/life.gif
# A frame of each result, side by side.
curl -sf -H "authorization: Bearer $token" "$address/v1/jobs/$(cat "$work/life/upscale")" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["result"]["video"])' |
    xargs curl -sf -o "$work/upscale.mp4"
"${quiet[@]}" -ss 3 -i "$work/results/character_replace/result.mp4" -ss 8 -i "$work/results/extend/result.mp4" \
    -ss 3 -i "$work/upscale.mp4" -frames:v 1 \
    -filter_complex "[0:v]scale=-2:270[a];[1:v]scale=-2:270[b];[2:v]scale=-2:270[c];[a][b][c]hstack=3" \
    -q:v 4 docs/pictures/results.jpg
du -b docs/pictures/*
