#!/usr/bin/env bash
# What the network reaches of a box, and what a box's user reaches of the provider.
#
# BERTH_SSH   off (default): nobody gets in but through the door.
#             keys: sshd for root, with keys that the provider's metadata or user-data brings; the firewall lets it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/lib.sh"

put "$FILES/berth-firewall.nft" /usr/share/berth/firewall.nft
put "$FILES/berth-firewall.service" /usr/lib/systemd/system/berth-firewall.service
install -d -m 0755 /etc/berth/firewall.d
# Not started here: the build itself may come by ssh.
systemctl enable berth-firewall.service

# Hetzner's helper mounts volumes by itself and writes them into /etc/fstab, in the agent's way.
install -d -m 0755 /etc/udev/rules.d
ln -sfn /dev/null /etc/udev/rules.d/99-hc-volume-automount.rules

# systemd would offer sshd to the machine itself and to its hypervisor, whatever becomes of the service.
systemctl mask sshd-unix-local.socket sshd-vsock.socket
put "$FILES/sshd-berth.conf" /etc/ssh/sshd_config.d/10-berth.conf
case ${BERTH_SSH:-off} in
off)
    rm -f /etc/berth/firewall.d/ssh.nft
    systemctl disable ssh.service ssh.socket
    systemctl mask ssh.service ssh.socket
    ;;
keys)
    put "$FILES/firewall-ssh.nft" /etc/berth/firewall.d/ssh.nft
    systemctl unmask ssh.service ssh.socket
    systemctl enable ssh.service
    ;;
*) die "BERTH_SSH is \"$BERTH_SSH\"; off or keys is meant" ;;
esac
