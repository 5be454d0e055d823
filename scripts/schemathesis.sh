#!/usr/bin/env bash
# Holds a running service to its OpenAPI document with schemathesis: no server error, no answer
# that is not documented, bodies and headers as described, what the schema allows accepted and
# what it forbids refused. A service and a sandbox provider on loopback, folders of its own.
#
#   scripts/schemathesis.sh            the whole document, about two minutes
#   scripts/schemathesis.sh install    only the program, in target/schemathesis
#   scripts/schemathesis.sh ARGUMENT…  arguments for `schemathesis run`
#
# Exit codes: 0 held; 1 broken; 75 the program cannot be had (no Python, no network).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
home="$target/schemathesis"
here=scripts/schemathesis

install() {
    local wanted
    wanted=$(sha256sum "$here/requirements.txt")
    [[ -f $home/wanted && $(<"$home/wanted") == "$wanted" ]] && return
    echo "schemathesis: installing into $home" >&2
    rm -rf "$home"
    mkdir -p "$home"
    if ! { python3 -m venv "$home/venv" && "$home/venv/bin/pip" install --quiet --disable-pip-version-check \
        --require-hashes --requirement "$here/requirements.txt"; } >"$home/log" 2>&1; then
        tail -n 3 "$home/log" >&2
        echo "schemathesis: it needs Python 3.11 with venv, and the package index" >&2
        exit 75
    fi
    echo "$wanted" >"$home/wanted"
}

# first LINE-PATTERN FILE: the first group, once a line shows it.
first() {
    local found
    for _ in {1..300}; do
        found=$(sed -nE "s|.*$1.*|\1|p" "$2" | head -n 1)
        [[ -z $found ]] || {
            echo "$found"
            return
        }
        sleep 0.1
    done
    cat "$2" >&2
    echo "schemathesis: a program did not start" >&2
    exit 1
}

install
[[ ${1:-} != install ]] || exit 0

cargo build --locked --quiet --bin filmlab
work=$(mktemp -d)
pids=()
# shellcheck disable=SC2317  # through the trap
stop() {
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap stop EXIT

"$target/debug/filmlab" sandbox --listen 127.0.0.1:0 >"$work/sandbox.log" 2>&1 &
pids+=($!)
sandbox=$(first '(http://127\.0\.0\.1:[0-9]+)' "$work/sandbox.log")

export FILMLAB_API_TOKEN=schemathesis-api-token FILMLAB_TASK_TOKEN=schemathesis-task-token
cat >"$work/filmlab.toml" <<END
[server]
listen = "127.0.0.1:0"
api_tokens = [{ token = "$FILMLAB_API_TOKEN" }]
task_token = "$FILMLAB_TASK_TOKEN"
[data]
dir = "$work/data"
[provider]
base_url = "$sandbox"
api_key = "sandbox"
END
"$target/debug/filmlab" --config "$work/filmlab.toml" serve >"$work/serve.log" 2>&1 &
pids+=($!)
address=$(first 'address=([0-9.]+:[0-9]+)' "$work/serve.log")

outcome=0
"$home/venv/bin/schemathesis" --config-file "$here/schemathesis.toml" run \
    "http://$address/openapi.json" --url "http://$address" "$@" || outcome=$?
if ! kill -0 "${pids[1]}" 2>/dev/null; then
    echo "schemathesis: the service is gone" >&2
    outcome=1
fi
if grep -q panicked "$work/serve.log"; then
    grep -m 3 -A 3 panicked "$work/serve.log" >&2
    outcome=1
fi
exit $outcome
