#!/usr/bin/env bash
# Writes down what the image is made of: /usr/share/berth/image.json. That it is there says to the units that this is an
# image of Berth's, whose first boot is to make a box.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/lib.sh"

MANIFEST=/usr/share/berth/image.json

# string TEXT: as JSON. What comes here has no control characters.
string() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

# list FILE: an array of the lines of a file.
list() {
    awk '{ printf "%s\n    %s", (NR > 1 ? "," : ""), $0 } END { print "" }' "$1"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2016 # these are dpkg's variables
dpkg-query -W -f '{"name": "${Package}", "version": "${Version}", "architecture": "${Architecture}"}\n' \
    >"$work/packages"
while read -r name url sum; do
    printf '{"name": %s, "url": %s, "sha256": %s}\n' "$(string "$name")" "$(string "$url")" "$(string "$sum")"
done </usr/share/berth/elsewhere.txt >"$work/elsewhere"

# shellcheck source=/dev/null
system=$(. /etc/os-release && printf '%s' "$PRETTY_NAME")
agent=$(sha256sum </usr/bin/box-agent)
{
    printf '{\n  "berth": %s,\n' "$(string "$(box-agent --version)")"
    printf '  "agent_sha256": %s,\n' "$(string "${agent%% *}")"
    printf '  "source": %s,\n' "$(string "$(cat "$BUNDLE/source.txt" 2>/dev/null || printf unknown)")"
    printf '  "system": %s,\n  "ssh": %s,\n' "$(string "$system")" "$(string "${BERTH_SSH:-off}")"
    printf '  "elsewhere": [%s  ],\n' "$(list "$work/elsewhere")"
    printf '  "packages": [%s  ]\n}\n' "$(list "$work/packages")"
} >"$work/image.json"
put "$work/image.json" "$MANIFEST"
say "$(wc -l <"$work/packages") packages"
