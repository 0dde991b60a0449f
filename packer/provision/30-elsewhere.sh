#!/usr/bin/env bash
# What packer/elsewhere.list names, each file with the checksum that stands there. Nothing is installed before every
# line is in order.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/lib.sh"

LIST=${BERTH_ELSEWHERE:-$BUNDLE/packer/elsewhere.list}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# lines: the list without comments and blank lines.
lines() {
    sed -e 's/[[:space:]]*$//' -e '/^[[:space:]]*\(#\|$\)/d' -- "$LIST"
}

# check NAME KIND URL SHA256 REST
check() {
    [[ $1 =~ ^[a-z0-9][a-z0-9.+-]*$ ]] || die "$LIST: \"$1\" is no name: use a-z, 0-9, '.', '+' and '-'"
    [[ $2 == deb || $2 == program || $2 == archive ]] || die "$LIST: $1: \"$2\" is neither deb, program nor archive"
    [[ $3 == https://* || $3 == file:///* ]] || die "$LIST: $1: \"$3\" is neither an https nor a file URL"
    [[ -n $4 ]] || die "$LIST: $1 has no checksum: nothing is installed that nobody has vouched for"
    [[ $4 =~ ^[0-9a-f]{64}$ ]] || die "$LIST: $1: \"$4\" is no SHA-256 in lower case hexadecimal"
    [[ -z $5 ]] || die "$LIST: $1 has more than four fields"
}

# fetch NAME URL SHA256 FILE
fetch() {
    local got
    curl --fail --silent --show-error --location --proto '=https,file' --proto-redir '=https' --retry 3 \
        --max-time 900 --output "$4" -- "${2//\$ARCHITECTURE/$ARCHITECTURE}" || die "$1 can't be fetched from $2"
    got=$(sha256sum <"$4")
    got=${got%% *}
    [[ $got == "$3" ]] || die "$1 from $2 has the checksum $got, and $3 was expected"
}

# unpack NAME FILE: the directory is whole or isn't there.
unpack() {
    local name=$1 place=/opt/$1 program programs
    rm -rf -- "$place.new"
    install -d -m 0755 -- "$place.new"
    tar --extract --file "$2" --directory "$place.new" --strip-components 1 --no-same-owner
    rm -rf -- "$place"
    mv -T -- "$place.new" "$place"
    programs=$place
    if [[ -d $place/bin ]]; then
        programs=$place/bin
    fi
    for program in "$programs"/*; do
        if [[ -f $program && -x $program ]]; then
            ln -sfn -- "$program" "/usr/local/bin/${program##*/}"
        fi
    done
    say "$name is in $place"
}

# The unit that Tailscale's own package has. Berth's drop-in gives it its place on the volume, and the agent starts it.
tailscale_unit() {
    local unit=$1/systemd/tailscaled.service
    if [[ -f $unit && ! -e /usr/lib/systemd/system/tailscaled.service ]]; then
        put "$unit" /usr/lib/systemd/system/tailscaled.service
        put "$1/systemd/tailscaled.defaults" /etc/default/tailscaled
        install -d /usr/sbin
        ln -sfn -- "$1/tailscaled" /usr/sbin/tailscaled
    fi
}

while read -r name kind url sum rest; do
    check "$name" "$kind" "$url" "${sum:-}" "${rest:-}"
done < <(lines)

: >"$work/installed"
while read -r name kind url sum; do
    file=$work/$name.$kind
    fetch "$name" "$url" "$sum" "$file"
    case $kind in
    deb) apt install -y --no-install-recommends "$file" ;;
    program) put "$file" "/usr/local/bin/$name" 0755 ;;
    archive)
        unpack "$name" "$file"
        tailscale_unit "/opt/$name"
        ;;
    esac
    rm -f -- "$file"
    printf '%s %s %s\n' "$name" "${url//\$ARCHITECTURE/$ARCHITECTURE}" "$sum" >>"$work/installed"
done < <(lines)
# For the manifest.
put "$work/installed" /usr/share/berth/elsewhere.txt
say "$(wc -l <"$work/installed") from elsewhere"
