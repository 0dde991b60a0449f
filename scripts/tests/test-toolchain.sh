#!/usr/bin/env bash
# Versions: how they compare, and what is said when Rust or Node is missing or too old.
# shellcheck disable=SC2317,SC2329 # functions are called by name, through `run` and `expect_true`
set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/expect.sh"
# shellcheck source-path=SCRIPTDIR/..
. "$REPO/scripts/lib/say.sh"
. "$REPO/scripts/lib/toolchain.sh"

for pair in '1.95.0 1.95' '1.95 1.95.0' '1.100.0 1.95' '2.0 1.95' '20.19.0 20.19' '22 20.19' '1.7.7-8 1.7' \
    '20.09 20.8'; do
    expect_true version_at_least "${pair% *}" "${pair#* }"
done
for pair in '1.94.9 1.95' '1.9 1.95' '20.18.3 20.19' '20 20.19' '1.6.99 1.7' '18.20 20.19'; do
    expect_false version_at_least "${pair% *}" "${pair#* }"
done

expect_equal "$(first_version 'rustc 1.95.0 (59807616e 2026-04-14)')" 1.95.0
expect_equal "$(first_version v20.20.2)" 20.20.2
expect_equal "$(first_version none)" ''

# What the bundler and the linter of the lock file run on, and refuse.
web_takes() {
    local range
    while IFS= read -r range; do
        if version_in "$1" "$range"; then
            return 0
        fi
    done < <(node_wanted)
    return 1
}
for version in 20.19.0 20.20.2 22.13.0 22.99.1 24.0.0 24.1.0 26.0.0; do
    expect_true web_takes "$version"
done
for version in 18.20.8 20.18.3 21.7.3 22.0.0 22.12.0 23.0.0 23.11.1; do
    expect_false web_takes "$version"
done

# A repository whose files want other versions than ours, so that nothing passes by a default.
REPO=$TMP/repo
mkdir -p "$REPO/gateway/web"
printf '[workspace.package]\nversion = "0.1.0"\nrust-version = "1.90"\n' >"$REPO/Cargo.toml"
expect_equal "$(rust_wanted)" 1.90
run node_wanted
expect_status 78
printf '{\n  "name": "x",\n  "engines": {\n    "npm": ">=9.1",\n    "node": ">=21.5"\n  }\n}\n' \
    >"$REPO/gateway/web/package.json"
expect_equal "$(node_wanted)" '>=21.5'
printf '{ "engines": { "node": "^21.5 || >=23" },\n "node": "1.1" }\n' >"$REPO/gateway/web/package.json"
expect_equal "$(node_wanted)" $'^21.5\n>=23'

# tools RUST NODE: fakes of these versions; an empty one is not installed.
tools() {
    rm -rf "${TMP:?}/bin"
    mkdir "$TMP/bin"
    ln -s "$(type -P grep)" "$(type -P sed)" "$TMP/bin/"
    if [[ -n $1 ]]; then
        printf '#!/bin/sh\necho "rustc %s (abc)"\n' "$1" | program "$TMP/bin/rustc"
        printf '#!/bin/sh\necho "cargo %s"\n' "$1" | program "$TMP/bin/cargo"
    fi
    if [[ -n $2 ]]; then
        printf '#!/bin/sh\necho "v%s"\n' "$2" | program "$TMP/bin/node"
        printf '#!/bin/sh\necho 10.1.0\n' | program "$TMP/bin/npm"
    fi
}

checked() {
    PATH=$TMP/bin toolchain_check
}

tools 1.90.0 23.0.0
run checked
expect_status 0
expect_equal "$OUTPUT" ''

tools 1.89.9 23.0.0
run checked
expect_status 69
expect_says 'Rust 1.90 or newer is needed' 'rustc is 1.89.9' 'rustup'

tools '' 23.0.0
run checked
expect_status 69
expect_says 'Rust 1.90 or newer is needed' 'https://rustup.rs'

tools 1.90.0 22.9.1
run checked
expect_status 69
expect_says 'Node.js 21.5 or a newer 21, 23 or newer is needed' 'node is 22.9.1' 'https://nodejs.org'

tools 1.90.0 ''
run checked
expect_status 69
expect_says 'Node.js 21.5 or a newer 21, 23 or newer is needed' 'none was found'

tools 1.90.0 23.0.0
rm "$TMP/bin/npm"
run checked
expect_status 69
expect_says 'npm is needed'

tools 1.90.0 23.0.0
printf '#!/bin/sh\nexit 1\n' | program "$TMP/bin/rustc"
run checked
expect_status 69
expect_says 'no working rustc'

finish
