#!/usr/bin/env bash
# Lists of functions that scripts/layout made: that it is said when one has aged.
# shellcheck disable=SC2317,SC2329 # functions are called by name, through `run`
set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/expect.sh"
# shellcheck source-path=SCRIPTDIR/..
. "$REPO/scripts/lib/say.sh"
. "$REPO/scripts/lib/build.sh"

# list NAME...: such a list.
list() {
    printf 'SECTIONS {\n  .text : {\n    *(\n' >"$TMP/hot.ld"
    printf '      .text.%s\n' "$@" >>"$TMP/hot.ld"
    printf '    )\n    *(.text.unlikely.*)\n  }\n}\n' >>"$TMP/hot.ld"
}

program=$TMP/program.o
printf 'void one(void) {}\nvoid another_one(void) {}\nint data = 1;\n' | gcc -c -x c - -o "$program"

list one 'another_*'
run layout_age "$TMP/hot.ld" "$program"
expect_status 0
expect_equal "$OUTPUT" ''

list one 'two*' on another
run layout_age "$TMP/hot.ld" "$program"
expect_status 0
expect_says 'hot.ld: 3 of 4 functions in it are gone' 'scripts/layout'

# One in a hundred is not worth a word.
mapfile -t many < <(yes one | head -n 99)
list "${many[@]}" gone
run layout_age "$TMP/hot.ld" "$program"
expect_status 0
expect_equal "$OUTPUT" ''
list "${many[@]}" gone too
run layout_age "$TMP/hot.ld" "$program"
expect_says 'hot.ld: 2 of 101 functions in it are gone'

finish
