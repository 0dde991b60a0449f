# The first process of a pane: "$1" is the pane's name, "$2" where it begins, "$3" a file with what it showed last
# or nothing, the rest is its command. Without one, or after it, there is a shell.
#
# Names begin with berth_, which no variable of a workspace's environment may.
berth_name=$1
berth_directory=$2
berth_screen=$3
shift 3

# The agent puts this process into its session's scope, and what it starts is then in it too. A place that does
# not come is not worth a pane.
if [ -n "${BERTH_SCOPE:-}" ]; then
    berth_tries=0
    until grep -q "/$BERTH_SCOPE\$" "/proc/$$/cgroup" 2>/dev/null || [ "$berth_tries" -ge 40 ]; do
        sleep 0.05
        berth_tries=$((berth_tries + 1))
    done
    unset BERTH_SCOPE berth_tries
fi

# Where it begins may be gone since: then the nearest place above it that is left.
while [ -n "$berth_directory" ] && ! cd -- "$berth_directory" 2>/dev/null; do
    case $berth_directory in
        */*) berth_directory=${berth_directory%/*} ;;
        *) berth_directory= ;;
    esac
done

# The workspace's variables. Tried first: a file that can't be read would end this shell.
if [ -r "${BERTH_ENVIRONMENT:-}" ] && (. "$BERTH_ENVIRONMENT") >/dev/null 2>&1; then
    . "$BERTH_ENVIRONMENT"
fi

if [ -n "$berth_screen" ]; then
    cat -- "$berth_screen" 2>/dev/null
    rm -f -- "$berth_screen"
fi

if [ $# -gt 0 ]; then
    if command -v "$1" >/dev/null 2>&1; then
        # The command gets Ctrl-C; this script must outlive it. It must not be stopped either: nobody
        # could make it go on.
        trap : INT QUIT
        trap '' TSTP
        "$@"
        berth_status=$?
        trap - INT QUIT TSTP
        # Short lines: a phone shows forty columns.
        printf '\n%s has ended (status %s).\nThis is a shell; "%s" starts it again.\n' "$berth_name" "$berth_status" "$1"
    else
        printf '%s is not installed on this box.\nThis is a shell.\n' "$1"
    fi
fi
exec "${SHELL:-/bin/sh}" -l
