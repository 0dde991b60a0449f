# What a pane runs: "$1" is its name, the rest is its command. Without one, or after it, there is a shell.
name=$1
shift
if [ $# -gt 0 ]; then
    if command -v "$1" >/dev/null 2>&1; then
        # The command gets Ctrl-C; this script must outlive it. It must not be stopped either: nobody
        # could make it go on.
        trap : INT QUIT
        trap '' TSTP
        "$@"
        status=$?
        trap - INT QUIT TSTP
        # Short lines: a phone shows forty columns.
        printf '\n%s has ended (status %s).\nThis is a shell; "%s" starts it again.\n' "$name" "$status" "$1"
    else
        printf '%s is not installed on this box.\nThis is a shell.\n' "$1"
    fi
fi
exec "${SHELL:-/bin/sh}" -l
