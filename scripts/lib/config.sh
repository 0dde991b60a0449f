# shellcheck shell=bash
# Writes the configuration of the two programs for one machine: everything on loopback, four ports in a row.
#
# Needs say.sh; STATE, PORT, RUNTIME and TTYD are set.

# toml_string TEXT: as a TOML basic string, quotes included.
toml_string() {
    local text=$1 out='' char code i
    text=${text//\\/\\\\}
    text=${text//\"/\\\"}
    if [[ $text != *[[:cntrl:]]* ]]; then
        printf '"%s"\n' "$text"
        return
    fi
    for ((i = 0; i < ${#text}; i++)); do
        char=${text:i:1}
        if [[ $char == [[:cntrl:]] ]]; then
            printf -v code '%d' "'$char"
            printf -v char '\\u%04X' "$code"
        fi
        out+=$char
    done
    printf '"%s"\n' "$out"
}

# port_valid TEXT: a port number with three more above it, none of them reserved for root.
port_valid() {
    [[ $1 =~ ^[1-9][0-9]{3,4}$ ]] && (($1 >= 1024 && $1 <= 65532))
}

# port_taken PORT: does anything answer there?
port_taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# ports_check: all four are free, or the end, with the name of each that isn't.
ports_check() {
    local -a uses=("the web UI" "the link of boxes" "the gateway's metrics" "the agent's metrics") taken=()
    local i
    for i in 0 1 2 3; do
        if port_taken $((PORT + i)); then
            taken+=("port $((PORT + i)), for ${uses[i]}, is taken by another program")
        fi
    done
    if ((${#taken[@]} > 0)); then
        die "$EX_UNAVAILABLE" "Berth needs the ports $PORT to $((PORT + 3)) of 127.0.0.1:" "${taken[@]}" \
            "Choose others with --port N (N to N+3 are used)."
    fi
}

# config_file NAME: standard input becomes <state>/NAME.toml, whole or not at all.
config_file() {
    local file=$STATE/$1.toml
    (
        umask 077
        printf '# Written by scripts/start at each start: changes made here are lost.\n\n'
        cat
    ) >"$file.new"
    chmod 600 -- "$file.new"
    mv -f -- "$file.new" "$file"
}

config_write() {
    config_file gateway <<EOF
state_dir = $(toml_string "$STATE/gateway")

[front]
listen = "127.0.0.1:$PORT"

[link]
listen = "127.0.0.1:$((PORT + 1))"

[metrics]
listen = "127.0.0.1:$((PORT + 2))"
EOF
    config_file box-agent <<EOF
state_dir = $(toml_string "$STATE/box")
runtime_dir = $(toml_string "$RUNTIME")

[volume]
source = "directory"
path = $(toml_string "$STATE/workspace")

[door]
listen = "127.0.0.1:0"

[terminal]
ttyd = $(toml_string "$TTYD")
tmux = "tmux"

[metrics]
listen = "127.0.0.1:$((PORT + 3))"
EOF
}
