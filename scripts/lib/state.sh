# shellcheck shell=bash
# The state directory of one Berth: who may use it, who uses it now, and how it is removed.
#
#   .berth-state     the marker: made by scripts/start, so --clean may remove the directory
#   .lock            held by the scripts/start that runs on it; its text says who that is
#   gateway.toml, box-agent.toml   written at each start
#   gateway/, box/   the state of the two programs
#   workspace/       the user's projects, which the box has as its volume
#   run/, log/       sockets, and what the two programs said
#
# Needs say.sh. STATE is the directory's absolute path.

STATE_MARKER=.berth-state
CLEAN_LISTED=40

# state_open: makes the directory, or takes one of ours that is there.
state_open() {
    if [[ -e $STATE && ! -d $STATE ]]; then
        die "$EX_STATE" "$STATE isn't a directory; choose another --state"
    fi
    if [[ -d $STATE && ! -e $STATE/$STATE_MARKER && -n $(ls -A -- "$STATE") ]]; then
        die "$EX_STATE" "$STATE isn't empty and wasn't made by scripts/start; choose another --state"
    fi
    if ! (umask 077 && mkdir -p -- "$STATE/log" "$STATE/workspace" && chmod 700 -- "$STATE" && [[ -w $STATE ]]); then
        die "$EX_STATE" "$STATE can't be written by this user; choose another --state"
    fi
    if [[ ! -e $STATE/$STATE_MARKER ]]; then
        printf 'Made by scripts/start of Berth; scripts/start --clean removes this directory.\n' >"$STATE/$STATE_MARKER"
    fi
}

# state_lock: takes the directory for this process, as long as it lives, by file descriptor 9. Whatever is
# started with 9 open would hold the lock too: close it there (9>&-).
state_lock() {
    # Opened for appending: the text is of the one that holds the lock, until that is this process.
    exec 9>>"$STATE/.lock"
    if ! flock -n 9; then
        die "$EX_STATE" "Berth is running already on $STATE ($(<"$STATE/.lock"))" \
            "Stop it with Ctrl-C where it runs, or choose another --state and --port."
    fi
    printf 'process %d, port %d\n' "$$" "$PORT" >"$STATE/.lock"
}

# runtime_dir STATE UID: where the sockets go. A socket's path has room for 107 bytes, and names of some 40 are
# added to this one; a state directory with a longer path gets a short directory of its own in /tmp.
runtime_dir() {
    local LC_ALL=C path=$1/run hash
    if ((${#path} + 40 < 100)); then
        printf '%s\n' "$path"
    else
        hash=$(printf '%s' "$1" | sha256sum)
        printf '/tmp/berth-%d-%s\n' "$2" "${hash:0:12}"
    fi
}

# runtime_open DIR UID: makes it, or makes sure that it is this user's: in /tmp somebody else may have been first.
runtime_open() {
    mkdir -m 700 -- "$1" 2>/dev/null || true
    if [[ -L $1 || ! -d $1 || $(stat -c %u -- "$1") != "$2" ]]; then
        die "$EX_STATE" "$1, which the sockets should go to, isn't a directory of this user"
    fi
    chmod 700 -- "$1"
}

# sessions_end DIR: ends the tmux servers that have their socket below the runtime directory DIR.
sessions_end() {
    local socket
    [[ -d $1 && ! -L $1 ]] || return 0
    while IFS= read -r -d '' socket; do
        if timeout 10 tmux -S "$socket" kill-server 2>/dev/null; then
            say "Ended the tmux sessions of $socket"
        fi
    done < <(cd -- "$1" && find "$PWD" -type s -path "$PWD/*tmux*" -print0)
}

# state_clean: ends this state's tmux sessions and removes the directory with everything in it, after saying
# what that is. Only a directory with our marker, and only when nothing runs on it.
state_clean() {
    local runtime
    if [[ ! -e $STATE ]]; then
        say "Nothing to remove: $STATE isn't there"
        return 0
    fi
    if [[ ! -f $STATE/$STATE_MARKER ]]; then
        die "$EX_STATE" "$STATE wasn't made by scripts/start, so it isn't removed"
    fi
    state_lock
    runtime=$(runtime_dir "$STATE" "$(id -u)")
    sessions_end "$runtime"
    say "Removing $STATE:"
    (cd -- "$STATE" && find . -mindepth 1 -maxdepth 1 -printf '  %P\n' | LC_ALL=C sort)
    if [[ -n $(ls -A -- "$STATE/workspace" 2>/dev/null) ]]; then
        say "with what the user keeps in it (the first $CLEAN_LISTED directories):"
        # awk reads to the end, so that no writer before it fails on a closed pipe.
        (cd -- "$STATE/workspace" && find . -mindepth 1 -maxdepth 3 -type d -printf '  workspace/%P\n') \
            | LC_ALL=C sort | awk -v last="$CLEAN_LISTED" 'NR <= last'
    fi
    if [[ $runtime == /tmp/berth-* && ! -L $runtime && -O $runtime ]]; then
        say "Removing $runtime"
        rm -rf --one-file-system -- "$runtime"
    fi
    rm -rf --one-file-system -- "$STATE"
}
