#!/bin/sh
# Starts TREE as a virtual machine with a disk of its own, made here from the tree with Berth installed on it and with
# what lies in extra/ of DIRECTORY put over it. The serial console is standard output. It runs in namespaces of its own
# for mounts and processes, so that nothing is left when its first process ends.
#
# Usage: vm.sh TREE DIRECTORY SYSTEMD AGENT MEMORY
set -eu
tree=$1 directory=$2 systemd=$3 agent=$4 memory=$5

cd "$directory"
mkdir layer root
mount -t tmpfs tmpfs layer
mkdir layer/upper layer/work
mount -t overlay overlay -o "lowerdir=$tree,upperdir=layer/upper,workdir=layer/work" root
DESTDIR=$directory/root "$systemd/install" box "$agent"
cp -r extra/. root
systemctl --root=root enable enrolment.service systemd-networkd.service systemd-networkd-wait-online.service
truncate -s 3G disk
mke2fs -q -t ext4 -d root disk
umount root layer

# Not with KVM: inside of a virtual machine it may be there and fail.
exec qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m "$memory" -no-reboot \
    -display none -monitor none -serial stdio \
    -kernel "$tree/vmlinuz" -initrd "$tree/initrd.img" \
    -append "root=/dev/vda rw console=ttyS0 loglevel=7 systemd.firstboot=no" \
    -drive file=disk,format=raw,if=virtio,cache=unsafe \
    -nic user,model=virtio-net-pci -device virtio-rng-pci
