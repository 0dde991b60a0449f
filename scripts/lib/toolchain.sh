# shellcheck shell=bash
# Rust and Node: are they there, and new enough? The wanted versions are read from the files that cargo and npm
# read, so there is one place to change them. Neither is installed here: how to get a compiler is the
# developer's choice.
#
# Needs say.sh and REPO.

# version_at_least HAVE WANT: compares dotted numbers; anything after the numbers ("-nightly") is ignored.
version_at_least() {
    local -a have want
    local i
    IFS=. read -ra have <<<"${1%%[!0-9.]*}"
    IFS=. read -ra want <<<"${2%%[!0-9.]*}"
    for ((i = 0; i < ${#want[@]}; i++)); do
        local h=${have[i]:-0} w=${want[i]:-0}
        if ((10#$h > 10#$w)); then
            return 0
        elif ((10#$h < 10#$w)); then
            return 1
        fi
    done
    return 0
}

# first_version TEXT: the first number or dotted number in it, or nothing.
first_version() {
    [[ $1 =~ [0-9]+(\.[0-9]+)* ]] && printf '%s\n' "${BASH_REMATCH[0]}"
}

# The workspace's `rust-version`.
rust_wanted() {
    local line
    line=$(grep -m 1 '^rust-version *=' "$REPO/Cargo.toml") \
        || die "$EX_CONFIG" "$REPO/Cargo.toml names no rust-version"
    first_version "$line"
}

# The ranges of the web UI's `engines.node`, such as "^20.19" and ">=24", one a line.
node_wanted() {
    local manifest=$REPO/gateway/web/package.json line=''
    if [[ -r $manifest ]]; then
        line=$(sed -n '/"engines"/,/}/{/"node"/{s/.*"node" *: *"\([^"]*\)".*/\1/p;q}}' "$manifest")
    fi
    grep -oE '(\^|>=)[0-9.]+' <<<"$line" || die "$EX_CONFIG" "$manifest names no range of Node.js versions"
}

# version_in HAVE RANGE: "^20.19" is 20.19 or a newer 20, ">=24" is 24 or newer.
version_in() {
    local lowest=${2#^}
    lowest=${lowest#>=}
    version_at_least "$1" "$lowest" && [[ $2 == '>='* || ${1%%.*} == "${lowest%%.*}" ]]
}

# range_said RANGE: for people.
range_said() {
    local lowest=${1#^}
    if [[ $1 == '^'* ]]; then
        printf '%s or a newer %s\n' "$lowest" "${lowest%%.*}"
    else
        printf '%s or newer\n' "${1#>=}"
    fi
}

# version_of PROGRAM: what it says its version is; nothing when it isn't there or doesn't run. Called in the
# repository, so that rustup picks the toolchain named there; its progress when it fetches one stays visible.
version_of() {
    if type -P "$1" >/dev/null; then
        first_version "$(cd "$REPO" && "$1" --version || true)" || true
    fi
}

rust_check() {
    local wanted found
    wanted=$(rust_wanted)
    found=$(version_of rustc)
    if [[ -z $found || -z $(version_of cargo) ]]; then
        die "$EX_UNAVAILABLE" "Rust $wanted or newer is needed, and no working rustc and cargo were found" \
            "Get it with rustup, https://rustup.rs, then open a new shell and start again."
    fi
    if ! version_at_least "$found" "$wanted"; then
        die "$EX_UNAVAILABLE" "Rust $wanted or newer is needed, and rustc is $found" \
            "With rustup: rustup update. Without: get rustup from https://rustup.rs."
    fi
}

node_check() {
    local ranges range found needed='' suits=no
    ranges=$(node_wanted) || exit
    found=$(version_of node)
    while IFS= read -r range; do
        needed+="${needed:+, }$(range_said "$range")"
        if [[ -n $found ]] && version_in "$found" "$range"; then
            suits=yes
        fi
    done <<<"$ranges"
    needed="Node.js $needed is needed to build the web UI"
    if [[ -z $found ]]; then
        die "$EX_UNAVAILABLE" "$needed, and none was found" \
            "Get it from https://nodejs.org, or from the distribution if that is new enough."
    fi
    if [[ $suits == no ]]; then
        die "$EX_UNAVAILABLE" "$needed, and node is $found" "Get one of these from https://nodejs.org."
    fi
    if [[ -z $(version_of npm) ]]; then
        die "$EX_UNAVAILABLE" "npm is needed to build the web UI; Node.js $found is here without it" \
            "It comes with Node.js from https://nodejs.org; in Debian and Ubuntu the package is npm."
    fi
}

toolchain_check() {
    rust_check
    node_check
}
