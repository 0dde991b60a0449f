#!/usr/bin/env bash
# Packages of the distribution: what is said or called when some are missing, and where ttyd would come from.
# shellcheck disable=SC2016,SC2317,SC2329 # programs have variables of their own; functions are called by name, through `run` and `expect_true`
set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/expect.sh"
# shellcheck source-path=SCRIPTDIR/..
. "$REPO/scripts/lib/say.sh"
. "$REPO/scripts/lib/packages.sh"
. "$REPO/scripts/lib/toolchain.sh"
. "$REPO/scripts/lib/build.sh"
. "$REPO/scripts/lib/debian-archive.sh"
. "$REPO/scripts/lib/program-prefix.sh"
. "$REPO/scripts/lib/ttyd.sh"
. "$REPO/scripts/lib/backup-tools.sh"

# A machine with an apt-get that notes its arguments and makes the program it installs.
machine() {
    rm -rf "${TMP:?}/bin" "$TMP/calls"
    mkdir "$TMP/bin"
    ln -s "$(type -P env)" "$(type -P touch)" "$(type -P chmod)" "$(type -P bash)" "$(type -P true)" "$TMP/bin/"
    printf '#!/bin/sh\necho %s\n' "$1" | program "$TMP/bin/id"
    program "$TMP/bin/apt-get" <<EOF
#!$TMP/bin/bash
echo "\$DEBIAN_FRONTEND \$*" >>$TMP/calls
if [[ " \$* " == *' install '* ]]; then
    touch $TMP/bin/newtool && chmod +x $TMP/bin/newtool
fi
EOF
}

ensure() {
    PATH=$TMP/bin packages_ensure "$@"
}

machine 0
run ensure env touch
expect_status 0
expect_equal "$OUTPUT" ''
expect_false test -e "$TMP/calls"

run ensure env newtool
expect_status 0
expect_says 'Installing packages: newtool'
OUTPUT=$(<"$TMP/calls")
expect_says 'noninteractive' ' update' 'install -y --no-install-recommends newtool'

run ensure oddtool
expect_status 69
expect_says "can't be found: oddtool"

machine 1000
run ensure env newtool oddtool
expect_status 69
expect_says 'these packages are missing: newtool oddtool' \
    '  apt-get update && apt-get install -y --no-install-recommends newtool oddtool'
expect_false test -e "$TMP/calls"

# sudo that would ask for a password.
printf '#!/bin/sh\nexit 1\n' | program "$TMP/bin/sudo"
run ensure newtool
expect_status 69
expect_says 'sudo apt-get update && sudo apt-get install -y --no-install-recommends newtool'
expect_false test -e "$TMP/calls"

printf '#!/bin/sh\nshift\nexec "$@"\n' | program "$TMP/bin/sudo"
run ensure newtool
expect_status 0
expect_true test -s "$TMP/calls"

machine 1000
rm "$TMP/bin/apt-get"
run ensure newtool
expect_status 69
expect_says 'these programs are missing: newtool'

# ttyd: too old, not running, and named by the caller.
printf '#!/bin/sh\necho "ttyd version 1.6.3"\n' | program "$TMP/old/ttyd"
printf '#!/bin/sh\nexit 127\n' | program "$TMP/broken/ttyd"
printf '#!/bin/sh\necho "ttyd version 1.7.7-40e79c7"\n' | program "$TMP/new/ttyd"
expect_false ttyd_usable "$TMP/old/ttyd"
expect_false ttyd_usable "$TMP/broken/ttyd"
expect_false ttyd_usable "$TMP/missing/ttyd"
expect_true ttyd_usable "$TMP/new/ttyd"
named() {
    BERTH_TTYD=$1 ttyd_ensure && printf '%s\n' "$TTYD"
}
run named "$TMP/new/ttyd"
expect_equal "$OUTPUT" "$TMP/new/ttyd"
run named "$TMP/old/ttyd"
expect_status 69
expect_says "$TMP/old/ttyd" '1.7 or newer'

# restic and rclone: too old, built without an S3 server, and named by the caller.
printf '#!/bin/sh\necho "restic 0.14.0 compiled with go1.19.8 on linux/amd64"\n' | program "$TMP/old/restic"
printf '#!/bin/sh\necho "restic 0.18.0 compiled with go1.24.4 on linux/amd64"\n' | program "$TMP/new/restic"
restic_named() {
    BERTH_RESTIC=$1 restic_ensure && printf '%s\n' "$RESTIC"
}
run restic_named "$TMP/new/restic"
expect_equal "$OUTPUT" "$TMP/new/restic"
run restic_named "$TMP/old/restic"
expect_status 69
expect_says "$TMP/old/restic" '0.18 or newer'
printf '#!/bin/sh\n[ "$1" = serve ] && [ "$2" = restic ]\n' | program "$TMP/old/rclone"
printf '#!/bin/sh\n[ "$1" = serve ] && [ "$2" = s3 ]\n' | program "$TMP/new/rclone"
rclone_named() {
    BERTH_RCLONE=$1 rclone_ensure && printf '%s\n' "$RCLONE"
}
run rclone_named "$TMP/new/rclone"
expect_equal "$OUTPUT" "$TMP/new/rclone"
run rclone_named "$TMP/old/rclone"
expect_status 69
expect_says "$TMP/old/rclone" 'serves S3'

