#!/usr/bin/env bash
# Coverage-guided fuzzing of the media core with libFuzzer; see docs/testing.md.
#
#   scripts/fuzz.sh             each target for its share of MINUTES (10), one after the other
#   scripts/fuzz.sh TARGET …    only these: head, exif, picture, probe, pass
#   scripts/fuzz.sh --ffmpeg    only build the instrumented FFmpeg; print its folder
#
# FILMLAB_FUZZ_FFMPEG: `deployed` (default) links the FFmpeg of vendor/ffmpeg, built again with
# AddressSanitizer and coverage; where it cannot be had, that is said, and it goes on with the
# system's, which is not instrumented. `system` takes that at once.
# FLAGS: more flags for libFuzzer, such as -jobs=2.
#
# What is found lies in target/fuzz/found/TARGET, as the smallest file that libFuzzer could make of
# it. Corpora grow in target/fuzz/corpus/TARGET from one run to the next; seeds are made from the
# fixtures and from tests/fuzz/seeds.
#
# Exit codes: 0 nothing found; 1 something found, or a target does not build; 64 wrong use.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
base=$root/${CARGO_TARGET_DIR:-target}/fuzz
[[ ${CARGO_TARGET_DIR:-} != /* ]] || base=$CARGO_TARGET_DIR/fuzz
mkdir -p "$base"
# Bytes of an input, and which share of the time a target gets: pictures of a second take their
# time, a few bytes of EXIF do not.
declare -A longest=([head]=512 [exif]=512 [picture]=8192 [probe]=65536 [pass]=49152)
declare -A share=([head]=1 [exif]=1 [picture]=2 [probe]=3 [pass]=3)
all=(head exif picture probe pass)

say() { echo "fuzz: $*" >&2; }

# The same recipe, with another compiler under the names that it calls: it is not changed by a
# word, and what it builds stands apart since it asks the compiler for its version.
instrumented() {
    local tools=$base/compiler name
    if ! clang -print-file-name=libclang_rt.asan-x86_64.a 2>/dev/null | grep -q /; then
        say "clang or its AddressSanitizer is missing: scripts/setup.sh fuzz"
        return 69
    fi
    mkdir -p "$tools"
    for name in gcc g++ cc c++; do
        local real=gcc clang=clang
        [[ $name != *++ ]] || real=g++ clang=clang++
        cat >"$tools/$name" <<EOF
#!/bin/sh
case \$1 in
--version) echo "\$($(command -v clang) --version | head -n 1) with address and coverage"; exit ;;
-dumpmachine | -print-file-name=*) exec $(command -v "$real") "\$@" ;;
esac
exec $(command -v "$clang") -fsanitize=address,fuzzer-no-link -fno-omit-frame-pointer "\$@"
EOF
        chmod +x "$tools/$name"
    done
    local sources=$root/${CARGO_TARGET_DIR:-target}/vendor/distfiles
    # Tools that the build itself runs need not give everything back.
    PATH=$tools:$PATH CC=$tools/cc CXX=$tools/c++ ASAN_OPTIONS=detect_leaks=0 \
        CARGO_TARGET_DIR=$base FILMLAB_DISTFILES=${FILMLAB_DISTFILES:-}:$sources vendor/ffmpeg/build.sh
}

build() {
    local flags=-Cpasses=sancov-module option
    for option in level=4 inline-8bit-counters pc-table trace-compares; do
        flags+=" -Cllvm-args=-sanitizer-coverage-$option"
    done
    flags+=" -Clink-dead-code"
    kind=system
    if [[ ${FILMLAB_FUZZ_FFMPEG:-deployed} == deployed ]]; then
        if FFMPEG_DIR=$(instrumented); then
            export FFMPEG_DIR
            kind=deployed
            flags+=" -Clinker=clang -Clink-arg=-fsanitize=address"
            for option in pthread dl m rt resolv; do
                flags+=" -Clink-arg=-l$option"
            done
        else
            say "the instrumented FFmpeg cannot be built: with the system's, which is not instrumented"
            unset FFMPEG_DIR
        fi
    fi
    host=$(rustc -vV | sed -n 's/^host: //p')
    # With a target of their own, build scripts are not instrumented.
    (cd tests/fuzz && RUSTFLAGS=$flags CARGO_TARGET_DIR=$base/$kind \
        cargo build --locked --quiet --bins --target "$host")
}

# seeds TARGET: what it begins with, if its corpus is empty.
seeds() {
    local corpus=$base/corpus/$1 file how=0
    mkdir -p "$corpus"
    [[ -z $(find "$corpus" -type f -print -quit) ]] || return 0
    case $1 in
        probe | pass)
            while IFS= read -r -d '' file; do
                # How the pass is done stands in the first byte.
                {
                    [[ $1 == probe ]] || printf '%b' "\\x$(printf '%02x' $((how++ % 64)))"
                    cat "$file"
                } >"$corpus/$(basename "$file")"
            done < <(find fixtures/generated -type f ! -name '.*' -size "-$((longest[$1] / 1024))k" -print0)
            ;;
        picture)
            for file in fixtures/logo.png fixtures/generated/cases/animation.*; do
                [[ ! -f $file || $(stat -c %s "$file") -gt ${longest[$1]} ]] || cp "$file" "$corpus/"
            done
            for file in png jpg webp; do
                ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=24x16 -frames:v 1 -y "$corpus/small.$file"
            done
            ;;
    esac
    if [[ -d tests/fuzz/seeds/$1 ]]; then
        find "tests/fuzz/seeds/$1" -type f -exec cp {} "$corpus/" \;
    fi
}

# run TARGET SECONDS: fuzzes, and adds a line to the table.
run() {
    local target=$1 seconds=$2 log=$base/$1.log outcome=ok
    local found=$base/found/$target program=$base/$kind/$host/debug/$target
    mkdir -p "$found"
    # FLAGS are words of their own. Large pictures and codecs' own tables take memory.
    # shellcheck disable=SC2086
    ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0 "$program" "$base/corpus/$target" \
        -dict=tests/fuzz/media.dict -max_len="${longest[$target]}" -max_total_time="$seconds" \
        -timeout=30 -rss_limit_mb=3072 -malloc_limit_mb=1024 -use_value_profile=0 \
        -print_final_stats=1 -artifact_prefix="$found/" ${FLAGS:-} >"$log" 2>&1 || outcome=FOUND
    local runs coverage
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    coverage=$(grep -oE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$log" | tail -n 1)
    table+=("$(printf '%-8s %-6s %10s runs  %s' "$target" "$outcome" "${runs:-0}" "$coverage")")
    if [[ $outcome == FOUND ]]; then
        failed=1
        say "$target found something; the end of $log:"
        tail -n 25 "$log" >&2
    fi
}

if [[ ${1:-} == --ffmpeg ]]; then
    instrumented
    exit
fi
targets=("$@")
((${#targets[@]})) || targets=("${all[@]}")
for target in "${targets[@]}"; do
    if [[ -z ${longest[$target]:-} ]]; then
        echo "usage: scripts/fuzz.sh [head|exif|picture|probe|pass …]" >&2
        exit 64
    fi
done
build
total=0
for target in "${targets[@]}"; do
    total=$((total + share[$target]))
done
table=()
failed=0
for target in "${targets[@]}"; do
    seeds "$target"
    run "$target" $((${MINUTES:-10} * 60 * share[$target] / total))
done
printf '\n== fuzzed with the %s FFmpeg\n' "$kind"
printf '%s\n' "${table[@]}"
exit "$failed"
