# The first process of a pane: "$1" is the pane's name, "$2" where it begins, "$3" a file with what it showed last
# or nothing, the rest is its command. Without one, or after it, there is a shell.
name=$1
directory=$2
screen=$3
shift 3

# The agent puts this process into its session's scope, and what it starts is then in it too. A place that does
# not come is not worth a pane.
if [ -n "${BERTH_SCOPE:-}" ]; then
    tries=0
    until grep -q "/$BERTH_SCOPE\$" "/proc/$$/cgroup" 2>/dev/null || [ "$tries" -ge 40 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    unset BERTH_SCOPE tries
fi

# Where it begins may be gone since: then the nearest place above it that is left.
while [ -n "$directory" ] && ! cd -- "$directory" 2>/dev/null; do
    case $directory in
        */*) directory=${directory%/*} ;;
        *) directory= ;;
    esac
done

# The workspace's variables. Tried first: a file that can't be read would end this shell.
if [ -r "${BERTH_ENVIRONMENT:-}" ] && (. "$BERTH_ENVIRONMENT") >/dev/null 2>&1; then
    . "$BERTH_ENVIRONMENT"
fi

if [ -n "$screen" ]; then
    cat -- "$screen" 2>/dev/null
    rm -f -- "$screen"
fi

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
