# shellcheck shell=bash
# What the shell tests are written with. A test file runs commands, says what it expects of each, and ends with
# `finish`; a failed expectation is printed with what was there instead, and the file goes on.
#
# Sets REPO (this clone) and TMP (a directory that goes when the test ends).

REPO=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.." && pwd -P)
TMP=$(mktemp -d)
CHECKED=0
FAILED=0
STATUS=0
OUTPUT=''
trap 'cleanup >/dev/null 2>&1; rm -rf "$TMP"' EXIT
export REPO

# What a test has to end when it ends; tests that start something redefine it.
cleanup() {
    :
}

# run COMMAND...: in a subshell, so that one which ends itself ends nothing here.
run() {
    STATUS=0
    OUTPUT=$("$@" 2>&1 </dev/null) || STATUS=$?
}

# verdict WHAT GOT: counts the result of the command before it.
verdict() {
    local status=$?
    CHECKED=$((CHECKED + 1))
    if ((status != 0)); then
        FAILED=$((FAILED + 1))
        printf 'FAILED %s:%s: %s\n' "${BASH_SOURCE[2]##*/}" "${BASH_LINENO[1]}" "$1" >&2
        printf '    there was: %s\n' "${2//$'\n'/$'\n'    }" >&2
    fi
}

expect_status() {
    [[ $STATUS == "$1" ]]
    verdict "exit status $1" "$STATUS, with the output: $OUTPUT"
}

# expect_says TEXT...: each is in the output.
expect_says() {
    local text
    for text in "$@"; do
        [[ $OUTPUT == *"$text"* ]]
        verdict "output with '$text'" "$OUTPUT"
    done
}

expect_equal() {
    [[ $1 == "$2" ]]
    verdict "'$2'" "'$1'"
}

expect_true() {
    "$@"
    verdict "$* succeeds" "failure"
}

expect_false() {
    ! "$@"
    verdict "$* fails" "success"
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        if ((SECONDS >= deadline)); then
            return 1
        fi
        sleep 0.05
    done
}

# program FILE: makes an executable of standard input.
program() {
    mkdir -p -- "${1%/*}"
    cat >"$1"
    chmod +x -- "$1"
}

finish() {
    printf '    %s: %d of %d expectations met\n' "${0##*/}" $((CHECKED - FAILED)) "$CHECKED"
    ((FAILED == 0 && CHECKED > 0))
    exit
}
