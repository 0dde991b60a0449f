//! Which unit processes are in, and who is whose child.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::unistd::Uid;

/// A process as `/proc` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinship {
    /// Its id.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Whose it is.
    pub user: Uid,
}

impl Kinship {
    /// The process that has this id now.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let user = Uid::from_raw(fs::metadata(format!("/proc/{pid}")).ok()?.uid());
        let parent = parse_parent(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        Some(Self { pid, parent, user })
    }

    /// All processes.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(pid).filter_map(Self::of).collect()
    }
}

/// Whether a process is in the cgroup of this unit.
#[must_use]
pub fn is_in_unit(pid: i32, unit: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| has_unit(&text, unit))
}

/// Lines are `number:controllers:path`; the unit's own line is the one of systemd, or the only one.
fn has_unit(text: &str, unit: &str) -> bool {
    let path = |line: &str| line.splitn(3, ':').nth(2).map(str::to_owned);
    text.lines().filter_map(path).any(|path| path.split('/').any(|part| part == unit))
}

fn parse_parent(stat: &str) -> Option<i32> {
    // The name is in parentheses and may hold any, so what follows begins at the last one.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_found_in_both_versions_of_cgroups() {
        let unit = "berth-session-x.scope";
        assert!(has_unit("0::/berth.slice/berth-user.slice/berth-session-x.scope\n", unit));
        assert!(has_unit("0::/berth.slice/berth-session-x.scope/inner\n", unit));
        let first = "9:name=systemd:/berth.slice/berth-session-x.scope\n4:memory:/\n0::/\n";
        assert!(has_unit(first, unit));
        assert!(!has_unit("0::/berth.slice/berth-session-xy.scope\n", unit));
        assert!(!has_unit("0::/a:berth-session-x.scope\n", unit));
        assert!(!has_unit("", unit));
    }

    #[test]
    fn parents_are_found_behind_any_name() {
        assert_eq!(parse_parent("7 (tmux: ) S (x) S 42 7 7 0"), Some(42));
        assert_eq!(parse_parent("7 (tmux"), None);
        let this = i32::try_from(std::process::id()).unwrap();
        let own = Kinship::of(this).unwrap();
        assert_eq!((own.parent, own.user), (nix::unistd::getppid().as_raw(), Uid::effective()));
        assert!(Kinship::all().contains(&own));
    }
}
