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
# shellcheck source=scripts/service.sh
. scripts/service.sh

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

install
[[ ${1:-} != install ]] || exit 0

start_sandbox
export FILMLAB_API_TOKEN=schemathesis-api-token FILMLAB_TASK_TOKEN=schemathesis-task-token
start_service <<END
[server]
listen = "127.0.0.1:0"
api_tokens = [{ token = "$FILMLAB_API_TOKEN" }]
task_token = "$FILMLAB_TASK_TOKEN"
# Else a layer that names neither picture nor text is refused, as it should be.
[watermark]
image = "$PWD/fixtures/logo.png"
END

outcome=0
"$home/venv/bin/schemathesis" --config-file "$here/schemathesis.toml" run \
    "http://$address/openapi.json" --url "http://$address" "$@" || outcome=$?
if ! kill -0 "${pids[1]}" 2>/dev/null; then
    echo "schemathesis: the service is gone" >&2
    outcome=1
fi
no_panic || outcome=1
exit $outcome
