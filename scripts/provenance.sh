#!/usr/bin/env bash
# Installs what tests read manifests with, in target/provenance: the reference implementation of C2PA
# for Python, and the parts of a check that knows nothing of it. Nothing is done where it is there.
#
# Exit codes: 0 ready; 75 it cannot be had (no Python, no network).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
home=${CARGO_TARGET_DIR:-target}/provenance
wanted=$(sha256sum scripts/provenance/requirements.txt)
[[ ! -f $home/wanted || $(<"$home/wanted") != "$wanted" ]] || exit 0
echo "provenance: installing into $home" >&2
rm -rf "$home"
mkdir -p "$home"
if ! { python3 -m venv "$home/venv" && "$home/venv/bin/pip" install --quiet --disable-pip-version-check \
    --require-hashes --requirement scripts/provenance/requirements.txt; } >"$home/log" 2>&1; then
    tail -n 3 "$home/log" >&2
    echo "provenance: it needs Python 3.11 with venv, and the package index" >&2
    exit 75
fi
echo "$wanted" >"$home/wanted"
