#!/usr/bin/env bash
# filmlab on Google Cloud, from an empty project to a running service:
#
#   scripts/deploy/gcloud.sh plan    FILE     says what it would change; changes nothing
#   scripts/deploy/gcloud.sh apply   FILE     says each change, then makes it
#   scripts/deploy/gcloud.sh secret  FILE NAME <VALUE    a new version of a secret, from standard input
#   scripts/deploy/gcloud.sh destroy FILE [--with-bucket NAME] [--with-database NAME]
#
# FILE holds the settings: copy scripts/deploy/settings.example. docs/deploy.md explains the rest.
#
# Exit codes: 0 done; 1 stopped at a failure, which is printed with what to do; 64 wrong use or
# settings; 69 a program is missing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

missing() {
    echo "gcloud.sh: $1" >&2
    exit 69
}

command -v python3 >/dev/null || missing "needs Python 3.9 or later (python3)"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' ||
    missing "needs Python 3.9 or later, found $(python3 --version)"
command -v gcloud >/dev/null ||
    missing "needs the Google Cloud CLI (https://cloud.google.com/sdk/docs/install)"

# No bytecode beside the sources; no prompts: whatever would ask has to fail instead. gcloud may
# not enable a service by itself either, since this script says so first.
export PYTHONDONTWRITEBYTECODE=1 CLOUDSDK_CORE_DISABLE_PROMPTS=1
export CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API=false
exec python3 "$here/cloud" "$@"
