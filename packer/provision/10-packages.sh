#!/usr/bin/env bash
# What the distribution has: the programs that Berth needs, and those without which nobody likes to work.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/lib.sh"

PACKAGES=(
    # Berth's own needs.
    ca-certificates dbus e2fsprogs git procps restic tmux util-linux
    # The machine's: first boot, time, firewall, updates, memory.
    cloud-guest-utils cloud-init nftables openssh-server systemd-timesyncd systemd-zram-generator udev unattended-upgrades
    # The user's, and those of the steps that follow.
    bash-completion curl iproute2 less xz-utils
)

# Debian's archive moves on; what a base image knows of it may be gone.
apt update
apt install -y --no-install-recommends "${PACKAGES[@]}"
