# shellcheck shell=bash
# Keeps the two programs running until the user stops them.
#
#              exits 64, 73, 78                    (starting again can't mend those)
#   running ─────────────────────▶ Berth ends with that code
#      │ ▲
#      │ │ after 0.2 s, doubled each time up to 5 s; back to 0.2 s once a program has lived for 10 s
#      ▼ │
#    waiting
#
# Signals go to process ids that were started here, never to names. tmux isn't started here and isn't stopped
# here: its sessions live on.
#
# Needs say.sh; STATE, GATEWAY, BOX_AGENT and VERBOSE are set.

BACKOFF_FIRST_MS=200
BACKOFF_LAST_MS=5000
LIFE_MS=10000
GRACE_MS=10000
LOG_BYTES=10485760

# The exit status that a signal asked for. Traps only set it: an `exit` in one that interrupts `read` can crash
# bash 5.2.
STOP=''

declare -A PIDS=() STARTED=() BACKOFF=() DUE=()

program_log() {
    printf '%s/log/%s.log\n' "$STATE" "$1"
}

# program_start NAME: gateway or box-agent, in a session of its own so that a Ctrl-C in the terminal reaches only
# this script, and with the kernel's promise to end it should this script be killed.
program_start() {
    local name=$1 log
    local -a command
    case $name in
    gateway) command=("$GATEWAY" serve --config "$STATE/gateway.toml") ;;
    box-agent) command=("$BOX_AGENT" run --config "$STATE/box-agent.toml") ;;
    esac
    log=$(program_log "$name")
    setpriv --pdeathsig TERM -- setsid -- "${command[@]}" </dev/null >>"$log" 2>&1 7>&- 9>&- &
    PIDS[$name]=$!
    STARTED[$name]=$(now_ms)
    unset "DUE[$name]"
}

# Called wherever this script has waited for something.
stop_if_asked() {
    if [[ -n $STOP ]]; then
        # A terminal that was closed takes no more words.
        say "Stopping Berth" 2>/dev/null || true
        exit "$STOP"
    fi
}

program_alive() {
    [[ -n ${PIDS[$1]:-} ]] && kill -0 "${PIDS[$1]}" 2>/dev/null
}

# program_status NAME: collects the exit status of one that isn't alive any more.
program_status() {
    local status=0
    wait "${PIDS[$1]}" 2>/dev/null || status=$?
    unset "PIDS[$1]"
    STATUS=$status
}

# The last lines of a program's log, for the one who wants to know why it ended.
program_last_words() {
    local log
    log=$(program_log "$1")
    if [[ -s $log ]]; then
        say "The last lines of $log:"
        tail -n 20 -- "$log" | sed 's/^/    /'
    fi
}

# logs_open: makes both logs, puts away those that grew large, and shows them when --verbose asks for it.
logs_open() {
    local name log
    for name in gateway box-agent; do
        log=$(program_log "$name")
        if [[ -e $log && $(stat -c %s -- "$log") -gt $LOG_BYTES ]]; then
            mv -f -- "$log" "$log.1"
        fi
        (umask 077 && : >>"$log")
        if [[ $VERBOSE == yes ]]; then
            tail --pid=$$ -n 0 -F -- "$log" 2>/dev/null 9>&- &
        fi
    done
}

# await_ready NAME SECONDS COMMAND...: until the command succeeds. A program that ends instead ends Berth: before
# the first success, starting it again would only hide the reason.
await_ready() {
    local name=$1 seconds=$2 deadline=$(($(now_ms) + $2 * 1000))
    shift 2
    until timeout --foreground 10 "$@" >/dev/null 2>&1 9>&-; do
        stop_if_asked
        if ! program_alive "$name"; then
            program_status "$name"
            program_last_words "$name"
            die $((STATUS == 0 ? 1 : STATUS)) "$name ended while it was starting (exit code $STATUS)"
        fi
        if (($(now_ms) > deadline)); then
            program_last_words "$name"
            die "$EX_UNAVAILABLE" "$name isn't ready after $seconds seconds"
        fi
        sleep 0.1
    done
    stop_if_asked
}

# program_ended NAME: decides what follows; ends Berth, or sets the time at which to start it again.
program_ended() {
    local name=$1 now delay
    program_status "$name"
    case $STATUS in
    "$EX_USAGE" | "$EX_STATE" | "$EX_CONFIG")
        program_last_words "$name"
        die "$STATUS" "$name ended with exit code $STATUS, which starting again can't mend"
        ;;
    esac
    now=$(now_ms)
    delay=${BACKOFF[$name]:-$BACKOFF_FIRST_MS}
    if ((now - STARTED[$name] >= LIFE_MS)); then
        delay=$BACKOFF_FIRST_MS
    fi
    if ((delay == BACKOFF_FIRST_MS)); then
        program_last_words "$name"
    fi
    say "$name ended (exit code $STATUS); starting it again in $(duration "$delay")"
    DUE[$name]=$((now + delay))
    BACKOFF[$name]=$((delay * 2 < BACKOFF_LAST_MS ? delay * 2 : BACKOFF_LAST_MS))
}

# supervise: returns never; signals and hopeless exit codes end it.
supervise() {
    local name
    # Reading from a pipe that nothing is written to is a sleep that starts no process.
    exec 7<> <(:)
    while true; do
        read -r -t 0.2 -u 7 _ || true
        stop_if_asked
        for name in gateway box-agent; do
            if [[ -n ${DUE[$name]:-} ]]; then
                if (($(now_ms) >= DUE[$name])); then
                    program_start "$name"
                fi
            elif ! program_alive "$name"; then
                program_ended "$name"
            fi
        done
    done
}

# programs_stop: TERM, ten seconds, KILL. For the EXIT trap: it never fails and keeps the exit status.
programs_stop() {
    local name deadline left
    trap '' INT TERM HUP
    for name in "${!PIDS[@]}"; do
        kill -TERM "${PIDS[$name]}" 2>/dev/null || true
    done
    deadline=$(($(now_ms) + GRACE_MS))
    while true; do
        left=''
        for name in "${!PIDS[@]}"; do
            if program_alive "$name"; then
                left+=" $name"
            fi
        done
        if [[ -z $left ]]; then
            break
        elif (($(now_ms) > deadline)); then
            warn "not ended after $(duration "$GRACE_MS"), killing:$left"
            for name in $left; do
                kill -KILL "${PIDS[$name]}" 2>/dev/null || true
            done
            break
        fi
        sleep 0.05
    done
}
