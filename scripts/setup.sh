#!/usr/bin/env bash
# Installs what is missing to build, test or lint filmlab on Debian 12 or newer.
# Says what it installs; does nothing, in well under a second, when all is there.
#
#   scripts/setup.sh          to build and run (what `make demo` needs)
#   scripts/setup.sh fixtures also to make fixtures: the ffmpeg program
#   scripts/setup.sh test     also to test: the ffmpeg program, zzuf, exiftool, Python, curl, cargo-nextest
#   scripts/setup.sh vendor   also for the static FFmpeg of vendor/ffmpeg
#   scripts/setup.sh sanitize the same and valgrind
#   scripts/setup.sh corpus   also for `make corpus`: the ffmpeg program, Python
#   scripts/setup.sh bench    also for `make bench`: the ffmpeg program, Python and its venv
#   scripts/setup.sh fuzz     also for `make fuzz`: the sanitizers' libraries
#   scripts/setup.sh api      also for `make test-api`: Python, and schemathesis in target/
#   scripts/setup.sh console  also for `make test-console`: Chromium, Node.js, and what they run in target/
#   scripts/setup.sh lint     also to lint: shellcheck, codespell, cargo-deny, Python
#
# Exit codes: 0 ready; 64 wrong use; 69 something is missing that this script may
# not install by itself (no root, no Rust, not Debian): what to do is printed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
purpose=${1:-build}

# libx264 comes with Debian's libavcodec. clang is for bindgen, which reads
# FFmpeg's headers; gcc builds SQLite and the TLS library's C code.
packages=(
    pkg-config gcc libc6-dev make git ca-certificates clang libclang1
    libavcodec-dev libavfilter-dev libavformat-dev libavutil-dev libswresample-dev libswscale-dev
)
# Versions that are known to work; another one that is already there is used.
nextest=cargo-nextest@0.9.143
deny=cargo-deny@0.20.2

vendor=(g++ nasm meson ninja-build libx264-dev libzimg-dev zlib1g-dev xz-utils curl)
tools=()
case $purpose in
    build) ;;
    fixtures) packages+=(ffmpeg) ;;
    # Python and curl run what the pages show.
    test) packages+=(ffmpeg zzuf libimage-exiftool-perl openssl python3 python3-venv curl) tools=("$nextest") ;;
    vendor) packages+=("${vendor[@]}") ;;
    sanitize) packages+=("${vendor[@]}" valgrind) ;;
    corpus) packages+=(ffmpeg python3) ;;
    bench) packages+=("${vendor[@]}" ffmpeg python3 python3-venv) ;;
    # The version is that of `clang`, which builds with them.
    fuzz) packages+=("${vendor[@]}" ffmpeg libclang-rt-dev) ;;
    api) packages+=(python3 python3-venv) ;;
    # A browser is much to install for a look: who cannot have one skips it, see below.
    console) ;;
    # Python and its YAML parser are for the tests of scripts/deploy.
    lint) packages+=(shellcheck codespell python3 python3-yaml) tools=("$deny") ;;
    *)
        echo "usage: scripts/setup.sh [build|fixtures|test|vendor|sanitize|corpus|bench|fuzz|api|console|lint]" >&2
        exit 64
        ;;
esac

say() { echo "setup: $*"; }

# stop LINE...: what is missing and how to get it, then the documented code.
stop() {
    printf 'setup: %s\n' "$@" >&2
    exit 69
}

