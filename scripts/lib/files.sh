# shellcheck shell=bash
# Checks of the files themselves. Each one fails when it found no file to look at: a check that looks at
# nothing passes for ever.
#
# Needs say.sh; runs in the repository.

LONGEST_FILE=450

# files_matching PATTERN...: the repository's files, new ones included and ignored ones not, each ended by NUL.
# Deleted ones that git still knows are left out.
files_matching() {
    local file
    while IFS= read -r -d '' file; do
        if [[ -f $file && ! -L $file ]]; then
            printf '%s\0' "$file"
        fi
    done < <(git ls-files -z --cached --others --exclude-standard --deduplicate -- "$@")
}

# Shell scripts, by their first line: a shebang, or the directive that a sourced library begins with.
files_shell() {
    local file first
    while IFS= read -r -d '' file; do
        first=''
        IFS= read -r first <"$file" 2>/dev/null || true
        if [[ $first =~ ^\#!.*[/\ ](ba|da)?sh( |$) || $first == '# shellcheck shell='* ]]; then
            printf '%s\0' "$file"
        fi
    done < <(files_matching) 2>/dev/null
}

# files_found COUNT WHAT: a check that had nothing to check has failed.
files_found() {
    if (($1 == 0)); then
        warn "found no $2 to check"
        return 1
    fi
    say "    $1 $2"
}

# No source file is longer than a reader can keep in mind.
files_short() {
    local file lines count=0 failed=0
    while IFS= read -r -d '' file; do
        count=$((count + 1))
        lines=$(wc -l <"$file")
        if ((lines > LONGEST_FILE)); then
            warn "$file has $lines lines; $LONGEST_FILE are allowed"
            failed=1
        fi
    done < <(files_matching '*.rs' '*.ts' '*.svelte' '*.sh' && files_shell)
    files_found "$count" "source files" && ((failed == 0))
}

# No blanks at the end of a line, and no tabs.
files_blanks() {
    local count=0 failed=0 file
    while IFS= read -r -d '' file; do
        count=$((count + 1))
        if grep -nHE $'[ \t]+$|\t' -- "$file"; then
            failed=1
        fi
    done < <(files_matching '*.rs' '*.ts' '*.svelte' '*.css' '*.sh' '*.md' '*.toml' && files_shell)
    if ((failed != 0)); then
        warn "the lines above have tabs, or blanks at their end"
    fi
    files_found "$count" "text files" && ((failed == 0))
}

files_shellcheck() {
    local -a scripts
    mapfile -d '' -t scripts < <(files_shell)
    files_found "${#scripts[@]}" "shell scripts" && shellcheck -x -- "${scripts[@]}"
}
