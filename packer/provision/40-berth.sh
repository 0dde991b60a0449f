#!/usr/bin/env bash
# The agent and its units; the user of the terminals, whose number is that of files on every volume.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/lib.sh"

agent=$BUNDLE/bin/box-agent
[[ -x $agent ]] || die "$agent is missing: a bundle is made by scripts/image bundle"
# Also where it was built for another system: that is to be seen here, and not at the first boot.
"$agent" --version >/dev/null || die "$agent doesn't run here: it is to be built on Debian 13 or older"

other=$(getent passwd 1000 | cut -d: -f1) || true
if [[ -n $other && $other != claude ]]; then
    die "the user $other has the number 1000, which claude must have: files on volumes belong to it"
fi
"$BUNDLE/systemd/install" box "$agent"
systemd-sysusers box.conf
systemd-tmpfiles --create box.conf
[[ $(id -u claude) == 1000 && $(id -g claude) == 1000 ]] || die "claude has another number than 1000"
