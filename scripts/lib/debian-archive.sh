# shellcheck shell=bash
# Fetches a program from Debian's unstable archive (sid) into a directory of this clone, with its own libraries and
# its own loader, so that nothing on the machine changes and no right but that of writing here is needed.
#
# apt does the work, in a world of its own: lists, cache and package database are below a temporary directory
# and the only source is sid, so the machine's packages neither help nor hinder. What the machine says about
# proxies, credentials and time-outs stays in force. Signatures are checked against Debian's archive keyring
# alone, and a package that isn't covered by one is refused.
#
# The result is <repo>/.tools/<program>-<version>/; program-prefix.sh says what is in it.
#
# Needs say.sh, packages.sh, program-prefix.sh and REPO.

DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# archive_mirrors CODENAME [APT-OPTION...]: where to ask, one a line: the mirrors that a machine with Debian has in
# its own sources. apt itself is asked what it would fetch, so both formats of sources, disabled entries and mirror
# lists mean here what they mean to apt. A mirror is told by the main part of this release and "debian" in its path;
# should a stranger slip through, it has no sid and the next one is tried.
archive_mirrors() {
    local codename=$1
    shift
    apt-get "$@" update --print-uris 2>/dev/null \
        | sed -n "s|^'\(.*[^/]\)/*/dists/$codename/main/binary-[^/]*/Packages.*|\1|p" \
        | grep -E '/debian(/|\.list$|$)' | grep -v '^cdrom:' | awk '!seen[$0]++' || true
}

# The mirror that BERTH_DEBIAN_MIRROR names, or this machine's; without either there is nobody to ask.
archive_mirrors_here() {
    local codename
    if [[ -n ${BERTH_DEBIAN_MIRROR:-} ]]; then
        printf '%s\n' "$BERTH_DEBIAN_MIRROR"
        return 0
    fi
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    archive_mirrors "$codename"
}

# apt_world DIR ARCHITECTURE MIRROR KEYRING: makes the private world of apt in DIR. The settings go through -c,
# which apt reads after the machine's own, so they have the last word; "#clear" is the way to drop hooks and
# pins that would act on the machine or refuse sid.
apt_world() {
    local dir=$1 architecture=$2 mirror=$3 keyring=$4
    rm -rf "$dir"
    mkdir -p "$dir/state" "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/sources.d" "$dir/preferences.d"
    : >"$dir/state/status"
    : >"$dir/preferences"
    printf 'deb [arch=%s signed-by=%s target=Packages lang=none] %s sid main\n' \
        "$architecture" "$keyring" "$mirror" >"$dir/sources.list"
    cat >"$dir/apt.conf" <<EOF
#clear APT::Update;
#clear APT::Default-Release;
#clear APT::Architectures;
#clear DPkg;
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Retries "3";
Dir::State "$dir/state";
Dir::State::status "$dir/state/status";
Dir::State::lists "$dir/lists";
Dir::Cache "$dir/cache";
Dir::Cache::archives "$dir/cache/archives";
Dir::Log "$dir/log";
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "$dir/sources.d";
Dir::Etc::preferences "$dir/preferences";
Dir::Etc::preferencesparts "$dir/preferences.d";
EOF
}

# archive_newest WORLD PROGRAM SERIES: the newest version that the world offers, of a series such as "1.7" or "0".
archive_newest() {
    apt-cache -c "$1/apt.conf" madison "$2" | awk -F' *[|] *' '{ print $2 }' \
        | grep -E "^(1:)?${3//./\\.}\." | sort -rV | head -n 1
}

# archive_fetch WORLD ARCHITECTURE PROGRAM SERIES [PACKAGE...]: brings the program, the further packages and what they
# need into the cache of WORLD, from the first mirror that has it; prints its version.
archive_fetch() {
    local world=$1 architecture=$2 program=$3 series=$4 mirror version
    while IFS= read -r mirror; do
        say "From $mirror" >&2
        apt_world "$world" "$architecture" "$mirror" "$DEBIAN_KEYRING"
        if apt-get -q -c "$world/apt.conf" update >&2 \
            && version=$(archive_newest "$world" "$program" "$series") && [[ -n $version ]] \
            && apt-get -q -c "$world/apt.conf" install -y --download-only "$program=$version" "${@:5}" \
                </dev/null >&2; then
            printf '%s\n' "$version"
            return 0
        fi
    done < <(archive_mirrors_here)
    return 1
}

# archive_program PROGRAM SERIES WORKS [PACKAGE PLUGIN]: the whole way; ends with <repo>/.tools/<program>-<version> in
# place, or with the reason why not. WORKS is a function that is given the program and fails when it is no good.
# PACKAGE brings the PLUGIN that the program looks for. A subshell, so that its temporary directories go whenever and
# however it ends.
archive_program() (
    program=$1 series=$2 works=$3 named=BERTH_${1^^}
    packages=("${@:4:1}") plugins=("${@:5:1}")
    packages_ensure debian-archive-keyring
    architecture=$(dpkg --print-architecture)
    prefix_triplet "$architecture" >/dev/null
    world=$(mktemp -d)
    # Made in its final place and renamed when it has proved to work: a prefix is whole or isn't there.
    staging=$(mktemp -d "$REPO/.tools/.$program.XXXXXX")
    trap 'rm -rf "$world" "$staging"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # apt gives up root's rights for its downloads and must still get in here.
    chmod 755 "$world"
    version=$(archive_fetch "$world/apt" "$architecture" "$program" "$series" "${packages[@]}") \
        || die "$EX_UNAVAILABLE" "$program couldn't be fetched from Debian's archive; apt says why, above" \
            "No mirror of Debian in apt's sources here? Name one in BERTH_DEBIAN_MIRROR." \
            "Without network: install $program by other means, or name it in $named."
    if ! prefix_unpack "$world/apt" "$staging" "$architecture" "$program" "${plugins[@]}" \
        || ! "$works" "$staging/bin/$program"; then
        die "$EX_UNAVAILABLE" "$program $version from Debian's archive doesn't run here"
    fi
    prefix=$REPO/.tools/$program-${version//[!A-Za-z0-9.+~-]/_}
    rm -rf "$prefix"
    mv -T "$staging" "$prefix"
    say "$program $version is in $prefix"
)
