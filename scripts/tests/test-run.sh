#!/usr/bin/env bash
# scripts/start from the command to the link, and what it does when programs end: the real script in a small
# repository of its own, with stand-ins for the compilers and for the two programs. They do what their files in
# $FAKE tell them; whatever they were asked is noted there.
# shellcheck disable=SC2317,SC2329 # functions are called by name, through `run` and `expect_true`
set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/expect.sh"

: "${BERTH_TTYD:?names a ttyd; scripts/test sets it}"
cleanup() {
    kill ${SCRIPT:+"$SCRIPT"} ${listener:+"$listener"} ${server:+"$server"}
    tmux -S "$TMP/other" kill-server
    tmux -S "$STATE/run/terminal/tmux.sock" kill-server
}
export FAKE=$TMP/fake
CLONE="$TMP/a clone"
STATE="$TMP/the state"
export CARGO_TARGET_DIR=$TMP/target
# Below the ports that the kernel gives to connections.
PORT=$((20000 + RANDOM % 11990))

mkdir -p "$FAKE" "$CLONE/gateway/web/src"
cp -r "$REPO/scripts" "$CLONE/"
printf 'rust-version = "1.90"\n' >"$CLONE/Cargo.toml"
printf '{ "engines": { "node": "^20.19 || ^22.13 || >=24" } }\n' >"$CLONE/gateway/web/package.json"
printf '{}\n' >"$CLONE/gateway/web/package-lock.json"
printf 'one\n' >"$CLONE/gateway/web/src/main.ts"

export PATH=$TMP/bin:$PATH
printf '#!/bin/sh\necho rustc 1.95.0\n' | program "$TMP/bin/rustc"
printf '#!/bin/sh\necho v22.13.0\n' | program "$TMP/bin/node"
program "$TMP/bin/cargo" <<'EOF'
#!/bin/sh
echo "cargo 1.95.0"
echo "cargo $*" >>"$FAKE/calls"
EOF
program "$TMP/bin/npm" <<'EOF'
#!/bin/sh
echo "10.1.0"
echo "npm $*" >>"$FAKE/calls"
mkdir -p node_modules
[ "$1" != run ] || { mkdir -p dist && touch dist/index.html; }
EOF
# The readiness of a gateway without HTTP is a file.
program "$TMP/bin/curl" <<'EOF'
#!/bin/sh
echo "curl $*" >>"$FAKE/calls"
[ -e "$FAKE/gateway.up" ]
EOF
program "$CARGO_TARGET_DIR/release/serve" <<'EOF'
#!/usr/bin/env bash
# serve NAME: runs until TERM; ends with the code in $FAKE/NAME.exit when there is one.
if [[ -e $FAKE/$1.exit ]]; then
    echo "$1 says why"
    exit "$(<"$FAKE/$1.exit")"
fi
trap 'rm -f "$FAKE/$1.up"; echo "$1 TERM" >>"$FAKE/calls"; exit 0' TERM
ls -l /proc/self/fd >"$FAKE/$1.fds"
echo $$ >"$FAKE/$1.up"
while true; do sleep 0.1; done
EOF
program "$CARGO_TARGET_DIR/release/gateway" <<'EOF'
#!/usr/bin/env bash
echo "gateway $*" >>"$FAKE/calls"
case "$1 ${2:-}" in
serve*) exec "${0%/*}/serve" gateway ;;
'workspace list') cat "$FAKE/workspaces" 2>/dev/null || true ;;
'workspace create') echo "$3  empty" >>"$FAKE/workspaces" ;;
'workspace enroll') echo token-of-"$3" ;;
sign-in-link*) echo "http://127.0.0.1/sign-in?code=abc" ;;
esac
EOF
program "$CARGO_TARGET_DIR/release/box-agent" <<'EOF'
#!/usr/bin/env bash
echo "box-agent $*" >>"$FAKE/calls"
state=$(sed -n 's/^state_dir = "\(.*\)"/\1/p' "$3")
case $1 in
run) exec "${0%/*}/serve" agent ;;
enroll)
    read -r token && echo "token $token" >>"$FAKE/calls"
    mkdir -p "$state/identity" && touch "$state/identity/certificate.pem"
    ;;
