#!/usr/bin/env bash
# Command lines: what is refused, with which exit code and which words.
# shellcheck disable=SC2317,SC2329 # functions are called by name, through `run` and `expect_true`
set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/expect.sh"

START=$REPO/scripts/start

run "$START" --help
expect_status 0
expect_says --state --port --clean --verbose

for script in start check layout test; do
    run "$REPO/scripts/$script" --bogus
    expect_status 64
    expect_says "scripts/$script: unknown option '--bogus'"
done

run "$START" extra
expect_status 64
expect_says "'extra'"

for port in '' abc 80 1023 65533 99999 08080 7391x -1 '7391; id'; do
    run "$START" --port "$port"
    expect_status 64
    expect_says "from 1024 to 65532, not '$port'"
    run "$START" "--port=$port"
    expect_status 64
done

for option in --port --state; do
    run "$START" "$option"
    expect_status 64
    expect_says "$option needs a value"
done

run "$START" --state ''
expect_status 64

mkdir "$TMP/projects"
touch "$TMP/projects/work"
run "$START" --state "$TMP/projects"
expect_status 73
expect_says "wasn't made by scripts/start"
run "$START" --state "$TMP/projects/work"
expect_status 73
run "$START" --state "$TMP/projects" --clean
expect_status 73
expect_true test -e "$TMP/projects/work"
run "$START" --state "$TMP/nothing" --clean
expect_status 0
expect_says "Nothing to remove"
expect_false test -e "$TMP/nothing"

# Root may write everywhere, so it becomes nobody to meet a directory that may only be read.
ordinary=()
if [[ $(id -u) == 0 ]]; then
    ordinary=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
fi
mkdir -p "$TMP/readonly/state" "$TMP/clone"
cp -r "$REPO/scripts" "$TMP/clone/"
chmod -R a+rX "$TMP"
chmod 555 "$TMP/readonly/state" "$TMP/readonly"
for state in readonly/state readonly/other; do
    run "${ordinary[@]}" "$TMP/clone/scripts/start" --state "$TMP/$state"
    expect_status 73
    expect_says "$TMP/$state can't be written by this user; choose another --state"
done

mkdir "$TMP/binaries"
printf '#!/bin/sh\n' | program "$TMP/binaries/gateway"
BERTH_BINARIES=$TMP/binaries run "$START" --state "$TMP/state" --port $((20000 + RANDOM % 12000))
expect_status 69
expect_says "BERTH_BINARIES names $TMP/binaries, which has no program box-agent"

finish
