#!/bin/sh
# Boots TREE, an image as a directory, as a container. Everything that it changes goes to DIRECTORY; at the first boot
# the newest programs and units are installed over the image's, then what lies in extra/ is put over it, and then
# prepare.sh, if there is one, is run in it. It runs in namespaces of its own for mounts and processes, so that nothing
# is left when its first process ends, however that happens.
#
# Usage: boot.sh TREE DIRECTORY SYSTEMD AGENT GATEWAY [NSPAWN-OPTION...]
set -eu
tree=$1 directory=$2 systemd=$3 agent=$4 gateway=$5
shift 5

# A control group of its own, in each hierarchy that systemd uses: containers side by side must not share one.
join() {
    [ -d "$1" ] || return 0
    mkdir -p "$1/$2"
    echo 0 >"$1/$2/cgroup.procs"
}
name=$(basename "$directory")
for hierarchy in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    join "$hierarchy" "$name"
done
[ ! -e /sys/fs/cgroup/cgroup.procs ] || join /sys/fs/cgroup "$name"

# nspawn keeps things here, and looks here whether this machine has a systemd: it must find none, since it would
# have that one start the container.
mount -t tmpfs tmpfs /run
cd "$directory"
# Put by: memory that is mounted below hides it.
cp -r extra /run/extra
[ ! -e prepare.sh ] || cp prepare.sh /run/
overlay() {
    mkdir -p upper work root
    mount -t overlay overlay -o "lowerdir=$tree,upperdir=upper,workdir=work" root
}
# Not every file system can be the upper layer; memory can.
overlay 2>/dev/null || { mount -t tmpfs tmpfs "$directory" && cd "$directory" && overlay; }
if [ ! -e installed ]; then
    DESTDIR=$directory/root "$systemd/install" box "$agent"
    DESTDIR=$directory/root "$systemd/install" gateway "$gateway"
    # Only its own test starts it.
    systemctl --root=root disable berth-gateway.service
    cp -r /run/extra/. root
    [ ! -e /run/prepare.sh ] || chroot root sh -eu </run/prepare.sh
    touch installed
fi
export UNIFIED_CGROUP_HIERARCHY=1
exec systemd-nspawn --quiet --boot --directory=root --machine=box --register=no --keep-unit --console=read-only "$@"
