#!/usr/bin/env bash
# The check of images: each thing that must not be in one is found, with what it is, and never shown; what belongs into
# one is not.
# shellcheck disable=SC2317,SC2329 # functions are called by name
set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/expect.sh"

ROOT=$TMP/root
check() {
    "$REPO/packer/leak-check" "$ROOT"
}

# put FILE: standard input becomes a file of the image.
put() {
    mkdir -p -- "$(dirname -- "$ROOT$1")"
    cat >"$ROOT$1"
}

# A system as it should be: with what looks like something bad and isn't.
fresh() {
    rm -rf -- "$ROOT"
    mkdir -p "$ROOT"/{etc/ssh,root,home/claude,var/lib/dpkg/info,var/log/journal,usr/bin,proc/1,run}
    : >"$ROOT/etc/machine-id"
    : >"$ROOT/root/.bash_history"
    mkdir -p "$ROOT/var/lib/dbus"
    ln -s /etc/machine-id "$ROOT/var/lib/dbus/machine-id"
    printf 'root:*:20000::::::\nclaude:!:20000::::::\n' | put /etc/shadow
    # A program that knows what a key looks like, and a package's file with an example.
    printf 'PEM="-----BEGIN RSA PRIVATE KEY-----"\n' | put /usr/local/bin/reader
    key | put /usr/share/doc/thing/example.pem
    printf '/usr/share/doc/thing/example.pem\n' | put /var/lib/dpkg/info/thing.list
    # The kernel's, and a machine's memory.
    printf 'x' | put /proc/1/environ
    token berth1. | put /run/secret
}

# Made here, so that nobody who searches this repository for secrets finds one.
key() {
    printf '%s\n%s\n%s\n' '-----BEGIN OPENSSH PRIVATE'' KEY-----' 'b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAAB' '-----END'
}

token() {
    printf '%s%s\n' "$1" 'abcdefghij0123456789ABCDEFGHIJ0123456789abcdefghijABCDEFGHIJ'
}

# finds PATH WHAT: the one finding.
finds() {
    run check
    expect_status 1
    expect_says "$1: $2" ' 1 findings'
    expect_false grep -q 'b3BlbnNzaC1rZXk\|abcdefghij0123456789' <<<"$OUTPUT"
    fresh
}

fresh
run check
expect_status 0
expect_says 'nothing found'

key | put /root/.ssh/id_ed25519
finds /root/.ssh/id_ed25519 'a private key'
key | put /etc/ssl/private/snakeoil.key
finds /etc/ssl/private/snakeoil.key 'a private key'
printf '{"private_key": "-----BEGIN PRIVATE KEY%s\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\n"}' ----- | put /opt/app/account.json
finds /opt/app/account.json 'a private key'
for prefix in berth1. tskey-auth- ghp_ github_pat_ sk-ant-api03- glpat-; do
    token "$prefix" | put /opt/build/log
    finds /opt/build/log 'a token'
done
token berth1. | put '/home/claude/a name with blanks'
finds '/home/claude/a name with blanks' 'a token'
printf '%s%s\n' AKIA ABCDEFGHIJKLMNOP | put /etc/environment
finds /etc/environment 'a token'
key | put /etc/ssh/ssh_host_ed25519_key
run check
expect_says '/etc/ssh/ssh_host_ed25519_key: a host key of sshd' '/etc/ssh/ssh_host_ed25519_key: a private key'
fresh
printf '0123456789abcdef0123456789abcdef\n' | put /etc/machine-id
finds /etc/machine-id "a machine's id"
printf 'uninitialized\n' | put /etc/machine-id
run check
expect_status 0
fresh
rm "$ROOT/var/lib/dbus/machine-id"
printf '0123456789abcdef0123456789abcdef\n' | put /var/lib/dbus/machine-id
finds /var/lib/dbus/machine-id "a machine's id"
printf x | put /var/lib/systemd/random-seed
finds /var/lib/systemd/random-seed 'a seed of random numbers'
printf x | put /var/lib/systemd/credential.secret
finds /var/lib/systemd/credential.secret "a machine's secret"
printf x | put /var/lib/tailscale/tailscaled.state
finds /var/lib/tailscale/tailscaled.state 'state of Tailscale'
printf x | put /var/lib/cloud/instances/i-1/user-data.txt
finds /var/lib/cloud/instances/i-1/user-data.txt 'instance data of cloud-init'
mkdir -p "$ROOT/var/lib/cloud"
ln -s instances/i-1 "$ROOT/var/lib/cloud/instance"
finds /var/lib/cloud/instance 'instance data of cloud-init'
printf x | put /var/lib/box-agent/identity/key.pem
finds /var/lib/box-agent/identity/key.pem "a box's identity"
printf 'ssh-ed25519 AAAA operator\n' | put /root/.ssh/authorized_keys
finds /root/.ssh/authorized_keys 'keys that open a login'
printf 'ssh-ed25519 AAAA operator\n' | put /srv/git/.ssh/authorized_keys
finds /srv/git/.ssh/authorized_keys 'keys that open a login'
printf 'ls\n' | put /root/.bash_history
finds /root/.bash_history 'a history'
printf 'ls\n' | put /home/claude/.python_history
finds /home/claude/.python_history 'a history'
printf 'x' | put /home/claude/.claude/.credentials.json
finds /home/claude/.claude/.credentials.json 'credentials'
printf 'machine x login y\n' | put /etc/apt/auth.conf.d/private.conf
finds /etc/apt/auth.conf.d/private.conf 'credentials'
printf 'x' | put /var/log/journal/0123/system.journal
finds /var/log/journal/0123/system.journal 'a journal'
# shellcheck disable=SC2016 # it is a hash
printf 'root:$y$j9T$abc$def:20000::::::\n' | put /etc/shadow
finds /etc/shadow 'a password of root'
printf 'guest::20000::::::\n' | put /etc/shadow
finds /etc/shadow 'guest needs no password'

run "$REPO/packer/leak-check" "$TMP/nowhere"
expect_status 64
run "$REPO/packer/leak-check"
expect_status 64

finish
