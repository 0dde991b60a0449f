# shellcheck shell=bash
# What the steps share. Each step sources it, is run by root in the system that becomes the image, and can be run again.
#
# A bundle has the same places as the repository: packer/, systemd/, and the program in bin/. The steps are used
# unchanged by Packer on a server, by scripts/image in a directory, and by scripts/install on a machine of one's own.
#
# Sets BUNDLE, FILES and ARCHITECTURE.

BUNDLE=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.." && pwd -P)
FILES=$BUNDLE/packer/files
ARCHITECTURE=$(dpkg --print-architecture)
export BUNDLE FILES ARCHITECTURE
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

say() {
    printf '    %s\n' "$*"
}

# die MESSAGE...: the build stops.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# put FILE PLACE [MODE]: a file of ours in its place, whole or not at all.
put() {
    install -D -m "${3:-0644}" -- "$1" "$2.berth-new"
    mv -fT -- "$2.berth-new" "$2"
}

# apt ARGUMENT...: apt-get as a build needs it. What isn't signed is refused, whatever the machine's own settings say,
# and nobody is asked about settings files.
apt() {
    apt-get -q -o DPkg::Lock::Timeout=300 \
        -o APT::Get::AllowUnauthenticated=false -o Acquire::AllowInsecureRepositories=false \
        -o Acquire::AllowWeakRepositories=false -o Acquire::AllowDowngradeToInsecureRepositories=false \
        -o APT::Update::Error-Mode=any \
        -o DPkg::Options::=--force-confdef -o DPkg::Options::=--force-confold "$@" </dev/null
}

# release: the codename of the system, such as trixie.
release() {
    # shellcheck source=/dev/null
    (. /etc/os-release && printf '%s\n' "${VERSION_CODENAME:-}")
}
