#!/usr/bin/env bash
# How the machine keeps itself: first boot, updates, logs, time, memory.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/lib.sh"

put "$FILES/cloud-init.cfg" /etc/cloud/cloud.cfg.d/90-berth.cfg
put "$FILES/apt-unattended.conf" /etc/apt/apt.conf.d/90berth-unattended
put "$FILES/journald.conf" /usr/lib/systemd/journald.conf.d/50-berth.conf
put "$FILES/zram-generator.conf" /etc/systemd/zram-generator.conf
put "$FILES/sysctl.conf" /usr/lib/sysctl.d/50-berth.conf
systemctl enable unattended-upgrades.service apt-daily.timer apt-daily-upgrade.timer systemd-timesyncd.service
