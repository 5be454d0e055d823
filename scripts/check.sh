#!/usr/bin/env bash
# Runs the checks of `make test`, `make lint` and the like, all of them
# even if one fails, then prints the time of each, and what was skipped for want of something.
#
#   scripts/check.sh test     format, clippy, docs, doc tests, tests, what the pages show
#   scripts/check.sh test-cloud   the tests of the cloud deployment alone
#   scripts/check.sh test-api     the HTTP contract, with schemathesis
#   scripts/check.sh test-console  the console, in a real browser
#   scripts/check.sh test-vendor  what touches media, with the FFmpeg of vendor/ffmpeg
#   scripts/check.sh soak         damaged files by the thousand, with both builds of FFmpeg
#   scripts/check.sh chaos        jobs under kills, stalls and outages
#   scripts/check.sh strangers    what strangers and slow servers cost everybody else
#   scripts/check.sh chaos-upgrade    the same, with workers of the revision before
#   scripts/check.sh upgrade-fixtures  writes fixtures/upgrade for this revision
#   scripts/check.sh sanitize     media under valgrind, with the FFmpeg of vendor/ffmpeg
#   scripts/check.sh corpus       both builds against ffprobe and ffmpeg, with the videos of DIR
#   scripts/check.sh lint     format, clippy, dependencies, shell scripts, the deployment's script, pages
#
# FILMLAB_REQUIRE: comma list of parts whose absence is a failure, not a skip
# (tests/it/support/require.rs knows them all; the ones of lint are looked at here).
# shellcheck disable=SC2317  # the functions are called through `step`
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# Where cargo gives tests room for files; the tests append their skips there.
tmp="${CARGO_TARGET_DIR:-target}/tmp"
case ${1:-} in test-vendor | sanitize) tmp="${CARGO_TARGET_DIR:-target}/vendor/tmp" ;; esac
skips="$tmp/skipped.txt"
mkdir -p "$tmp"
rm -f "$skips"
table=()
failed=0

step() {
    local name=$1 started=$SECONDS outcome=ok
    shift
    printf '\n== %s\n' "$name"
    "$@" || { outcome=FAILED failed=1; }
    table+=("$(printf '%-14s %-7s %4d s' "$name" "$outcome" $((SECONDS - started)))")
}

# skip PART WHAT WHY
skip() {
    if [[ ,${FILMLAB_REQUIRE:-}, == *,$1,* ]]; then
        echo "$2: $3 (FILMLAB_REQUIRE demands it)" >&2
        failed=1
    else
        printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$skips"
    fi
}