status) [[ -e $FAKE/agent.up ]] ;;
esac
EOF

start() {
    "$CLONE/scripts/start" --state "$STATE" --port "$PORT" "$@"
}
# begin [OPTION...]: in the background; SCRIPT is its process, its words go to $TMP/out.
begin() {
    rm -f "$FAKE/gateway.up" "$FAKE/agent.up"
    : >"$FAKE/calls"
    rm -f "$TMP/out" && : >"$TMP/out"
    "$CLONE/scripts/start" --state "$STATE" --port "$PORT" "$@" >"$TMP/out" 2>&1 &
    SCRIPT=$!
}
said() {
    grep -qF -- "$1" "$TMP/out"
}
calls() {
    grep -c -- "$1" "$FAKE/calls"
}
# Ended, be it collected by its parent or not.
gone() {
    ! kill -0 "$1" 2>/dev/null || grep -q '^State:[[:blank:]]*Z' "/proc/$1/status" 2>/dev/null
}
# ended: its exit status goes to STATUS, its words to OUTPUT.
ended() {
    wait_for 20 gone "$SCRIPT" || kill -KILL "$SCRIPT"
    STATUS=0
    wait "$SCRIPT" || STATUS=$?
    OUTPUT=$(<"$TMP/out")
}

# The first start builds, makes the workspace and enrols the box.
begin
expect_true wait_for 20 said 'Ctrl-C stops Berth'
OUTPUT=$(<"$TMP/out")
expect_says 'Open http://127.0.0.1/sign-in?code=abc' "$STATE/log/gateway.log"
expect_equal "$(calls 'npm ci')" 1
expect_equal "$(calls 'npm run build')" 1
expect_equal "$(calls 'cargo build --release --locked .*-p gateway -p box-agent')" 1
expect_equal "$(calls 'gateway workspace create main')" 1
expect_equal "$(calls '^token token-of-main$')" 1
expect_equal "$(calls 'box-agent.*token-of')" 0
expect_equal "$(stat -c %a "$STATE")" 700
expect_equal "$(calls "curl.*--noproxy \* .*127.0.0.1:$PORT/healthz" | sed 's/[1-9][0-9]*/some/')" some
# What it starts can't keep the state locked.
expect_equal "$(cat "$FAKE"/*.fds | grep -c '\.lock')" 0
expect_true test -s "$FAKE/gateway.fds"

run start
expect_status 73
expect_says 'running already' "$SCRIPT" "port $PORT"
run start --clean
expect_status 73
expect_true test -d "$STATE/workspace"

runs_for_the_third_time() {
    [[ $(calls 'box-agent run') == 3 ]] && ! gone "$(<"$FAKE/agent.up")"
}
# A program that dies is started again, later each time; tmux-like bystanders get no signal.
agent=$(<"$FAKE/agent.up")
kill -KILL "$agent"
expect_true wait_for 5 said 'box-agent ended (exit code 137); starting it again in 0.2 s'
expect_true wait_for 5 grep -qvx "$agent" "$FAKE/agent.up"
kill -KILL "$(<"$FAKE/agent.up")"
expect_true wait_for 5 said 'starting it again in 0.4 s'
expect_true wait_for 5 runs_for_the_third_time
expect_false gone "$(<"$FAKE/gateway.up")"

# Exit code 78 isn't retried: all ends, with that code.
gateway=$(<"$FAKE/gateway.up")
echo 78 >"$FAKE/agent.exit"
kill -KILL "$(<"$FAKE/agent.up")"
ended
expect_status 78
expect_says 'agent says why' "starting again can't mend"
expect_true gone "$gateway"
rm "$FAKE/agent.exit"

