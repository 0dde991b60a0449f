#!/usr/bin/env bash
# The files that scripts/start writes: TOML strings, ports, where the sockets go.
# shellcheck disable=SC2317,SC2329 # functions are called by name, through `run` and `expect_true`
set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/expect.sh"
# shellcheck source-path=SCRIPTDIR/..
. "$REPO/scripts/lib/say.sh"
. "$REPO/scripts/lib/state.sh"
. "$REPO/scripts/lib/config.sh"

expect_equal "$(toml_string /plain/path)" '"/plain/path"'
expect_equal "$(toml_string '')" '""'
expect_equal "$(toml_string "/with space/it's")" "\"/with space/it's\""
expect_equal "$(toml_string 'a"b\c')" '"a\"b\\c"'
expect_equal "$(toml_string $'a\tb\nc\x7f')" '"a\u0009b\u000Ac\u007F"'
expect_equal "$(toml_string /häfen/船)" '"/häfen/船"'
expect_equal "$(LC_ALL=C toml_string $'/häfen\t船')" '"/häfen\u0009船"'

for port in 1024 7391 65532; do
    expect_true port_valid "$port"
done
for port in '' 0 1023 65533 07391 '7391 ' 7.391; do
    expect_false port_valid "$port"
done

# Up to 59 bytes of "<state>/run" there is room for the names of sockets; from 60 on there isn't.
repeat() {
    printf "%${2}s" '' | sed "s/ /$1/g"
}
room=/$(repeat s 54)
expect_equal "$(runtime_dir "$room" 1000)" "$room/run"
long=${room}s
expect_true test "$(runtime_dir "$long" 1000 | grep -cE '^/tmp/berth-1000-[0-9a-f]{12}$')" = 1
expect_false test "$(runtime_dir "$long" 1000)" = "$(runtime_dir "${long}x" 1000)"
expect_false test "$(runtime_dir "$long" 1000)" = "$(runtime_dir "$long" 1001)"
# Bytes count, not characters.
wide=/$(repeat 船 20)
expect_true test "$(LC_ALL=C.UTF-8 runtime_dir "$wide" 1000 | cut -c 1-11)" = /tmp/berth-

uid=$(id -u)
runtime_open "$TMP/run" "$uid"
expect_equal "$(stat -c '%a %F' "$TMP/run")" '700 directory'
chmod 755 "$TMP/run"
runtime_open "$TMP/run" "$uid"
expect_equal "$(stat -c %a "$TMP/run")" 700
run runtime_open "$TMP/run" $((uid + 1))
expect_status 73
ln -s "$TMP/run" "$TMP/link"
run runtime_open "$TMP/link" "$uid"
expect_status 73

STATE="$TMP/st\"ate"
PORT=4000
RUNTIME=/r
TTYD='/t t/ttyd'
mkdir "$STATE"
config_write
expect_equal "$(stat -c %a "$STATE/gateway.toml" "$STATE/box-agent.toml")" $'600\n600'
OUTPUT=$(<"$STATE/gateway.toml")
expect_says "state_dir = \"$TMP/st\\\"ate/gateway\"" $'[front]\nlisten = "127.0.0.1:4000"' \
    $'[link]\nlisten = "127.0.0.1:4001"' $'[metrics]\nlisten = "127.0.0.1:4002"' '# Written by scripts/start'
OUTPUT=$(<"$STATE/box-agent.toml")
expect_says "state_dir = \"$TMP/st\\\"ate/box\"" 'runtime_dir = "/r"' 'source = "directory"' \
    "path = \"$TMP/st\\\"ate/workspace\"" 'ttyd = "/t t/ttyd"' $'[metrics]\nlisten = "127.0.0.1:4003"'

finish
