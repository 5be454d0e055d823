#!/usr/bin/env bash
# Looks at the console in a real browser: service and sandbox provider on loopback, one job of each
# kind made, then scripts/console/run.js. Pictures of every page are left in target/console/pages.
#
#   scripts/console.sh            the whole, about a minute
#   scripts/console.sh install    only the packages, in target/console
#
# Exit codes: 0 held; 1 broken; 75 no Chromium, no Node.js, or the packages cannot be had.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
home="$target/console"
here=scripts/console
# shellcheck source=scripts/service.sh
. scripts/service.sh

install() {
    local browser
    for browser in chromium chromium-browser; do
        chromium=$(command -v "$browser") && break
    done
    if [[ -z ${chromium:-} ]] || ! command -v npm >/dev/null; then
        echo "console: it needs chromium, nodejs and npm" >&2
        exit 75
    fi
    cmp -s "$here/package-lock.json" "$home/wanted" && return
    echo "console: installing into $home" >&2
    mkdir -p "$home"
    cp "$here/package.json" "$here/package-lock.json" "$home/"
    if ! (cd "$home" && npm ci --ignore-scripts --no-audit --no-fund) >"$home/log" 2>&1; then
        tail -n 3 "$home/log" >&2
        echo "console: the packages of $here/package.json cannot be had" >&2
        exit 75
    fi
    cp "$here/package-lock.json" "$home/wanted"
}

install
[[ ${1:-} != install ]] || exit 0

start_sandbox
token=console-operator-token
start_service <<END
[server]
listen = "127.0.0.1:0"
api_tokens = [
    { token = "$token" },
    { token = "console-viewer-token", role = "viewer" },
    { token = "console-alice-token-1", owner = "alice" },
]
[watermark]
image = "$PWD/fixtures/logo.png"
anchor = "bottom-right"
END
address=http://$address

clip=fixtures/generated/tiny.mp4
[[ -f $clip ]] || clip=fixtures/bigbuckbunny.mp4
submit() {
    "$filmlab" submit --server "$address" --token "$token" --output "$work/results" "$@" \
        >>"$work/submit.log" 2>&1
}
submit upscale --video "$clip" --target 720p || { cat "$work/submit.log" >&2; exit 1; }
# One that fails: no video at all.
submit upscale --video "$here/run.js" || true

pages=$home/pages
rm -rf "$pages"
mkdir -p "$pages"
outcome=0
CONSOLE_MODULES=$PWD/$home/node_modules node "$here/run.js" "$address" "$token" "$pages" "$chromium" \
    "$clip" "$sandbox" || outcome=$?
no_panic || outcome=1
exit $outcome
