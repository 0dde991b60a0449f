# shellcheck shell=bash
# Makes the Debian system that the boot tests start, as a directory: what an image has before Berth is installed on
# it. It is kept in .tools and made anew when this file or the ttyd in it has changed.
#
# Needs say.sh, packages.sh, build.sh (lock), ttyd.sh, debian-archive.sh, ttyd-prefix.sh, BERTH_TTYD and REPO.

BOOT_RELEASE=trixie
BOOT_PACKAGES=(ca-certificates dbus e2fsprogs git procps systemd systemd-sysv tmux util-linux)

# Sets BOOT_TREE to a complete tree. Only root can make one.
boot_tree_ensure() {
    packages_ensure debian-archive-keyring iproute2 mmdebstrap systemd-container
    BOOT_TREE=$REPO/.tools/boot-tree
    with_build_lock boot_tree_make
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

# The slow half, under the lock.
boot_tree_make() {
    local ttyd wanted mirror part=$BOOT_TREE.part
    ttyd=$(boot_ttyd)
    wanted=$(cat -- "$REPO/scripts/lib/boot-tree.sh" "$ttyd/packages.txt" | sha256sum)
    if [[ -e $BOOT_TREE.stamp && $(<"$BOOT_TREE.stamp") == "$wanted" ]]; then
        return 0
    fi
    step "Making a Debian system for the boot tests"
    rm -rf -- "$BOOT_TREE" "$BOOT_TREE.stamp"
    while IFS= read -r mirror; do
        rm -rf -- "$part"
        if boot_tree_from "$mirror" "$part"; then
            install -d -- "$part/usr/lib/berth"
            cp -a -- "$ttyd" "$part/usr/lib/berth/ttyd"
            ln -s ../lib/berth/ttyd/bin/ttyd "$part/usr/bin/ttyd"
            mv -T -- "$part" "$BOOT_TREE"
            printf '%s\n' "$wanted" >"$BOOT_TREE.stamp"
            step_done
            return 0
        fi
    done < <(archive_mirrors_here)
    rm -rf -- "$part"
    die "$EX_UNAVAILABLE" "no Debian $BOOT_RELEASE could be had; apt says why, above" \
        "No mirror of Debian in apt's sources here? Name one in BERTH_DEBIAN_MIRROR."
}

# boot_tree_from MIRROR DIR
boot_tree_from() {
    local list
    printf -v list '%s,' "${BOOT_PACKAGES[@]}"
    say "From $1"
    mmdebstrap --quiet --mode=root --variant=minbase --include="${list%,}" --aptopt='APT::Sandbox::User "root"' \
        "$BOOT_RELEASE" "$2" "deb [signed-by=$DEBIAN_KEYRING] $1 $BOOT_RELEASE main" </dev/null
}