format() { cargo fmt --all --check; }
# As it is used, and as the image has it.
clippy() {
    cargo clippy --locked --all-targets -- -D warnings &&
        cargo clippy --locked --no-default-features --lib --bins -- -D warnings
}
docs() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items; }
# The library is built once more for them: two minutes that are not spent where every block of
# code in a comment says that it is no Rust.
doc_tests() {
    # shellcheck disable=SC2016  # awk's
    if find src -name '*.rs' -exec awk '
        /^[[:space:]]*\/\/[\/!].*```/ {
            opens[FILENAME] = !opens[FILENAME]
            if (opens[FILENAME] && !/```(text|toml|json|sh)/) { found = 1; exit }
        }
        END { exit !found }' {} +; then
        cargo test --locked --doc
    else
        echo "there are none"
    fi
}
# One emulator for all tests: nextest runs each in a process of its own. Where none is installed
# (69) the tests that need it say so themselves; one that is there and does not start is a failure,
# told before the tests and not by each of them.
emulator() {
    [[ -z ${FIRESTORE_EMULATOR_HOST:-} ]] || return 0
    trap 'scripts/emulator.sh stop' EXIT
    local host outcome=0
    host=$(scripts/emulator.sh start) || outcome=$?
    ((outcome != 69)) || return 0
    ((outcome == 0)) || return "$outcome"
    export FIRESTORE_EMULATOR_HOST=$host
}
# tests_by RUNNER …: what runs cargo comes first; `env` runs it as it is.
tests_by() {
    local profile=default runner=$1
    shift
    [[ -z ${CI:-} ]] || profile=ci
    emulator || return 1
    "$runner" cargo nextest run --locked --profile "$profile" "$@"
}
tests() { tests_by env "$@"; }
# 75: there is no Python, or no network to install the program from.
api() {
    local outcome=0
    scripts/schemathesis.sh || outcome=$?
    if ((outcome == 75)); then
        skip schemathesis "the HTTP contract" "schemathesis cannot be installed"
        return 0
    fi
    return "$outcome"
}
# 75: there is no browser, or no network to install what drives it.
console() {
    local outcome=0
    scripts/console.sh || outcome=$?
    if ((outcome == 75)); then
        skip chromium "the console in a browser" "no Chromium, or nothing to drive it: run \`scripts/setup.sh console\`"
        return 0
    fi
    return "$outcome"
}
# Real processes, killed and cut off; see docs/testing.md.
chaos() {
    cargo build --locked || return 1
    local outcome=0 filmlab="${CARGO_TARGET_DIR:-target}/debug/filmlab"
    emulator || return 1
    python3 -B scripts/chaos "$filmlab" sqlite || outcome=1
    if [[ -n ${FIRESTORE_EMULATOR_HOST:-} ]]; then
        python3 -B scripts/chaos "$filmlab" firestore || outcome=1
    else
        skip emulator "chaos with three workers" "there is no Firestore emulator"
    fi
    return "$outcome"
}
# Figures on a real clock, so not among the tests; see docs/testing.md.
strangers() {
    cargo build --locked || return 1
    python3 -B scripts/chaos/strangers.py "${CARGO_TARGET_DIR:-target}/debug/filmlab" \
        fixtures/generated/tiny.mp4 fixtures/character.png
}
# The revision before is the last one that has its ledger in fixtures/upgrade. It is built once.
old_binary() {
    [[ -z ${FILMLAB_OLD_BINARY:-} ]] || return 0
    local revision folder
    revision=$(find fixtures/upgrade -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -V | tail -n 1)
    revision=${revision##*-}
    folder=$PWD/target/upgrade/$revision
    FILMLAB_OLD_BINARY=$folder/filmlab
    export FILMLAB_OLD_BINARY
    [[ ! -x $FILMLAB_OLD_BINARY ]] || return 0
    rm -rf "$folder"
    git worktree prune
    git worktree add --quiet --force --detach "$folder/source" "$revision" || return 1
    (cd "$folder/source" && CARGO_TARGET_DIR=$folder/build cargo build --locked) || return 1
    mv "$folder/build/debug/filmlab" "$FILMLAB_OLD_BINARY"
    git worktree remove --force "$folder/source"
    rm -rf "$folder/build"
}
chaos_upgrade() {
    cargo build --locked && old_binary || return 1
    local outcome=0 filmlab="${CARGO_TARGET_DIR:-target}/debug/filmlab"
    export JOBS=${JOBS:-40} KILLS=${KILLS:-8}
    emulator || return 1
    python3 -B scripts/chaos "$filmlab" upgrade-sqlite || outcome=1
    if [[ -n ${FIRESTORE_EMULATOR_HOST:-} ]]; then
        python3 -B scripts/chaos "$filmlab" upgrade-firestore || outcome=1
    else
        skip emulator "chaos with the revision before" "there is no Firestore emulator"
    fi
    # The steps of docs/upgrade.md, with that revision.
    cargo nextest run --locked --test it service::upgrades || outcome=1
    return "$outcome"
}
# A ledger of this revision in the middle of its work: written, not tested.
upgrade_fixtures() {
    emulator || return 1
    FILMLAB_REVISION=${FILMLAB_REVISION:-$(git rev-parse --short=7 HEAD)} FILMLAB_REQUIRE=emulator \
        cargo nextest run --locked --run-ignored ignored-only road::upgrade::maker
}
# What is about the cloud: its adapters against stand-ins, whole workers on the emulator.
cloud_tests() { tests --test it cloud:: gcp:: ledger::firestore; }
# Builds the FFmpeg that is deployed; where it cannot be had, that is a skip (code 69).
vendored() {
    local ready=0
    vendor/ffmpeg/build.sh >/dev/null || ready=$?
    if ((ready == 69)); then
        skip vendor "$1" "the sources or tools of the deployed FFmpeg cannot be had, see above"
    fi
    return "$ready"
}
# The same media tests with the build that is deployed.
vendor_tests() {
    vendored "media tests with the deployed FFmpeg" || return $(($? == 69 ? 0 : 1))
    # Of a job's road, what a video decides: the rest asks no codec anything.
    tests_by scripts/vendor.sh -E 'test(/^(media|vendor|soak|sandbox)::|^cli::(bench|probe|process)/)
        | test(/^road::(crash|inputs|limits|outputs|provenance|quarantine|quotes|trouble)::/)'
}
# Ignored in all other runs: some minutes for each build. Reports and the files that end badly are in
# target/soak and target/vendor/soak.
soak_tests() {
    "$@" cargo nextest run --locked --profile soak --run-ignored ignored-only --no-capture \
        soak::damaged soak::memory
}
soak_vendor() {
    vendored "soak with the deployed FFmpeg" || return $(($? == 69 ? 0 : 1))
    soak_tests scripts/vendor.sh
}
# Valgrind: unit tests of media, a few videos from end to end, a slice of damaged files. Children
# of the soak run under it too. No fault is suppressed.
sanitize() {
    vendored "media under valgrind" || return $(($? == 69 ? 0 : 1))
    local runner host
    runner='valgrind --quiet --error-exitcode=99 --leak-check=full --num-callers=30'
    # dav1d's and VP9's longest stretches of code exhaust the default.
    runner+=' --vex-guest-max-insns=25'
    runner+=' --show-leak-kinds=definite --errors-for-leak-kinds=definite'
    host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    export "CARGO_TARGET_${host}_RUNNER=$runner" FILMLAB_SOAK_RUNNER="$runner"
    scripts/vendor.sh cargo nextest run --locked --profile sanitize \
        -E 'binary_id(filmlab) & test(/^media::/)
            | test(/^media::probe::/) | test(/^media::hostile::/) | test(/^media::sound::/)
            | test(=media::render::nothing_to_change_is_a_remux_of_the_same_packets)
            | test(=media::render::an_encode_keeps_size_rate_frames_sound_and_length)
            | test(=media::render::hdr_is_tone_mapped_to_the_standard_range)
            | test(=media::render::other_codecs_and_depths_become_plain_h264)
            | test(=media::watermark::every_kind_of_picture_can_be_a_mark)
            | test(=soak::a_slice_of_damaged_files_ends_well)'
}
# Somebody's own videos; see docs/testing.md. Without the deployed build it goes on with one.
corpus() {
    if [[ ! -d ${DIR:-} ]]; then
        echo "corpus: name a folder of videos: make corpus DIR=…" >&2
        return 1
    fi
    cargo build --locked --bin filmlab || return 1
    local target="${CARGO_TARGET_DIR:-target}" builds=()
    builds=("system=$target/debug/filmlab")
    if vendored "the corpus with the deployed FFmpeg" &&
        scripts/vendor.sh cargo build --locked --bin filmlab; then
        builds+=("deployed=$target/vendor/debug/filmlab")
    fi
    python3 -B scripts/corpus "$DIR" "${builds[@]}"
}
dependencies() { cargo deny --locked --log-level error check --hide-inclusion-graph bans licenses sources; }
# The script that deploys, against a stand-in for Google Cloud; the files beside it.
deployment() {
    local log=$tmp/deployment.txt reason
    if ! python3 -B -m unittest discover --start-directory scripts/deploy/test --verbose >"$log" 2>&1; then
        cat "$log"
        return 1
    fi
    tail -n 3 "$log"
    # A test that lacks something says what: … skipped 'there is no systemd-analyze'
    while read -r reason; do
        skip deployment "a test of the deployment" "$reason"
    done < <(sed -n "s/.* skipped ['\"]\(.*\)['\"]$/\1/p" "$log" | sort -u)
}
# Links, names of files, blocks of the pages; then the checks themselves.
pages() {
    local log=$tmp/pages.txt outcome=0 place
    python3 -B scripts/docs/check.py >"$log" || outcome=1
    grep -v '^not run: ' "$log"
    while read -r place; do
        skip pages "a block of a page" "$place does not say whether it runs here, see docs/testing.md"
    done < <(sed -n 's/^not run: //p' "$log")
    if ! python3 -B -m unittest discover --start-directory scripts/docs/test >"$log" 2>&1; then
        cat "$log"
        outcome=1
    fi
    return "$outcome"
}
# What the pages show, run with the program that the tests have built.
examples() {
    local program
    for program in python3 curl; do
        if ! command -v "$program" >/dev/null; then
            skip examples "what the pages show" "no $program: apt-get install $program"
            return 0
        fi
    done
    local log=$tmp/examples.txt outcome=0 place
    python3 -B scripts/docs/examples.py "${CARGO_TARGET_DIR:-target}/debug/filmlab" >"$log" || outcome=1
    grep -v '^not shown: ' "$log"
    while read -r place; do
        skip pages "a sample of a page" "$place"
    done < <(sed -n 's/^not shown: //p' "$log")
    return "$outcome"
}
advisories() { cargo deny --locked check --disable-fetch advisories; }

case ${1:-} in
    test)
        step format format
        step clippy clippy
        step docs docs
        step doc-tests doc_tests
        step tests tests
        step examples examples
        ;;
    test-api)
        step api api
        ;;
    test-console)
        step console console
        ;;
    chaos)
        step chaos chaos
        ;;
    strangers)
        step strangers strangers
        ;;
    chaos-upgrade)
        step chaos-upgrade chaos_upgrade
        ;;
    upgrade-fixtures)
        step upgrade-fixtures upgrade_fixtures
        ;;
    test-cloud)
        step cloud-tests cloud_tests
        ;;
    test-vendor)
        step vendor-tests vendor_tests
        ;;
    soak)
        step soak-system soak_tests env
        step soak-vendor soak_vendor
        ;;
    sanitize)
        step sanitize sanitize
        ;;
    corpus)
        step corpus corpus
        ;;
    lint)
        step format format
        step clippy clippy
        if cargo deny --version >/dev/null 2>&1; then
            step dependencies dependencies
            # The database of advisories comes from the network, the rest does not.
            if timeout 60 cargo deny fetch db >/dev/null 2>&1; then
                step advisories advisories
            else
                skip advisories "known vulnerabilities" "the advisory database cannot be reached"
            fi
        else
            skip deny "dependencies" "no cargo-deny: run \`scripts/setup.sh lint\`"
        fi
        if command -v shellcheck >/dev/null; then
            step shell shellcheck scripts/*.sh scripts/deploy/*.sh vendor/ffmpeg/build.sh .ci/run
        else
            skip shellcheck "shell scripts" "no shellcheck: apt-get install shellcheck"
        fi
        step deployment deployment
        if command -v python3 >/dev/null; then
            step pages pages
        else
            skip pages "links and blocks of the pages" "no Python: apt-get install python3"
        fi
        if command -v codespell >/dev/null; then
            step spelling codespell
        else
            skip spelling "spelling" "no codespell: apt-get install codespell"
        fi
        ;;
    *)
        echo "usage: scripts/check.sh test|test-cloud|test-api|test-console|test-vendor|soak|sanitize|chaos|strangers|chaos-upgrade|upgrade-fixtures|corpus|lint" >&2
        exit 64
        ;;
esac

printf '\n== summary of make %s\n' "$1"
printf '%s\n' "${table[@]}"
if [[ -s $skips ]]; then
    printf '\nSKIPPED for want of something (%d):\n' "$(sort -u "$skips" | wc -l)"
    sort -u "$skips" | sed 's/\t/  /g; s/^/  /'
else
    echo "nothing was skipped"
fi
exit $failed
