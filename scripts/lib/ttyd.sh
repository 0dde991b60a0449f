# shellcheck shell=bash
# Finds a ttyd of version 1.7 or newer, or gets one. In this order:
#
#   1. the one that BERTH_TTYD names;
#   2. the one on PATH;
#   3. one that was fetched earlier into .tools/ (remove .tools/ttyd-* to have it fetched anew);
#   4. the distribution's package (Ubuntu has one);
#   5. Debian's archive (Debian 12 and 13 have none of their own): see debian-archive.sh.
#
# Needs say.sh, packages.sh, toolchain.sh (versions), build.sh (lock), debian-archive.sh, program-prefix.sh and REPO.

TTYD_WANTED=1.7

# ttyd_version FILE: what the program says of itself; nothing when it doesn't run.
ttyd_version() {
    first_version "$("$1" --version 2>/dev/null || true)" || true
}

# ttyd_usable FILE
ttyd_usable() {
    local version
    version=$(ttyd_version "$1")
    [[ -n $version ]] && version_at_least "$version" "$TTYD_WANTED"
}

# ttyd_answers FILE: starts it on a socket and asks for its token page, which --version doesn't reach: only
# here are its event loop and the libraries of that loaded.
ttyd_answers() {
    local dir pid answer='' try
    dir=$(mktemp -d)
    "$1" -i "$dir/t.sock" true </dev/null >"$dir/log" 2>&1 &
    pid=$!
    for ((try = 0; try < 100; try++)); do
        answer=$(curl -s -o "$dir/token" -w '%{http_code}' -m 5 --unix-socket "$dir/t.sock" http://ttyd/token || true)
        if [[ $answer == 200 ]] || ! kill -0 "$pid" 2>/dev/null; then
            break
        fi
        sleep 0.05
    done
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    if [[ $answer != 200 ]]; then
        tail -n 5 "$dir/log" >&2
    fi
    rm -rf "$dir"
    [[ $answer == 200 ]]
}

# The ttyd in .tools with the highest version, if one is there and works.
ttyd_fetched() {
    local file
    while IFS= read -r file; do
        if ttyd_usable "$file"; then
            printf '%s\n' "$file"
            return 0
        fi
    done < <(printf '%s\n' "$REPO"/.tools/ttyd-*/bin/ttyd | sort -rV)
    return 1
}

# ttyd_works FILE
ttyd_works() {
    ttyd_usable "$1" && ttyd_answers "$1"
}

# The slow way, into .tools.
ttyd_from_archive() {
    archive_program ttyd "$TTYD_WANTED" ttyd_works libwebsockets-evlib-uv 'libwebsockets-evlib_uv.so*'
}

# Does the distribution offer a ttyd that is new enough?
ttyd_offered() {
    local candidate
    candidate=$(LC_ALL=C apt-cache policy ttyd 2>/dev/null | sed -n 's/^ *Candidate: *//p')
    [[ $candidate == [0-9]* ]] && version_at_least "$candidate" "$TTYD_WANTED"
}

# Sets TTYD to the absolute path of a working ttyd.
ttyd_ensure() {
    if [[ -n ${BERTH_TTYD:-} ]]; then
        ttyd_usable "$BERTH_TTYD" \
            || die "$EX_UNAVAILABLE" "BERTH_TTYD names $BERTH_TTYD, which isn't a working ttyd $TTYD_WANTED or newer"
        TTYD=$(realpath -s -- "$BERTH_TTYD")
    elif ttyd_usable ttyd; then
        TTYD=$(realpath -s -- "$(type -P ttyd)")
    elif ! TTYD=$(ttyd_fetched); then
        with_build_lock ttyd_get
    fi
}

# The slow half, under the lock: another script may have fetched it while this one waited.
ttyd_get() {
    if TTYD=$(ttyd_fetched); then
        return 0
    fi
    type -P apt-get >/dev/null \
        || die "$EX_UNAVAILABLE" "ttyd $TTYD_WANTED or newer is needed, and this system has no apt-get to get it with" \
            "Install it, https://github.com/tsl0922/ttyd, and start again."
    apt_lists_ensure
    if ttyd_offered; then
        packages_ensure ttyd
        TTYD=$(type -P ttyd)
        ttyd_usable "$TTYD" || die "$EX_UNAVAILABLE" "the distribution's ttyd, $TTYD, doesn't run"
        return 0
    fi
    step "Fetching ttyd from Debian's archive (the distribution has none)"
    ttyd_from_archive
    TTYD=$(ttyd_fetched) || die "$EX_UNAVAILABLE" "the ttyd that was fetched doesn't run"
    step_done
}
