# shellcheck shell=bash
# Brings one Berth up, from the configuration to the link that the user opens.
#
# Needs say.sh, state.sh, config.sh and supervise.sh; STATE, PORT, TTYD, GATEWAY and BOX_AGENT are set.

WORKSPACE=main
READY_SECS=60

gateway_cli() {
    timeout --foreground 60 "$GATEWAY" "$@" --config "$STATE/gateway.toml" 9>&-
}

# failed MESSAGE: a step failed, unless it was a Ctrl-C that ended its command.
failed() {
    stop_if_asked
    die 1 "$1"
}

# The workspace that this machine's box belongs to; made at the first start.
workspace_ensure() {
    if gateway_cli workspace list | awk -v name="$WORKSPACE" '$1 == name { found = 1 } END { exit !found }'; then
        return 0
    fi
    gateway_cli workspace create "$WORKSPACE" >/dev/null \
        || failed "the gateway didn't make the workspace $WORKSPACE; its own words are above"
}

# The box's identity, once: the token goes from one program to the other by a pipe, and so is never in a file or
# in the list of processes.
box_ensure() {
    if [[ -e $STATE/box/identity/certificate.pem ]]; then
        return 0
    fi
    gateway_cli workspace enroll "$WORKSPACE" \
        | timeout --foreground 60 "$BOX_AGENT" enroll --config "$STATE/box-agent.toml" --token-file - 9>&- \
        || failed "the box wasn't enrolled; the words of gateway and box-agent are above"
}

berth_run() {
    local link
    RUNTIME=$(runtime_dir "$STATE" "$(id -u)")
    runtime_open "$RUNTIME" "$(id -u)"
    config_write
    logs_open

    trap programs_stop EXIT
    trap 'STOP=130' INT
    trap 'STOP=0' TERM
    trap 'STOP=129' HUP

    step "Starting Berth"
    # Building took a while, and another program may have come to the ports meanwhile.
    ports_check
    program_start gateway
    await_ready gateway "$READY_SECS" curl -fsS --noproxy '*' "http://127.0.0.1:$PORT/healthz"
    workspace_ensure
    stop_if_asked
    box_ensure
    stop_if_asked
    program_start box-agent
    await_ready box-agent "$READY_SECS" "$BOX_AGENT" status --config "$STATE/box-agent.toml"
    link=$(gateway_cli sign-in-link) || failed "the gateway made no sign-in link; its own words are above"
    stop_if_asked
    step_done

    say "Logs: $(program_log gateway) and $(program_log box-agent)"
    say ''
    say "Open $link"
    say "Ctrl-C stops Berth; tmux sessions go on"
    supervise
}
