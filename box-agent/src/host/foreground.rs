//! What runs in the foreground of a terminal, and which terminal a process has.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::stat::{major, minor};

/// Bytes of a command line that are looked at.
const MAX_LINE: usize = 4096;

/// The leader of a terminal's foreground process group, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Its id.
    pub pid: i32,
    /// Its name: that of the program, or of the script that an interpreter runs.
    pub name: String,
    /// Whether it was running or waiting for a disk, rather than for something to happen.
    pub running: bool,
}

/// The leader of the foreground group of the terminal that a process has.
#[must_use]
pub fn leader(pid: i32) -> Option<Leader> {
    let stat = stat(pid)?;
    let group = field(&stat, TPGID)?.parse().ok().filter(|group| *group > 0)?;
    about(group)
}

/// The device number of the terminal that a process has.
#[must_use]
pub fn terminal_of(pid: i32) -> Option<u64> {
    let stat = stat(pid)?;
    field(&stat, TTY)?.parse().ok().filter(|number| *number > 0)
}

/// The device number of a terminal, as the kernel writes it into `/proc`. Only a path of a terminal is looked at: it is
/// what another process says.
#[must_use]
pub fn device_of(tty: &str) -> Option<u64> {
    let number = tty.strip_prefix("/dev/pts/")?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let device = std::fs::symlink_metadata(tty).ok()?.rdev();
    let (major, minor) = (major(device), minor(device));
    Some((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

/// The parent of a process.
#[must_use]
pub fn parent_of(pid: i32) -> Option<i32> {
    field(&stat(pid)?, PARENT)?.parse().ok()
}

/// Fields of `/proc/<pid>/stat`, counted behind the name: state, parent, group, session, terminal, foreground group.
const STATE: usize = 0;
const PARENT: usize = 1;
const TTY: usize = 4;
const TPGID: usize = 5;

fn stat(pid: i32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

fn field(stat: &str, index: usize) -> Option<&str> {
    // The name is in parentheses and may hold any character, so what follows begins at the last one.
    stat.rsplit_once(") ")?.1.split(' ').nth(index)
}

fn about(pid: i32) -> Option<Leader> {
    let stat = stat(pid)?;
    let running = matches!(field(&stat, STATE)?, "R" | "D");
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> = line[..line.len().min(MAX_LINE)]
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    Some(Leader { pid, name: name(comm.trim_end(), &words), running })
}

/// An interpreter is known by its script.
fn name(comm: &str, words: &[String]) -> String {
    let base = |word: &str| Path::new(word).file_name().map(|name| name.to_string_lossy().into_owned());
    let program = words.first().and_then(|word| base(word)).unwrap_or_default();
    let interpreter =
        ["node", "python", "ruby", "bun", "deno"].iter().any(|known| program.starts_with(known));
    let script = words.iter().skip(1).find(|word| !word.starts_with('-')).and_then(|word| base(word));
    match script {
        Some(script) if interpreter && (comm == program || comm == "MainThread") => {
            script.trim_end_matches(".js").trim_end_matches(".mjs").trim_end_matches(".py").to_owned()
        }
        _ => comm.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "7 (a) b) S 42 7 7 34817 99 4194304";
        assert_eq!(field(stat, PARENT), Some("42"));
        assert_eq!((field(stat, TTY), field(stat, TPGID)), (Some("34817"), Some("99")));
        assert_eq!(
            parent_of(i32::try_from(std::process::id()).unwrap()),
            Some(nix::unistd::getppid().as_raw())
        );
    }

    #[test]
    fn an_interpreter_is_known_by_its_script() {
        let named = |comm, words: &[&str]| {
            name(comm, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(named("bash", &["-bash"]), "bash");
        assert_eq!(named("node", &["node", "--x", "/usr/lib/node_modules/.bin/codex.js", "a"]), "codex");
        assert_eq!(named("python3", &["/usr/bin/python3", "/usr/bin/aider"]), "aider");
        assert_eq!(named("claude", &["node", "/x/cli.js"]), "claude", "it has named itself");
        assert_eq!(named("node", &["node"]), "node");
    }

    #[test]
    fn only_a_terminals_path_is_looked_at() {
        for path in ["/dev/pts/", "/dev/pts/../null", "/dev/null", "/dev/pts/1x", ""] {
            assert_eq!(device_of(path), None, "{path}");
        }
    }
}
