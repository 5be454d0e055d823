# shellcheck shell=bash
# For scripts that try a running service: a sandbox provider and a service on loopback, in a folder
# that goes with them. Sourced; `target` is where cargo builds.

filmlab=${target:?}/debug/filmlab

# Builds the program, makes the folder `work`, starts the sandbox; its address is in `sandbox`.
start_sandbox() {
    cargo build --locked --quiet --bin filmlab
    work=$(mktemp -d)
    pids=()
    # They are read before the programs have begun to write.
    touch "$work/sandbox.log" "$work/serve.log"
    trap stop EXIT
    "$filmlab" sandbox --listen 127.0.0.1:0 >"$work/sandbox.log" 2>&1 &
    pids+=($!)
    sandbox=$(first '(http://127\.0\.0\.1:[0-9]+)' "$work/sandbox.log")
}

# Starts the service with settings from standard input, beside those that lead to the folder and
# the sandbox; its address and port are in `address`.
start_service() {
    {
        cat
        printf '[data]\ndir = "%s/data"\n[provider]\nbase_url = "%s"\napi_key = "sandbox"\n' "$work" "$sandbox"
    } >"$work/filmlab.toml"
    "$filmlab" --config "$work/filmlab.toml" serve >"$work/serve.log" 2>&1 &
    pids+=($!)
    # shellcheck disable=SC2034  # for whoever sources this
    address=$(first 'address=([0-9.]+:[0-9]+)' "$work/serve.log")
}

# shellcheck disable=SC2317  # through the trap
stop() {
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
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
    echo "${0##*/}: a program did not start" >&2
    exit 1
}

# Whether the service did not panic; says where it did.
no_panic() {
    ! grep -m 3 -A 3 panicked "$work/serve.log" >&2
}