# A machine whose lists are empty is offered nothing, so they are fetched before the distribution is asked.
machine 0
ln -s "$(type -P sed)" "$(type -P sort)" "$TMP/bin/"
program "$TMP/bin/apt-get" <<EOF
#!$TMP/bin/bash
echo "\$*" >>$TMP/calls
case " \$* " in
*' indextargets '*) [[ ! -e $TMP/lists ]] || echo 'MetaKey: main/binary-amd64/Packages' ;;
*' update '*) touch $TMP/lists ;;
*' install '*) printf '#!/bin/sh\necho 1.7.7\n' >$TMP/bin/ttyd && chmod +x $TMP/bin/ttyd ;;
esac
EOF
program "$TMP/bin/apt-cache" <<EOF
#!$TMP/bin/bash
[[ ! -e $TMP/lists ]] || echo '  Candidate: 1.7.7-1'
EOF
distribution() {
    REPO=$TMP/repo PATH=$TMP/bin ttyd_get && printf '%s\n' "$TTYD"
}
run distribution
expect_status 0
expect_says 'Fetching the lists of packages' "$TMP/bin/ttyd"
# Lists that are there are used as they are, and so are none where nobody may fetch them.
lists() {
    PATH=$TMP/bin apt_lists_ensure
}
: >"$TMP/calls"
run lists
expect_equal "$(grep -c update "$TMP/calls")" 0
rm "$TMP/lists"
printf '#!/bin/sh\necho 1000\n' | program "$TMP/bin/id"
run lists
expect_status 0
expect_equal "$(grep -c update "$TMP/calls")" 0

# Mirrors, read by apt from both formats of its sources.
if type -P apt-get >/dev/null; then
    mkdir -p "$TMP/apt/d" "$TMP/apt/lists"
    mirrors() {
        archive_mirrors bookworm -o "Dir::State::lists=$TMP/apt/lists" \
            -o "Dir::Etc::sourcelist=$TMP/apt/sources.list" -o "Dir::Etc::sourceparts=$TMP/apt/d"
    }
    cat >"$TMP/apt/sources.list" <<'EOF'
deb cdrom:[Debian]/debian bookworm main
# deb http://off.test/debian bookworm main
deb [arch=amd64,arm64] http://list.test/debian/ bookworm main contrib
deb http://list.test/debian bookworm-updates main
deb http://security.test/debian-security bookworm-security main
deb-src http://source.test/debian bookworm main
deb http://old.test/debian bullseye main
deb http://contrib.test/debian bookworm contrib
deb https://apps.test/deb bookworm main
EOF
    run mirrors
    expect_equal "$OUTPUT" http://list.test/debian

    : >"$TMP/apt/sources.list"
    cat >"$TMP/apt/d/debian.sources" <<'EOF'
Enabled: no
Types: deb
URIs: http://disabled.test/debian
Suites: bookworm
Components: main

Types: deb deb-src
URIs: https://deb822.test/pub/debian/
Suites: bookworm bookworm-updates
Components: main
EOF
    run mirrors
    expect_equal "$OUTPUT" https://deb822.test/pub/debian
    printf 'Types: deb\nURIs: mirror+file:/etc/apt/mirrors/debian.list\nSuites: bookworm\nComponents: main\n' \
        >"$TMP/apt/d/debian.sources"
    run mirrors
    expect_equal "$OUTPUT" mirror+file:/etc/apt/mirrors/debian.list
    : >"$TMP/apt/d/debian.sources"
    run mirrors
    expect_equal "$OUTPUT" ''

    # The private world of apt has the last word over the machine's settings, and leaves proxies alone.
    apt_world "$TMP/world" amd64 http://m.test/debian /k.gpg
    cat >"$TMP/machine.conf" <<'EOF'
APT::Update::Post-Invoke { "false"; };
APT::Default-Release "bookworm";
APT::Get::AllowUnauthenticated "true";
Acquire::http::Proxy "http://p.test";
EOF
    run env APT_CONFIG="$TMP/machine.conf" apt-config -c "$TMP/world/apt.conf" dump
    expect_says 'Acquire::http::Proxy "http://p.test"' 'APT::Get::AllowUnauthenticated "false"' \
        "Dir::State::status \"$TMP/world"
    overridden='^APT::(Update::Post-Invoke|Default-Release "b|Get::AllowUnauthenticated "t)'
    expect_equal "$(grep -E "$overridden" <<<"$OUTPUT")" ''
    expect_equal "$(<"$TMP/world/sources.list")" \
        'deb [arch=amd64 signed-by=/k.gpg target=Packages lang=none] http://m.test/debian sid main'
fi

finish
