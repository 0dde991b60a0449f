# shellcheck shell=bash
# Makes Berth's image as a directory, for the tests that boot it: mmdebstrap and the steps of packer/provision in its
# chroot. It is kept in .tools and made anew when what goes into it has changed; of the program the tests put in the
# newest themselves.
#
# Needs say.sh, packages.sh, build.sh (lock), debian-archive.sh and REPO.

IMAGE_RELEASE=trixie
# What a provider's image has before Berth's steps begin.
IMAGE_BASE=(dbus systemd systemd-sysv udev)
# What a machine of its own has beside that.
VM_PACKAGES=(linux-image-cloud-amd64)

# image_bundle DIR: all that a machine needs to become a box, in the places of the repository; a released bundle is this
# in an archive. Needs BOX_AGENT.
image_bundle() {
    local dir=$1
    rm -rf -- "$dir"
    install -d -- "$dir/bin" "$dir/box-agent/src/terminal" "$dir/scripts"
    cp -R -- "$REPO/packer" "$REPO/systemd" "$dir/"
    cp -R -- "$REPO/scripts/lib" "$REPO/scripts/install" "$REPO/scripts/uninstall" "$dir/scripts/"
    cp -- "$REPO/box-agent/src/terminal/tmux.conf" "$dir/box-agent/src/terminal/"
    install -m 0755 -- "$BOX_AGENT" "$dir/bin/box-agent"
    git -C "$REPO" describe --always --dirty --tags >"$dir/source.txt" 2>/dev/null || printf 'unknown\n' >"$dir/source.txt"
}

# image_stamp: what goes into the tree, but for the program.
image_stamp() {
    (
        cd "$REPO" || exit
        find packer systemd box-agent/src/terminal/tmux.conf scripts/lib/image-tree.sh -type f ! -name '*.md' -print0 \
            | LC_ALL=C sort -z | xargs -0 sha256sum
        printf '%s\n' "${BERTH_SSH:-}" "${BERTH_EXTRA_PACKAGES:-}"
    ) | sha256sum
}

# Makes .tools/box-tree. Only root can. Needs BOX_AGENT.
image_tree_ensure() {
    packages_ensure debian-archive-keyring iproute2 mmdebstrap nftables systemd-container
    packer_if_offered
    with_build_lock image_tree_make "$REPO/.tools/box-tree"
}

# Packer, where the distribution has one, as Debian 12 does; its test is skipped elsewhere.
packer_if_offered() {
    if ! type -P packer >/dev/null && LC_ALL=C apt-cache policy packer 2>/dev/null | grep -q 'Candidate: [0-9]'; then
        packages_ensure packer
    fi
}

# image_tree_make DIR: the slow half, under the lock.
image_tree_make() {
    local tree=$1 wanted
    wanted=$(image_stamp)
    if [[ -e $tree.stamp && $(<"$tree.stamp") == "$wanted" ]]; then
        return 0
    fi
    step "Making Berth's image as a directory: ${tree##*/}"
    rm -rf -- "$tree" "$tree.stamp"
    image_tree_build "$tree"
    printf '%s\n' "$wanted" >"$tree.stamp"
    step_done
}

# image_tree_build DIR: from the first mirror that has all of it.
image_tree_build() {
    local tree=$1 part=$1.part mirror bundle
    bundle=$(mktemp -d)
    image_bundle "$bundle/berth"
    while IFS= read -r mirror; do
        rm -rf -- "$part"
        if image_tree_from "$mirror" "$part" "$bundle/berth"; then
            rm -rf -- "$bundle"
            mv -T -- "$part" "$tree"
            return 0
        fi
    done < <(archive_mirrors_here)
    rm -rf -- "$part" "$bundle"
    die "$EX_UNAVAILABLE" "no image could be made of Debian $IMAGE_RELEASE; the reason is above" \
        "No mirror of Debian in apt's sources here? Name one in BERTH_DEBIAN_MIRROR."
}

# What this machine says to apt about how to reach a mirror, one option a line.
image_apt_options() {
    apt-config dump | sed -nE '/^Acquire::(http|https|Check-|ForceIPv|Retries)/p'
}

