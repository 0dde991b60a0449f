# shellcheck shell=bash
# The distribution's packages: which are missing, and how they get here.
#
# A package counts as there when what we need of it is there, whoever installed it: a git under /usr/local is
# a git. So a machine that has everything runs no apt-get and needs no network.
#
# Needs say.sh.

# package_present NAME
package_present() {
    case $1 in
    ca-certificates) [[ -s /etc/ssl/certs/ca-certificates.crt ]] ;;
    chromium-driver) type -P chromedriver >/dev/null ;;
    nginx-light) type -P nginx >/dev/null || [[ -x /usr/sbin/nginx ]] ;;
    haproxy) [[ -x /usr/sbin/haproxy ]] ;;
    debian-archive-keyring) [[ -r /usr/share/keyrings/debian-archive-keyring.gpg ]] ;;
    e2fsprogs) type -P mke2fs >/dev/null ;;
    gcc) type -P cc >/dev/null ;;
    iproute2) type -P ip >/dev/null ;;
    libc6-dev) [[ -e /usr/include/stdio.h ]] ;;
    nftables) type -P nft >/dev/null ;;
    qemu-system-x86) type -P qemu-system-x86_64 >/dev/null ;;
    python3-pip) python3 -m pip --version >/dev/null 2>&1 ;;
    systemd-container) type -P systemd-nspawn >/dev/null ;;
    systemd) [[ -x /lib/systemd/systemd-journald ]] && type -P journalctl >/dev/null ;;
    *) type -P "$1" >/dev/null ;;
    esac
}

# packages_missing NAME...: those that aren't there, one a line.
packages_missing() {
    local name
    for name in "$@"; do
        package_present "$name" || printf '%s\n' "$name"
    done
}

# How this process may call apt-get: as root, through sudo, or not at all.
apt_privilege() {
    if [[ $(id -u) == 0 ]]; then
        printf 'root\n'
    elif type -P sudo >/dev/null && sudo -n true 2>/dev/null; then
        printf 'sudo\n'
    else
        printf 'none\n'
    fi
}

# apt_get ARGUMENT...: apt-get with the rights to install. Call it only when apt_privilege isn't "none".
apt_get() {
    local -a command=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@")
    if [[ $(apt_privilege) == sudo ]]; then
        command=(sudo -n "${command[@]}")
    fi
    "${command[@]}" </dev/null
}

# apt_lists_ensure: without lists, as in a fresh container, apt knows of no package; then they are fetched.
apt_lists_ensure() {
    if [[ -n $(apt-get indextargets 'Created-By: Packages' 2>/dev/null) || $(apt_privilege) == none ]]; then
        return 0
    fi
    step "Fetching the lists of packages"
    apt_get update || warn "apt-get update failed; going on as if the distribution had nothing"
    step_done
}

# packages_ensure NAME...: installs what is missing, or says what to run and ends.
packages_ensure() {
    local -a missing
    mapfile -t missing < <(packages_missing "$@")
    if ((${#missing[@]} == 0)); then
        return 0
    fi
    if ! type -P apt-get >/dev/null; then
        die "$EX_UNAVAILABLE" "these programs are missing: ${missing[*]}" \
            "They are named as in Debian and Ubuntu; install them as this system does."
    fi
    if [[ $(apt_privilege) == none ]]; then
        die "$EX_UNAVAILABLE" "these packages are missing: ${missing[*]}" \
            "Run this as an administrator, then start again:" \
            "$(apt_advice "${missing[@]}")"
    fi
    step "Installing packages: ${missing[*]}"
    apt_get update || warn "apt-get update failed; going on with the package lists that are here"
    apt_get install -y --no-install-recommends "${missing[@]}" \
        || die "$EX_UNAVAILABLE" "apt-get couldn't install ${missing[*]}; its own words are above"
    step_done
    mapfile -t missing < <(packages_missing "$@")
    if ((${#missing[@]} > 0)); then
        die "$EX_UNAVAILABLE" "apt-get installed them, but they can't be found: ${missing[*]}"
    fi
}

# apt_advice NAME...: the command that a person would run.
apt_advice() {
    local sudo=''
    if type -P sudo >/dev/null; then
        sudo='sudo '
    fi
    printf '%sapt-get update && %sapt-get install -y --no-install-recommends %s\n' "$sudo" "$sudo" "$*"
}
