#!/usr/bin/env bash
# One official Firestore emulator for a whole test run.
#
#   scripts/emulator.sh start   starts it if need be, waits until it answers, prints host:port
#   scripts/emulator.sh stop    ends it, its Java child too
#
# It binds 127.0.0.1 on a free port, holds everything in memory and enforces firestore.rules on
# callers that are not the project's owner. Its pid, address and log lie in target/emulator.
#
# Exit codes: 0 done; 64 wrong use; 69 not installed (how to get it is printed); 75 it did not
# come up in time (the end of its log is printed).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Of this checkout, not of CARGO_TARGET_DIR, which several checkouts may share.
state=target/emulator

answers() { (exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null; }

# The leader of the process group that `start` made, if it still is what it was.
leader() {
    local pid
    pid=$(cat "$state/pid" 2>/dev/null) || return 1
    [[ $(ps -o args= -p "$pid" 2>/dev/null) == *firestore* ]] || return 1
    echo "$pid"
}

free_port() {
    local port
    while port=$((RANDOM % 20000 + 20000)); do
        answers "127.0.0.1:$port" || break
    done
    echo "$port"
}

start() {
    local host pid
    if leader >/dev/null && host=$(cat "$state/host") && answers "$host"; then
        echo "$host"
        return
    fi
    if ! command -v gcloud >/dev/null || ! command -v java >/dev/null; then
        echo "emulator: needs the Google Cloud CLI with its package google-cloud-cli-firestore-emulator" \
            "and a Java runtime (https://cloud.google.com/sdk/docs/install)" >&2
        exit 69
    fi
    mkdir -p "$state"
    host=127.0.0.1:$(free_port)
    # A session of its own: ending the start script alone would leave its Java child alive. No
    # prompts: a component that is missing is to fail, not to wait for an answer.
    CLOUDSDK_CORE_DISABLE_PROMPTS=1 setsid \
        gcloud emulators firestore start --host-port="$host" --rules=firestore.rules \
        </dev/null >"$state/log" 2>&1 &
    pid=$!
    echo "$pid" >"$state/pid"
    echo "$host" >"$state/host"
    for ((tenths = 0; tenths < 600; tenths++)); do
        if answers "$host"; then
            echo "$host"
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "emulator: it did not come up:" >&2
    tail -n 20 "$state/log" >&2
    stop
    exit 75
}

stop() {
    local pid
    if pid=$(leader); then
        kill -TERM -- "-$pid" 2>/dev/null || true
        for ((tenths = 0; tenths < 50; tenths++)); do
            kill -0 -- "-$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL -- "-$pid" 2>/dev/null || true
    fi
    rm -f "$state/pid" "$state/host"
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    *)
        echo "usage: scripts/emulator.sh start|stop" >&2
        exit 64
        ;;
esac
