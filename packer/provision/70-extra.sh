#!/usr/bin/env bash
# What an operator adds: packages that BERTH_EXTRA_PACKAGES names, and scripts in packer/extra, in the order of their
# names. They run as root, before the system is cleaned and checked.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/lib.sh"

read -ra packages <<<"${BERTH_EXTRA_PACKAGES:-}"
if ((${#packages[@]} > 0)); then
    apt install -y --no-install-recommends -- "${packages[@]}"
fi
for script in "$BUNDLE"/packer/extra/*.sh; do
    if [[ -f $script ]]; then
        say "${script##*/}"
        bash -- "$script"
    fi
done
