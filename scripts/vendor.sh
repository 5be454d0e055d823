#!/usr/bin/env bash
# Runs a command for the build that is deployed: with the static FFmpeg of
# vendor/ffmpeg, which is built first where it does not stand yet, and a target
# folder of its own, so that neither build throws away the other's work.
#
#   scripts/vendor.sh cargo build --release
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
FFMPEG_DIR=$(vendor/ffmpeg/build.sh)
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/vendor
export FFMPEG_DIR CARGO_TARGET_DIR
exec "$@"
