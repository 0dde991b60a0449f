#!/usr/bin/env bash
# The last step: an image that has anything of the machine it was made on, or a secret, is none.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/lib.sh"

"$BUNDLE/packer/leak-check" /
