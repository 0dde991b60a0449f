//! What is left out of a backup, as a file that restic reads.
//!
//! Order matters, since a later pattern outweighs an earlier one: first what can be had again, then what the operator
//! and the user say (who may take back the first with `!`), and last what must never be in a backup.

use std::path::Path;

/// What can be had again: caches, and what package managers and compilers make.
const REPLACEABLE: [&str; 12] = [
    "**/node_modules",
    "**/target/debug",
    "**/target/release",
    "**/.venv",
    "**/__pycache__",
    "**/.cache",
    "**/.npm/_cacache",
    "**/.cargo/registry",
    "**/.cargo/git",
    "**/.rustup/toolchains",
    "**/.gradle/caches",
    "**/go/pkg/mod",
];

/// Below the volume: what is never backed up. Secrets, the database whose copy is taken instead, and the backups' own
/// working files.
const NEVER: [&str; 8] = [
    "system/state/tailscale",
    "system/state/secrets",
    "system/state/agent.db",
    "system/state/agent.db-wal",
    "system/state/agent.db-shm",
    "system/restore",
    // Half of a copy of a database, and its journal.
    "user/home/.local/state/berth/databases.new*",
    "user/restored",
];

/// Whether a directory is left out, since what is in it can be had again. The path is one on the way down to it.
#[must_use]
pub fn is_replaceable(directory: &Path) -> bool {
    REPLACEABLE.iter().any(|pattern| directory.ends_with(pattern.trim_start_matches("**/")))
}

/// Lines of the user's own list, at most.
const MAX_LINES: usize = 1000;

/// The file's content. `operator` is of the settings, `user` the user's own file.
#[must_use]
pub fn file(volume: &Path, operator: &[String], user: &str) -> String {
    let volume = literal(&volume.display().to_string());
    let mut text = String::new();
    let mut add = |line: &str| {
        text.push_str(&line.replace('$', "$$"));
        text.push('\n');
    };
    REPLACEABLE.iter().for_each(|pattern| add(pattern));
    operator.iter().for_each(|pattern| add(pattern));
    for line in user.lines().map(str::trim).take(MAX_LINES) {
        if !line.is_empty() && !line.starts_with('#') && !line.contains('\0') && well_formed(line) {
            add(line);
        }
    }
    NEVER.iter().for_each(|path| add(&format!("{volume}/{path}")));
    text
}

/// A pattern that restic takes: one that it does not would fail the whole run.
fn well_formed(pattern: &str) -> bool {
    let pattern = pattern.strip_prefix('!').unwrap_or(pattern);
    let mut open = false;
    let mut escaped = false;
    for byte in pattern.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'[' if open => return false,
            b'[' => open = true,
            b']' => open = false,
            _ => {}
        }
    }
    !pattern.is_empty() && !open && !escaped && !pattern.contains("[]") && !pattern.contains("[^]")
}

/// A path as a pattern that stands for itself alone.
fn literal(path: &str) -> String {
    let mut text = String::new();
    for character in path.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_may_take_back_what_can_be_had_again_and_nothing_else() {
        let user = "# mine\n\n!**/node_modules\n*.iso\n!/v/system/state/agent.db\n[broken\n$HOME/x\n";
        let text = file(Path::new("/v"), &["*.tmp".into()], user);
        let place = |line: &str| text.lines().position(|known| known == line);
        assert!(place("**/node_modules") < place("*.tmp") && place("*.tmp") < place("!**/node_modules"));
        assert!(place("!/v/system/state/agent.db") < place("/v/system/state/agent.db"));
        assert!(place("*.iso").is_some() && place("$$HOME/x").is_some(), "{text}");
        assert!(!text.contains("broken") && !text.contains("mine"), "{text}");
        assert!(text.ends_with("/v/user/restored\n"), "what must not be there comes last: {text}");
    }

    #[test]
    fn a_volume_with_an_odd_name_stands_for_itself() {
        let text = file(Path::new("/v/[a]*$"), &[], "");
        assert!(text.contains("\n/v/\\[a\\]\\*$$/system/restore\n"), "{text}");
    }
}