# The second start has nothing to build, make or enrol. TERM ends both programs.
begin
expect_true wait_for 20 said 'Ctrl-C stops Berth'
expect_equal "$(calls 'npm ci')" 0
expect_equal "$(calls 'npm run build')" 0
expect_equal "$(calls 'workspace create')" 0
expect_equal "$(calls 'enroll')" 0
gateway=$(<"$FAKE/gateway.up") agent=$(<"$FAKE/agent.up")
kill -TERM "$SCRIPT"
ended
expect_status 0
expect_equal "$(calls TERM)" 2
expect_true gone "$gateway"
expect_true gone "$agent"

# A changed source is built again, and nothing is installed for it. The kernel ends what a killed script leaves.
printf 'two\n' >"$CLONE/gateway/web/src/main.ts"
begin --verbose
expect_true wait_for 20 said 'Ctrl-C stops Berth'
expect_equal "$(calls 'npm ci')" 0
expect_equal "$(calls 'npm run build')" 1
gateway=$(<"$FAKE/gateway.up")
echo 'a line of the log' >>"$STATE/log/gateway.log"
expect_true wait_for 5 said 'a line of the log'
kill -KILL "$SCRIPT"
wait "$SCRIPT" 2>/dev/null
expect_true wait_for 5 gone "$gateway"

# INT, as from a terminal. This shell has no job control, so its children ignore INT unless env undoes that.
rm -f "$FAKE/gateway.up" "$FAKE/agent.up"
rm -f "$TMP/out" && : >"$TMP/out"
env --default-signal=INT "$CLONE/scripts/start" --state "$STATE" --port "$PORT" >"$TMP/out" 2>&1 &
SCRIPT=$!
expect_true wait_for 20 said 'Ctrl-C stops Berth'
agent=$(<"$FAKE/agent.up")
kill -INT "$SCRIPT"
ended
expect_status 130
expect_says 'Stopping Berth'
expect_true gone "$agent"

# A gateway that can't start ends the start, with its code and its reason.
echo 1 >"$FAKE/gateway.exit"
begin
ended
expect_status 1
expect_says 'gateway says why' 'gateway ended while it was starting'
rm "$FAKE/gateway.exit"

# A taken port is named.
"$BERTH_TTYD" -i lo -p $((PORT + 2)) true >/dev/null 2>&1 &
listener=$!
listening() {
    (exec 3<>"/dev/tcp/127.0.0.1/$((PORT + 2))") 2>/dev/null
}
expect_true wait_for 10 listening
run start
expect_status 69
expect_says "port $((PORT + 2)), for the gateway's metrics, is taken" '--port'
kill "$listener"
wait "$listener" 2>/dev/null

# --clean ends this state's tmux server, and only this one, and says what it removes.
runtime=$(sed -n 's/^runtime_dir = "\(.*\)"/\1/p' "$STATE/box-agent.toml")
mkdir -p "$runtime/terminal" "$STATE/workspace/projects/mine" "$STATE/workspace/user/many/"{1..4000}-{a..b}-a-long-name
tmux -f /dev/null -S "$runtime/terminal/tmux.sock" new-session -d -s one sleep 600
tmux -f /dev/null -S "$TMP/other" new-session -d -s two sleep 600
touch "$STATE/workspace/projects/mine/file"
server=$(tmux -S "$runtime/terminal/tmux.sock" display-message -p '#{pid}')
run start --clean
expect_status 0
expect_says "Removing $STATE" 'workspace/projects/mine' 'Ended the tmux sessions'
expect_false test -e "$STATE"
expect_false test -e "$runtime"
expect_true test -n "$server"
expect_true wait_for 5 gone "$server"
! gone "$server" || server=
expect_true tmux -S "$TMP/other" has-session -t two
tmux -S "$TMP/other" kill-server

finish
