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
# come up in three tries (the end of each log is printed).
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

# Below the ports that the kernel gives to outgoing connections (32768 and up): one of those may be
# taken between the look and the emulator's bind.
free_port() {
    local port
    while port=$((RANDOM % 12000 + 20000)); do
        answers "127.0.0.1:$port" || break
    done
    echo "$port"
}

# One try on a port of its own; its log is kept until the next try.
try() {
    local host pid
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
        if ! kill -0 "$pid" 2>/dev/null; then
            echo "emulator: it ended after $((tenths / 10)) s:" >&2
            return 1
        fi
        sleep 0.1
    done
    echo "emulator: no answer at $host after 60 s:" >&2
    return 1
}

missing() {
    echo "emulator: needs the Google Cloud CLI with its package google-cloud-cli-firestore-emulator" \
        "and a Java runtime (https://cloud.google.com/sdk/docs/install)" >&2
    exit 69
}

start() {
    local host
    if leader >/dev/null && host=$(cat "$state/host") && answers "$host"; then
        echo "$host"
        return
    fi
    if ! command -v gcloud >/dev/null || ! command -v java >/dev/null; then
        missing
    fi
    mkdir -p "$state"
    # A start that goes wrong once (a port that was taken, a busy machine) is no reason to lose a
    # run of an hour; three in a row are.
    for _ in 1 2 3; do
        if try; then
            return
        fi
        tail -n 20 "$state/log" >&2
        stop
        # The command line tool without the emulator names the component that it lacks, and runs nothing.
        if grep -q component "$state/log" && ! grep -q '^Executing:' "$state/log"; then
            missing
        fi
    done
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
