# shellcheck shell=bash
# Makes the Debian systems that tests boot, as directories: what an image has before Berth is installed on it, and the
# same with a kernel. They are kept in .tools and made anew when this file or the ttyd in them has changed.
#
# Needs say.sh, packages.sh, build.sh (lock), ttyd.sh, debian-archive.sh, program-prefix.sh, BERTH_TTYD and REPO.

BOOT_RELEASE=trixie
BOOT_PACKAGES=(ca-certificates dbus e2fsprogs git procps systemd systemd-sysv tmux util-linux)
# What a machine of its own has beside that.
VM_PACKAGES=(linux-image-cloud-amd64 udev)

# Makes .tools/boot-tree, for containers. Only root can.
boot_tree_ensure() {
    packages_ensure debian-archive-keyring iproute2 mmdebstrap systemd-container
    with_build_lock boot_tree_make "$REPO/.tools/boot-tree" "${BOOT_PACKAGES[@]}"
}

# Makes .tools/vm-tree, for virtual machines, where they are of this machine's kind. Only root can.
vm_tree_ensure() {
    if [[ $(dpkg --print-architecture) != amd64 ]]; then
        say "No test in a virtual machine: it takes amd64"
        return 0
    fi
    packages_ensure debian-archive-keyring e2fsprogs iproute2 mmdebstrap qemu-system-x86
    with_build_lock boot_tree_make "$REPO/.tools/vm-tree" "${BOOT_PACKAGES[@]}" "${VM_PACKAGES[@]}"
}

# The ttyd for the tree, as a directory of its own: Debian 13 has no package.
boot_ttyd() {
    local prefix=${BERTH_TTYD%/bin/ttyd}
    if [[ ! -e $prefix/packages.txt ]]; then
        ttyd_fetched >/dev/null || ttyd_from_archive >&2
        prefix=$(ttyd_fetched) || die "$EX_UNAVAILABLE" "the boot tests need a ttyd that brings its own libraries"
        prefix=${prefix%/bin/ttyd}
    fi
    printf '%s\n' "$prefix"
}

# boot_tree_make DIR PACKAGE...: the slow half, under the lock.
boot_tree_make() {
    local ttyd wanted mirror tree=$1 part=$1.part
    shift
    ttyd=$(boot_ttyd)
    wanted=$(cat -- "$REPO/scripts/lib/boot-tree.sh" "$ttyd/packages.txt" | sha256sum)
    if [[ -e $tree.stamp && $(<"$tree.stamp") == "$wanted" ]]; then
        return 0
    fi
    step "Making a Debian system to boot: ${tree##*/}"
    rm -rf -- "$tree" "$tree.stamp"
    while IFS= read -r mirror; do
        rm -rf -- "$part"
        if boot_tree_from "$mirror" "$part" "$@"; then
            install -d -- "$part/usr/lib/berth"
            cp -a -- "$ttyd" "$part/usr/lib/berth/ttyd"
            ln -s ../lib/berth/ttyd/bin/ttyd "$part/usr/bin/ttyd"
            mv -T -- "$part" "$tree"
            printf '%s\n' "$wanted" >"$tree.stamp"
            step_done
            return 0
        fi
    done < <(archive_mirrors_here)
    rm -rf -- "$part"
    die "$EX_UNAVAILABLE" "no Debian $BOOT_RELEASE could be had; apt says why, above" \
        "No mirror of Debian in apt's sources here? Name one in BERTH_DEBIAN_MIRROR."
}

# boot_tree_from MIRROR DIR PACKAGE...
boot_tree_from() {
    local list mirror=$1 dir=$2
    shift 2
    printf -v list '%s,' "$@"
    say "From $mirror"
    mmdebstrap --quiet --mode=root --variant=minbase --include="${list%,}" --aptopt='APT::Sandbox::User "root"' \
        "$BOOT_RELEASE" "$dir" "deb [signed-by=$DEBIAN_KEYRING] $mirror $BOOT_RELEASE main" </dev/null
}
