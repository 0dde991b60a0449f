#!/usr/bin/env bash
# ttyd, which Debian 13 lacks: from sid, by pinning, so that apt checks its signature and takes nothing else from there.
# sid isn't known to the finished image: nothing of it can come in later.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/lib.sh"

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
SOURCE=/etc/apt/sources.list.d/berth-sid.sources
PINS=/etc/apt/preferences.d/berth-sid

# The package's own service would listen on the door's port, with a shell behind it.
systemctl mask ttyd.service

# Run again, or on a system that has one: it stays.
if dpkg-query -W -f '${db:Status-Status}' ttyd 2>/dev/null | grep -qx installed; then
    say "ttyd $(dpkg-query -W -f '${Version}' ttyd) is there already"
    exit 0
fi

# The mirror that has this release's main part; BERTH_DEBIAN_MIRROR names another.
mirror=${BERTH_DEBIAN_MIRROR:-}
if [[ -z $mirror ]]; then
    # shellcheck disable=SC2016 # these are apt's variables
    mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' \
        | awk -v codename="$(release)" '$1 == codename && $2 == "main" { print $3; exit }')
fi
[[ -n $mirror ]] || die "no mirror of Debian is among apt's sources: name one in BERTH_DEBIAN_MIRROR"

trap 'rm -f "$SOURCE" "$PINS"' EXIT
printf 'Types: deb\nURIs: %s\nSuites: sid\nComponents: main\nSigned-By: %s\n' "$mirror" "$KEYRING" >"$SOURCE"
cat >"$PINS" <<'END'
Package: *
Pin: release n=sid
Pin-Priority: -10

Package: ttyd
Pin: release n=sid
Pin-Priority: 990
END
apt update -o Dir::Etc::sourcelist="$SOURCE" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
# The plugin is looked for when ttyd starts; nothing depends on it.
apt install -y --no-install-recommends ttyd libwebsockets-evlib-uv
say "ttyd $(dpkg-query -W -f '${Version}' ttyd)"