# debian_tree MIRROR RELEASE DIR [OPTION...]: mmdebstrap sees to it that no service starts, and mounts what programs
# expect.
debian_tree() {
    local option mirror=$1 release=$2 dir=$3
    local -a options=(--aptopt='APT::Sandbox::User "root"' --dpkgopt=force-unsafe-io)
    while IFS= read -r option; do
        options+=(--aptopt="$option")
    done < <(image_apt_options)
    say "From $mirror"
    mmdebstrap --quiet --mode=root --variant=minbase "${options[@]}" "${@:4}" \
        "$release" "$dir" "deb [signed-by=$DEBIAN_KEYRING] $mirror $release main" </dev/null
}

# image_tree_from MIRROR DIR BUNDLE: with the steps of the image.
image_tree_from() {
    local list
    printf -v list '%s,' "${IMAGE_BASE[@]}"
    # shellcheck disable=SC2016 # $1 is the hooks' own
    BUNDLE=$3 debian_tree "$1" "$IMAGE_RELEASE" "$2" --include="${list%,}" \
        --customize-hook='mkdir -p "$1/run/berth" && cp -R "$BUNDLE/." "$1/run/berth"' \
        --customize-hook='chroot "$1" /run/berth/packer/provision/run' \
        --customize-hook='rm -rf "$1/run/berth" "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"'
}

# What scripts/install would fetch, since the test's machine has no network, and what the test itself calls.
OLD_RELEASE=bookworm
OLD_PACKAGES=(ca-certificates curl dbus e2fsprogs git iproute2 procps restic systemd systemd-sysv tmux udev)

# Makes .tools/debian-12-tree: a machine of one's own, with nothing of Berth's. Only root can.
old_tree_ensure() {
    packages_ensure debian-archive-keyring mmdebstrap systemd-container
    with_build_lock old_tree_make "$REPO/.tools/debian-12-tree"
}

old_tree_make() {
    local tree=$1 mirror list
    if [[ -d $tree ]]; then
        return 0
    fi
    step "Making Debian 12 as a directory: ${tree##*/}"
    printf -v list '%s,' "${OLD_PACKAGES[@]}"
    while IFS= read -r mirror; do
        rm -rf -- "$tree.part"
        if debian_tree "$mirror" "$OLD_RELEASE" "$tree.part" --include="${list%,}"; then
            mv -T -- "$tree.part" "$tree"
            step_done
            return 0
        fi
    done < <(archive_mirrors_here)
    rm -rf -- "$tree.part"
    die "$EX_UNAVAILABLE" "no directory could be made of Debian $OLD_RELEASE; the reason is above"
}

# Makes .tools/vm-tree, for virtual machines, where they are of this machine's kind: the image with a kernel, which a
# provider's has. Only root can. Needs BOX_AGENT.
vm_tree_ensure() {
    if [[ $(dpkg --print-architecture) != amd64 ]]; then
        say "No test in a virtual machine: it takes amd64"
        return 0
    fi
    packages_ensure e2fsprogs python3 qemu-system-x86
    image_tree_ensure
    with_build_lock vm_tree_make "$REPO/.tools/vm-tree" "$REPO/.tools/box-tree"
}

vm_tree_make() {
    local tree=$1 image=$2 wanted
    wanted=$(<"$image.stamp")
    if [[ -e $tree.stamp && $(<"$tree.stamp") == "$wanted" ]]; then
        return 0
    fi
    step "Giving the image a kernel: ${tree##*/}"
    rm -rf -- "$tree" "$tree.stamp" "$tree.part"
    cp -a -- "$image" "$tree.part"
    image_apt_options >"$tree.part/etc/apt/apt.conf.d/99build"
    # In namespaces of its own, so that nothing stays mounted.
    # shellcheck disable=SC2016 # it is the inner shell that expands
    unshare --mount --pid --fork sh -ec '
        tree=$1
        shift
        mount -t proc proc "$tree/proc"
        mount --rbind /dev "$tree/dev"
        cp /etc/resolv.conf "$tree/etc/resolv.conf"
        chroot "$tree" apt-get -q update
        DEBIAN_FRONTEND=noninteractive chroot "$tree" apt-get -q install -y --no-install-recommends "$@"
    ' sh "$tree.part" "${VM_PACKAGES[@]}" </dev/null \
        || die "$EX_UNAVAILABLE" "the image could be given no kernel; apt says why, above"
    rm -f -- "$tree.part/etc/apt/apt.conf.d/99build" "$tree.part/etc/resolv.conf"
    mv -T -- "$tree.part" "$tree"
    printf '%s\n' "$wanted" >"$tree.stamp"
    step_done
}
