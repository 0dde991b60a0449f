#!/bin/sh
# Starts TREE, the image with a kernel, as a virtual machine with a disk of its own, made here from the tree with the
# newest program and units installed over it and with what lies in extra/ of DIRECTORY put over that. The serial console
# is standard output. It runs in namespaces of its own for mounts and processes, so that nothing is left when its first
# process ends.
#
# Usage: vm.sh TREE DIRECTORY SYSTEMD AGENT MEMORY [QEMU-OPTION...]
set -eu
tree=$1 directory=$2 systemd=$3 agent=$4 memory=$5
shift 5

cd "$directory"
mkdir layer root
mount -t tmpfs tmpfs layer
mkdir layer/upper layer/work
mount -t overlay overlay -o "lowerdir=$tree,upperdir=layer/upper,workdir=layer/work" root
DESTDIR=$directory/root "$systemd/install" box "$agent"
cp -r extra/. root
# What a provider's image has set up already.
systemctl --root=root enable systemd-networkd.service systemd-networkd-wait-online.service
truncate -s 3G disk
mke2fs -q -t ext4 -d root disk
umount root layer

# Not with KVM: inside of a virtual machine it may be there and fail.
exec qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m "$memory" -no-reboot \
    -display none -monitor none -serial stdio -qmp unix:qmp,server=on,wait=off \
    -kernel "$tree/vmlinuz" -initrd "$tree/initrd.img" \
    -append "root=/dev/vda rw console=ttyS0 loglevel=7 systemd.firstboot=no" \
    -drive file=disk,format=raw,if=virtio,cache=unsafe \
    -nic user,model=virtio-net-pci,mac=52:54:00:12:34:56 -device virtio-rng-pci "$@"
