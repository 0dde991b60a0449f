#!/usr/bin/env bash
# The commands about images and machines of one's own: what they refuse before they change anything.
# shellcheck disable=SC2317,SC2329 # functions are called by name
set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/expect.sh"

run "$REPO/scripts/image" --help
expect_status 0
expect_says 'build-tree' 'snapshot'
run "$REPO/scripts/image"
expect_status 64
run "$REPO/scripts/image" snapshoot
expect_status 64
run "$REPO/scripts/image" check "$TMP/nowhere"
expect_status 64
run "$REPO/scripts/image" bundle
expect_status 64
mkdir "$TMP/there"
run env BERTH_BINARIES="$TMP" "$REPO/scripts/image" bundle "$TMP/bundle.tar.gz"
expect_status 69
expect_says 'which has no program gateway'
expect_false test -e "$TMP/bundle.tar.gz"

# A machine is looked at before it is changed.
run "$REPO/scripts/install" --bogus
expect_status 64
expect_says "unknown option '--bogus'"
run "$REPO/scripts/install" --token-file
expect_status 64
printf '#!/bin/sh\necho 1000\n' | program "$TMP/bin/id"
run env PATH="$TMP/bin:$PATH" "$REPO/scripts/install"
expect_status 64
expect_says 'takes root'
run env PATH="$TMP/bin:$PATH" "$REPO/scripts/uninstall"
expect_status 64
expect_says 'takes root'
printf '#!/bin/sh\necho 0\n' | program "$TMP/bin/id"
run env PATH="$TMP/bin:$PATH" BERTH_BINARIES="$TMP/none" "$REPO/scripts/install"
expect_status 69
expect_says 'box-agent is missing' 'scripts/image bundle'
printf '#!/bin/sh\nexit 1\n' | program "$TMP/agent/box-agent"
run env PATH="$TMP/bin:$PATH" BERTH_BINARIES="$TMP/agent" "$REPO/scripts/install"
expect_status 69
expect_says "doesn't run on this machine"
run "$REPO/scripts/uninstall" --bogus
expect_status 64

# Steps are named by their numbers.
run "$REPO/packer/provision/run" 33
expect_status 64
expect_says 'no step begins with "33"'

finish
