#!/usr/bin/env bash
# How long the first byte of each page takes where a single machine has a thousand jobs, and how large
# the pages are. The figures stand in docs/console.md.
#
#   scripts/console/measure.sh [JOBS]    some minutes
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-target}
# shellcheck source=scripts/service.sh
. scripts/service.sh
jobs=${1:-1000}

start_sandbox
start_service <<END
[server]
listen = "127.0.0.1:0"
END
address=http://$address
# Their input is not there: each runs its whole road to a failure.
for ((number = 0; number < jobs; number++)); do
    printf 'url = "%s/v1/jobs"\nheader = "content-type: application/json"\noutput = /dev/null\n' "$address"
    printf 'data = "{\\"kind\\": \\"upscale\\", \\"source\\": {\\"video\\": \\"sources/local/none/%s.mp4\\"}}"\n' "$number"
    ((number + 1 == jobs)) || echo next
done >"$work/jobs.curl"
curl -sfK "$work/jobs.curl"
for _ in {1..600}; do
    left=$(for status in queued processing; do
        curl -sf "$address/v1/jobs?limit=1&status=$status"
    done | grep -c '"id"') || break
    [[ $left != 0 ]] || break
    sleep 1
done
one=$(curl -sf "$address/v1/jobs?limit=1" | sed -nE 's/.*"id":"([a-z0-9]+)".*/\1/p')
for page in /console "/console?status=failed" "/console?text=990" /console/failures /console/money \
    /console/health /console/new "/console/jobs/$one"; do
    # The median and the worst of twenty.
    for _ in {1..20}; do
        curl -sf -o "$work/page" -w '%{time_starttransfer}\n' "$address$page"
    done | sort -n >"$work/times"
    printf '| %s | %.0f ms | %.0f ms | %d KB |\n' "${page/$one/ID}" \
        "$(sed -n 10p "$work/times" | awk '{print $1 * 1000}')" \
        "$(tail -n 1 "$work/times" | awk '{print $1 * 1000}')" "$(($(stat -c %s "$work/page") / 1000))"
done
