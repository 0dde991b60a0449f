#!/usr/bin/env bash
# Takes away what belongs to the machine that the image was made on: identity, keys, traces. After this nothing may run
# but the check; a system that goes on running makes new traces.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/lib.sh"

# A system that runs, as on a server, would write some of it anew until it is off: its journal, and a seed when it goes
# down.
if [[ -d /run/systemd/system ]]; then
    journalctl --relinquish-var
    install -d /run/systemd/system/systemd-random-seed.service.d
    printf '[Service]\nExecStop=\n' >/run/systemd/system/systemd-random-seed.service.d/berth-image.conf
    systemctl daemon-reload
fi

# Empty, and not "uninitialized": a box's first boot must not reset which units are enabled.
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
rm -f /etc/iscsi/initiatorname.iscsi /etc/nvme/hostid /etc/nvme/hostnqn
rm -rf /var/lib/tailscale /var/lib/box-agent

# cloud-init would take the box for the machine that it has set up already.
cloud-init clean --logs --seed
rm -rf /var/lib/cloud
rm -f /etc/cloud/cloud-init.disabled
rm -f /etc/network/interfaces.d/50-cloud-init /etc/netplan/50-cloud-init.yaml /etc/systemd/network/10-cloud-init-*

# Ways in, and traces of who was here. A build that comes by ssh has its connection already.
find /root /home -xdev -maxdepth 3 -name authorized_keys -delete
find /root /home -xdev \( -name '.*_history' -o -name .lesshst -o -name .viminfo -o -name .wget-hsts \
    -o -name known_hosts -o -name known_hosts.old \) -delete
passwd --lock root >/dev/null
usermod --password '*' root

find /var/log -xdev -type f -delete
find /var/log/journal -xdev -mindepth 1 -delete 2>/dev/null || true
rm -f /var/lib/dhcp/*.leases /var/lib/systemd/timesync/clock
apt clean
find /var/lib/apt/lists -xdev -type f -delete
find /var/cache/apt /tmp /var/tmp -xdev -mindepth 1 -type f -delete
# Blocks that nothing is on need not be in a snapshot. A directory has no disk of its own.
if [[ -d /run/systemd/system ]]; then
    fstrim --all || true
fi
sync
