# shellcheck shell=bash
# What the scripts say, and the exit codes they end with: one voice for all of them, so that a person sees at
# a glance which step runs, how long it took and what to do when it can't go on.
#
# Progress goes to standard output, complaints go to standard error.

# The numbering of sysexits(3), which both binaries follow too.
EX_USAGE=64       # the command line is wrong
EX_UNAVAILABLE=69 # something needed is missing, too old or taken
EX_STATE=73       # the state directory can't be used
EX_CONFIG=78      # the configuration is wrong
export EX_USAGE EX_UNAVAILABLE EX_STATE EX_CONFIG

PROGRAM_NAME=${PROGRAM_NAME:-${0##*/}}
STEP_NAME=''
STEP_STARTED=0

# Milliseconds since the epoch. The decimal point of EPOCHREALTIME is the locale's, hence the pattern.
now_ms() {
    local now=${EPOCHREALTIME//[^0-9]/}
    printf '%s\n' "${now:0:-3}"
}

# Milliseconds as people read them: 0.4 s, 12 s, 3 min 5 s.
duration() {
    local ms=$1
    if ((ms < 10000)); then
        printf '%d.%d s\n' $((ms / 1000)) $((ms % 1000 / 100))
    elif ((ms < 120000)); then
        printf '%d s\n' $((ms / 1000))
    else
        printf '%d min %d s\n' $((ms / 60000)) $((ms / 1000 % 60))
    fi
}

# A line about what goes on.
say() {
    printf '%s\n' "$*"
}

warn() {
    printf '%s: %s\n' "$PROGRAM_NAME" "$*" >&2
}

# die CODE MESSAGE [LINE...]: the message, any further lines as they are, and the end.
die() {
    local code=$1
    shift
    warn "$1"
    shift
    if (($# > 0)); then
        printf '  %s\n' "$@" >&2
    fi
    exit "$code"
}

# Opens a step, and closes the one before it.
step() {
    step_done
    STEP_NAME=$1
    STEP_STARTED=$(now_ms)
    printf '==> %s\n' "$STEP_NAME"
}

step_done() {
    if [[ -n $STEP_NAME ]]; then
        printf '    %s: %s\n' "$STEP_NAME" "$(duration $(($(now_ms) - STEP_STARTED)))"
    fi
    STEP_NAME=''
}