system_packages() {
    if ! command -v dpkg-query >/dev/null; then
        # Another system: cargo's build script checks the libraries themselves.
        if ! pkg-config --exists libavcodec libavfilter libavformat libavutil libswresample libswscale; then
            stop "this is no Debian; install FFmpeg 5.1 or newer with headers and libx264," \
                "pkg-config, a C compiler, make, git and libclang, then try again"
        fi
        return
    fi
    local installed missing=() package
    installed=$(dpkg-query -W -f='${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null | grep '^installed ')
    for package in "${packages[@]}"; do
        # Provides counts too: pkgconf stands for pkg-config on newer releases.
        # A plus sign, as in g++, is no repetition.
        grep -qE "[ ,]${package//+/\\+}( |,|\$)" <<<"$installed" || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        stop "these Debian packages are missing; install them and try again:" \
            "  sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
    fi
    say "installing Debian packages: ${missing[*]}"
    begin_build
    export DEBIAN_FRONTEND=noninteractive
    local log
    log=$(mktemp)
    # A fresh machine has no package lists, an old one has stale ones.
    if ! { apt-get update -q && apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        stop "apt-get failed, see above"
    fi
    rm -f "$log"
    [[ -z $begun ]] || wait "$begun" || true
}

# While packages come there is a processor to spare: crates are fetched, and the C code that needs no
# package and takes the longest is compiled, that of the TLS library and of SQLite. Where that fails,
# for want of a compiler too, the build does it and says why.
begun=
begin_build() {
    case $purpose in build | test) ;; *) return ;; esac
    command -v cargo >/dev/null || return 0
    {
        cargo fetch --locked --quiet &&
            cargo build --locked --quiet --profile "${PROFILE:-dev}" -p aws-lc-sys -p libsqlite3-sys
    } >/dev/null 2>&1 &
    begun=$!
}

rust() {
    local needed version
    needed=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml)
    if ! command -v cargo >/dev/null; then
        stop "Rust is missing (Debian's own is too old); install rustup and try again:" \
            "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"\$HOME/.cargo/env\""
    fi
    # The first call inside this folder makes rustup fetch the pinned toolchain.
    if ! version=$(cargo --version 2>/dev/null | cut -d' ' -f2) || [[ -z $version ]]; then
        stop "the pinned Rust toolchain is not installed and rustup did not fetch it:" \
            "  rustup toolchain install $(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml) --component rustfmt --component clippy"
    fi
    if [[ $(printf '%s\n' "$needed" "$version" | sort -V | head -n 1) != "$needed" ]]; then
        stop "cargo is $version, needed is $needed or newer: rustup update"
    fi
}

cargo_tools() {
    local tool name build
    for tool in ${tools[@]+"${tools[@]}"}; do
        name=${tool%@*}
        # Asked for by its file: starting it takes longer than all the rest here.
        if command -v "$name" >/dev/null || [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/$name ]]; then
            continue
        fi
        say "installing $tool from source with cargo (some minutes, once)"
        build=$(mktemp -d)
        # A folder of its own: it must not fill up ours, nor take our settings.
        if ! CARGO_TARGET_DIR=$build cargo install --locked --quiet "$tool"; then
            rm -rf "$build"
            stop "cargo install --locked $tool failed, see above"
        fi
        rm -rf "$build"
    done
}

system_packages
rust
cargo_tools
if [[ $purpose == test ]] && ! scripts/provenance.sh; then
    say "what reads manifests could not be installed; its checks will be skipped"
fi
if [[ $purpose == api ]] && ! scripts/schemathesis.sh install; then
    say "schemathesis could not be installed; its checks will be skipped"
fi
if [[ $purpose == console ]]; then
    # What is missing only: a Node.js that is no package of Debian's brings its npm, and its package
    # refuses Debian's.
    browser=()
    command -v chromium >/dev/null || browser+=(chromium fonts-dejavu-core)
    command -v node >/dev/null || browser+=(nodejs)
    command -v npm >/dev/null || browser+=(npm)
    if ((EUID == 0)) && command -v apt-get >/dev/null && ((${#browser[@]} > 0)); then
        say "installing Debian packages: ${browser[*]}"
        { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${browser[@]}"; } \
            >/dev/null 2>&1 || say "they could not be installed"
    fi
    scripts/console.sh install || say "the console will not be looked at: Chromium, Node.js and npm are needed"
fi
