#!/usr/bin/env bash
# Builds the small static FFmpeg filmlab is deployed with, once for each state of
# this recipe, and prints its folder: the value for FFMPEG_DIR.
#
#   vendor/ffmpeg/build.sh            build unless it stands; print the folder
#   vendor/ffmpeg/build.sh --sources  only fetch and check the sources
#
# What is in it: components (beside this file), x264 and zimg as Debian ships them
# (static), dav1d, zlib. Sources and their sums are in `sources`; each is looked for
# in FFMPEG_TARBALL or DAV1D_TARBALL, in the folders of FILMLAB_DISTFILES (separated
# by colons), in distfiles/, then upstream. Built in a folder of its own and renamed
# when complete: it may be interrupted at any time.
#
# Exit codes: 0 ready; 69 sources or tools cannot be had; 70 the build failed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
mkdir -p "${CARGO_TARGET_DIR:-target}/vendor"
base=$(cd "${CARGO_TARGET_DIR:-target}/vendor" && pwd)

say() { echo "vendor: $*" >&2; }
stop() {
    local code=$1
    shift
    printf 'vendor: %s\n' "$@" >&2
    exit "$code"
}

# source_of NAME: its version, sum and address.
source_of() { sed -n "s/^$1 //p" "$here/sources"; }

matches() { [[ -f $1 ]] && echo "$2  $1" | sha256sum --check --status; }

# fetch NAME: prints the path of the checked tarball.
fetch() {
    local name=$1 version sum address file given folder
    read -r version sum address < <(source_of "$name")
    file=$name-$version.tar.xz
    given=${name^^}_TARBALL
    if [[ -n ${!given:-} ]]; then
        matches "${!given}" "$sum" || stop 69 "$given=${!given} is missing or is not $file (sha256 $sum)"
        echo "${!given}"
        return
    fi
    local folders=()
    IFS=: read -r -a folders <<<"${FILMLAB_DISTFILES:-}"
    for folder in ${folders[@]+"${folders[@]}"} "$root/distfiles" "$base/distfiles"; do
        if [[ -n $folder ]] && matches "$folder/$file" "$sum"; then
            echo "$folder/$file"
            return
        fi
    done
    mkdir -p "$base/distfiles"
    local part=$base/distfiles/$file.part.$$
    say "fetching $address"
    if ! curl --fail --silent --show-error --location --proto '=https' --connect-timeout 10 --max-time 300 \
        --output "$part" "$address"; then
        rm -f "$part"
        stop 69 "$file cannot be fetched; put it into distfiles/ or a folder named in FILMLAB_DISTFILES"
    fi
    if ! matches "$part" "$sum"; then
        rm -f "$part"
        stop 69 "$address is not the file that is pinned (sha256 $sum)"
    fi
    mv "$part" "$base/distfiles/$file"
    echo "$base/distfiles/$file"
}

if [[ ${1:-} == --sources ]]; then
    fetch ffmpeg
    fetch dav1d
    exit 0
fi

for tool in gcc g++ make nasm meson ninja pkg-config xz; do
    command -v "$tool" >/dev/null || stop 69 "$tool is missing: scripts/setup.sh vendor"
done
for library in x264 zimg zlib; do
    pkg-config --exists "$library" || stop 69 "the static $library is missing: scripts/setup.sh vendor"
done

# A new compiler or x264 makes another build, as a changed recipe does.
key=$({
    cat "$here/build.sh" "$here/components" "$here/sources"
    gcc --version | head -n 1
    gcc -dumpmachine
    pkg-config --modversion x264 zimg zlib
} | sha256sum | cut -c 1-12)
final=$base/ffmpeg-$key

exec 9>"$base/.ffmpeg.lock"
flock 9
if [[ -f $final/lib/libavcodec.a ]]; then
    echo "$final"
    exit 0
fi
# Whoever held the lock before and was killed left these.
rm -rf "$base"/building.*
work=$(mktemp -d "$base/building.XXXXXX")
trap 'rm -rf "$work"' EXIT
ffmpeg=$(fetch ffmpeg)
dav1d=$(fetch dav1d)
log=$base/ffmpeg-$key.log
jobs=$(nproc)
started=$SECONDS
say "building FFmpeg (some minutes, once); log in $log"

# A fixed prefix: configure writes it into the libraries, where `--version` finds it.
prefix=/opt/filmlab-ffmpeg
stage=$work/stage
export SOURCE_DATE_EPOCH=0 LC_ALL=C TZ=UTC

build_dav1d() {
    mkdir "$work/dav1d"
    tar -xf "$dav1d" -C "$work/dav1d" --strip-components=1
    meson setup "$work/dav1d/out" "$work/dav1d" --prefix "$work/deps" --libdir lib --buildtype release \
        --default-library static -Denable_tools=false -Denable_tests=false -Db_staticpic=true
    ninja -C "$work/dav1d/out" -j "$jobs" install
}

build_ffmpeg() {
    mkdir "$work/ffmpeg"
    tar -xf "$ffmpeg" -C "$work/ffmpeg" --strip-components=1
    local kind name enabled=()
    while read -r kind name; do
        enabled+=("--enable-$kind=$name")
    done < <(sed 's/#.*//; /^[[:space:]]*$/d' "$here/components")
    cd "$work/ffmpeg"
    # dav1d is found through the environment: options are recorded, paths must not be.
    PKG_CONFIG_PATH=$work/deps/lib/pkgconfig ./configure \
        --prefix="$prefix" --enable-static --disable-shared --enable-pic \
        --disable-programs --disable-doc --disable-debug \
        --disable-autodetect --disable-network --disable-avdevice --disable-everything \
        --enable-gpl --enable-libx264 --enable-libdav1d --enable-libzimg --enable-zlib \
        "${enabled[@]}"
    make -j "$jobs"
    make install DESTDIR="$stage"
}

# One archive under the name the linker asks for first, with all that FFmpeg needs:
# the order in which the others are asked for then does not matter to any linker.
# Those are kept, empty. The pkg-config files would say otherwise, so they go.
merge() {
    local out=$work/out library
    mkdir -p "$out/lib"
    cp -r "$stage$prefix/include" "$out/include"
    local libraries=("$work/deps/lib/libdav1d.a")
    for library in avformat avfilter avcodec swscale swresample avutil; do
        libraries+=("$stage$prefix/lib/lib$library.a")
    done
    for library in libx264.a libzimg.a libz.a libstdc++.a; do
        libraries+=("$(gcc -print-file-name="$library")")
    done
    {
        echo "create $out/lib/libavcodec.a"
        printf 'addlib %s\n' "${libraries[@]}"
        echo save
        echo end
    } | ar -M
    for library in avformat avfilter swscale swresample avutil; do
        ar rcD "$out/lib/lib$library.a"
    done
    ranlib -D "$out/lib/libavcodec.a"
}

# A subshell of its own under set -e: `if` would switch that off.
set +e
(
    set -e
    build_dav1d
    (build_ffmpeg)
    merge
) >"$log" 2>&1 9>&-
built=$?
set -e
if ((built)); then
    tail -n 40 "$log" >&2
    stop 70 "the build failed, see $log"
fi
rm -rf "$final"
mv "$work/out" "$final"
say "built in $((SECONDS - started)) s"
echo "$final"
