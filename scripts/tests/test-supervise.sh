#!/usr/bin/env bash
# How long a dead program stays dead, and what becomes of one that won't end.
# shellcheck disable=SC2317,SC2329 # functions are called by name, through `run` and `expect_true`
set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/expect.sh"
# shellcheck source-path=SCRIPTDIR/..
. "$REPO/scripts/lib/say.sh"
. "$REPO/scripts/lib/supervise.sh"

export STATE=$TMP VERBOSE=no
mkdir "$TMP/log"
seq 1 30 >"$TMP/log/gateway.log"

for pair in '200|0.2 s' '9999|9.9 s' '10000|10 s' '119999|119 s' '185000|3 min 5 s'; do
    expect_equal "$(duration "${pair%|*}")" "${pair#*|}"
done

# end AGE_MS CODE: as if the gateway had ended with CODE at that age.
end() {
    STARTED[gateway]=$(($(now_ms) - $1))
    CODE=$2
    program_ended gateway >"$TMP/out"
    OUTPUT=$(tail -n 1 "$TMP/out")
}
program_status() {
    STATUS=$CODE
}

for delay in '0.2 s' '0.4 s' '0.8 s' '1.6 s' '3.2 s' '5.0 s' '5.0 s'; do
    end 100 1
    expect_equal "$OUTPUT" "gateway ended (exit code 1); starting it again in $delay"
done
end 10001 1
expect_says 'again in 0.2 s'
expect_equal "$(grep -c '^    ' "$TMP/out")" 20
expect_equal "$(grep -n '^    11$' "$TMP/out" | cut -d: -f2)" '    11'
end 9000 0
expect_says 'again in 0.4 s'
expect_equal "$(grep -c '^    ' "$TMP/out")" 0
expect_true test "$((DUE[gateway] - $(now_ms)))" -gt 200

for code in 64 73 78; do
    run end 100 "$code"
    expect_status "$code"
done

# One that ignores TERM is killed after the grace period; one that heeds it isn't waited for any longer.
bash -c 'trap "" TERM; touch "$0/ready"; while true; do sleep 0.05; done' "$TMP" &
PIDS=([gateway]=$!)
wait_for 5 test -e "$TMP/ready"
GRACE_MS=300
run programs_stop
expect_says 'killing: gateway'
{ wait "${PIDS[gateway]}"; } 2>/dev/null
expect_equal $? 137

sleep 60 &
PIDS=([box-agent]=$!)
GRACE_MS=20000
before=$(now_ms)
run programs_stop
expect_equal "$OUTPUT" ''
expect_true test $(($(now_ms) - before)) -lt 5000
{ wait "${PIDS[box-agent]}"; } 2>/dev/null
expect_equal $? 143

finish
