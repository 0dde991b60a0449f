#!/usr/bin/env bash
# systemd/install: what it puts where, and what it leaves alone.
# shellcheck disable=SC2317,SC2329 # functions are called by name, through `run` and `expect_true`
set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/expect.sh"

export DESTDIR=$TMP/tree
INSTALL=$REPO/systemd/install
CONFIG=$DESTDIR/etc/box-agent/config.toml
program "$TMP/program" <<<'#!/bin/sh'

for wrong in '' fly box 'box nothing' "box $TMP"; do
    # shellcheck disable=SC2086 # words are meant
    run "$INSTALL" $wrong
    expect_status 64
    expect_says Usage
done
expect_false test -e "$DESTDIR"

run "$INSTALL" box "$TMP/program"
expect_status 0
expect_true cmp -s "$TMP/program" "$DESTDIR/usr/bin/box-agent"
expect_true cmp -s "$REPO/box-agent/src/terminal/tmux.conf" "$DESTDIR/usr/share/berth/tmux.conf"
expect_true cmp -s "$REPO/systemd/tailscaled.service.d/berth.conf" \
    "$DESTDIR/usr/lib/systemd/system/tailscaled.service.d/berth.conf"
expect_true cmp -s "$REPO/systemd/box-agent.toml" "$CONFIG"
for link in multi-user.target.wants/box.target box.target.wants/box-agent.service box.target.wants/box-tmux.service; do
    expect_true test -L "$DESTDIR/etc/systemd/system/$link"
done
expect_false test -e "$DESTDIR/usr/bin/gateway"

# An upgrade: another program, and settings that somebody has changed.
printf '# mine\n' >"$CONFIG"
printf 'exit 1\n' >>"$TMP/program"
old=$(stat -c %i "$DESTDIR/usr/bin/box-agent")
run "$INSTALL" box "$TMP/program"
expect_status 0
expect_equal "$(<"$CONFIG")" '# mine'
expect_true cmp -s "$TMP/program" "$DESTDIR/usr/bin/box-agent"
# Another file, so that the one that runs stays whole.
expect_false test "$old" = "$(stat -c %i "$DESTDIR/usr/bin/box-agent")"

run "$INSTALL" gateway "$TMP/program"
expect_status 0
expect_true test -L "$DESTDIR/etc/systemd/system/multi-user.target.wants/berth-gateway.service"
# Every unit that is there is installed.
for unit in "$REPO"/systemd/*.{service,slice,target}; do
    expect_true test -f "$DESTDIR/usr/lib/systemd/system/${unit##*/}"
done
expect_equal "$(find "$DESTDIR" -name '*.new')" ''
finish
