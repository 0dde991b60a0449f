# shellcheck shell=bash
# Builds the web UI and the Rust binaries, each only when its sources changed: cargo knows that by itself, for
# npm two stamps in node_modules hold the checksum of what was installed and of what was built.
#
# Needs say.sh and REPO.

WEB=$REPO/gateway/web
TARGET_DIR=${CARGO_TARGET_DIR:-$REPO/target}

# Runs a command while no other script of this clone builds or fetches: two starts side by side share
# node_modules and .tools. The lock is in file descriptor 8, closed again when the command is done.
with_build_lock() {
    mkdir -p "$REPO/.tools"
    {
        if ! flock -n 8; then
            say "Another script is building in this clone; waiting for it"
            flock 8
        fi
        "$@" 8>&-
    } 8>"$REPO/.tools/build.lock"
}

# npm ci, when the lock file isn't the one that was installed last.
web_install() {
    local stamp=$WEB/node_modules/.berth-installed wanted
    wanted=$(sha256sum <"$WEB/package-lock.json")
    if [[ -e $stamp && $(<"$stamp") == "$wanted" ]]; then
        return 0
    fi
    step "Installing the web UI's packages"
    # Development packages hold the bundler, and a NODE_ENV of the caller's must not leave them out.
    (cd "$WEB" && npm ci --include=dev --no-audit --no-fund)
    printf '%s\n' "$wanted" >"$stamp"
    step_done
}

# A checksum over names and contents of everything that the build of the web UI reads.
web_sources() {
    (
        cd "$WEB" || exit
        find . \( -name node_modules -o -name dist \) -prune -o -type f -print0 \
            | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
    )
}

web_build() {
    local stamp=$WEB/node_modules/.berth-built sources
    sources=$(web_sources)
    if [[ -e $WEB/dist/index.html && -e $stamp && $(<"$stamp") == "$sources" ]]; then
        return 0
    fi
    step "Building the web UI"
    rm -f "$stamp"
    (cd "$WEB" && npm run build)
    printf '%s\n' "$sources" >"$stamp"
    step_done
}

# Packages and build of the web UI, which the gateway's crate embeds: every cargo command needs it first.
web_ready() {
    with_build_lock web_install_and_build
}

web_install_and_build() {
    web_install
    web_build
}

# The two release binaries; sets GATEWAY and BOX_AGENT. The target directory is named, so that a cargo
# configuration elsewhere can't send them to a place where they would be missed.
rust_build_release() {
    step "Building gateway and box-agent"
    (cd "$REPO" && cargo build --release --locked --target-dir "$TARGET_DIR" -p gateway -p box-agent)
    step_done
    GATEWAY=$TARGET_DIR/release/gateway
    BOX_AGENT=$TARGET_DIR/release/box-agent
    export GATEWAY BOX_AGENT
}

# The two as they are packaged; sets GATEWAY and BOX_AGENT. Each is built alone: it has of its libraries what it needs, not what
# the other one does, and functions the names by which hot.ld knows them. The agent is linked statically: it uses little of
# the C library, and all of that would be in a box's memory.
rust_build_packaged() {
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    step "Building gateway as it is packaged"
    (cd "$REPO" && cargo build --release --locked --target-dir "$TARGET_DIR" -p gateway)
    step "Building box-agent as it is packaged"
    (
        cd "$REPO" || exit
        export RUSTFLAGS="${RUSTFLAGS:+$RUSTFLAGS }-C target-feature=+crt-static"
        # With a target, flags are not for what runs while it is built: macros can't be linked statically.
        cargo build --release --locked --target-dir "$TARGET_DIR" --target "$host" -p box-agent
    )
    step_done
    GATEWAY=$TARGET_DIR/release/gateway
    BOX_AGENT=$TARGET_DIR/$host/release/box-agent
    export GATEWAY BOX_AGENT
    # Flags that come from elsewhere outweigh those above.
    if readelf --program-headers "$BOX_AGENT" | grep -q INTERP; then
        die 1 "box-agent was not linked statically" "unset CARGO_ENCODED_RUSTFLAGS"
    fi
    # The only machine that they are made for.
    if [[ $host == x86_64-unknown-linux-gnu ]]; then
        layout_age "$REPO/gateway/hot.ld" "$GATEWAY"
        layout_age "$REPO/box-agent/hot.ld" "$BOX_AGENT"
    fi
}

# layout_age LIST PROGRAM: says so when more than one function in a hundred of a list of scripts/layout is none of the
# program's any more. It does no harm, but the program takes more memory than it could.
layout_age() {
    local gone listed
    read -r gone listed < <(nm --defined-only --format=just-symbols -- "$2" | awk '
        NR == FNR {
            if (sub(/^ +\.text\./, "")) { listed++; wanted[$0] }
            if (sub(/\*$/, "")) lengths[length($0)]
            next
        }
        {
            delete wanted[$0]
            for (n in lengths) delete wanted[substr($0, 1, n) "*"]
        }
        END { for (name in wanted) gone++; print gone + 0, listed + 0 }' "$1" -)
    if ((gone * 100 > listed)); then
        say "${1#"$REPO/"}: $gone of $listed functions in it are gone; scripts/layout makes it anew"
    fi
}

# The same and the programs that measure them, side by side in a directory; sets BENCH to it.
rust_build_bench() {
    rust_build_packaged
    step "Building what measures them"
    (cd "$REPO" && cargo build --release --locked --target-dir "$TARGET_DIR" -p berth-tests --bins)
    step_done
    BENCH=$TARGET_DIR/bench
    mkdir -p "$BENCH"
    ln -f -t "$BENCH" -- "$GATEWAY" "$BOX_AGENT" "$TARGET_DIR"/release/{bench,echo-ttyd,layout}
}

# The two binaries that are there already, in the directory that BERTH_BINARIES names; sets GATEWAY and
# BOX_AGENT. The web UI is inside the gateway, so nothing is left to build.
binaries_given() {
    local name
    for name in gateway box-agent; do
        [[ -f $BERTH_BINARIES/$name && -x $BERTH_BINARIES/$name ]] \
            || die "$EX_UNAVAILABLE" "BERTH_BINARIES names $BERTH_BINARIES, which has no program $name"
    done
    GATEWAY=$(realpath -- "$BERTH_BINARIES/gateway")
    BOX_AGENT=$(realpath -- "$BERTH_BINARIES/box-agent")
    export GATEWAY BOX_AGENT
}
