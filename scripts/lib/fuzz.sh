# shellcheck shell=bash
# The fuzz targets of gateway/fuzz. They run on the toolchain of this repository: without a sanitizer, which would need a
# nightly one and finds little in code that has no unsafe.
#
# Needs say.sh; runs in the repository.

FUZZ=gateway/fuzz
FUZZ_SECONDS=60

# fuzz_targets: the names of all of them.
fuzz_targets() {
    local file
    for file in "$FUZZ"/fuzz_targets/*.rs; do
        basename "$file" .rs
    done
}

# Runs each target for a minute. What it finds is kept beside the build; the seeds are only read.
fuzz_run() {
    local target kept
    if ! cargo fuzz --version >/dev/null 2>&1 || ! command -v c++ >/dev/null; then
        warn "fuzz targets are skipped: they need a C++ compiler, and cargo fuzz ('cargo install cargo-fuzz --locked')"
        return 0
    fi
    for target in $(fuzz_targets); do
        say "    $target, for $FUZZ_SECONDS s"
        kept=$FUZZ/target/corpus/$target
        mkdir -p "$kept"
        cargo fuzz run --fuzz-dir "$FUZZ" --sanitizer none "$target" "$kept" "$FUZZ/seeds/$target" -- \
            -max_total_time="$FUZZ_SECONDS" -verbosity=0 -print_final_stats=1
    done
}
