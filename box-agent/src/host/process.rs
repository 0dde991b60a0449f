//! A process that is known again later, by its id and when it started: ids are given anew, the pair is not.

use std::os::unix::fs::MetadataExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde::{Deserialize, Serialize};

use super::machine::boot_id;

/// One process, also for another agent than the one that saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Start times count from the boot, so they mean nothing without it.
    boot_id: String,
    pid: i32,
    /// In ticks since the boot.
    started: u64,
}

impl Process {
    /// The process that has this id now.
    #[must_use]
    pub fn with_id(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { boot_id: boot_id(), pid, started: parse_started(&stat)? })
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it is this user's. One that is gone is nobody's.
    #[must_use]
    pub fn belongs_to(&self, uid: Uid) -> bool {
        let owner = std::fs::metadata(format!("/proc/{}", self.pid)).map(|meta| meta.uid());
        owner.is_ok_and(|owner| owner == uid.as_raw()) && self.is_alive()
    }

    /// Whether it still lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::with_id(self.pid).as_ref() == Some(self)
    }

    /// Whether it is still in the table of processes: alive, or ended and not yet collected by its parent.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        stat.is_ok_and(|stat| parse_any(&stat).is_some_and(|(_, started)| started == self.started))
            && self.boot_id == boot_id()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone, or another user's.
    pub fn signal(&self, signal: Signal) -> nix::Result<()> {
        kill(Pid::from_raw(self.pid), signal)
    }
}

/// The processor time that a process has taken, in ticks; nothing when it has gone.
pub fn processor_time(pid: u32) -> Option<u64> {
    parse_time(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// User's and system's time, fields 14 and 15 of a `/proc/<pid>/stat`.
fn parse_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map(|ticks| ticks.parse::<u64>().ok());
    Some(times.next()?? + times.next()??)
}

/// When the process of this `/proc/<pid>/stat` started; nothing when it has ended and only waits for its parent.
fn parse_started(stat: &str) -> Option<u64> {
    parse_any(stat).filter(|(state, _)| !matches!(*state, "Z" | "X")).map(|(_, started)| started)
}

/// The state and when it started.
fn parse_any(stat: &str) -> Option<(&str, u64)> {
    // The name is in parentheses and may hold any, so what follows begins at the last one.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    // The state is field 3, the start time field 22.
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let stat = |state| {
            format!("7 (tmux: ) Z (x) {state} 1 7 7 0 -1 4194368 1 2 3 4 5 6 7 8 20 0 1 0 8675309 9 10\n")
        };
        assert_eq!(parse_started(&stat("S")), Some(8_675_309));
        assert_eq!(parse_started(&stat("Z")), None);
        assert_eq!(parse_started("7 (tmux"), None);
        assert_eq!((parse_time(&stat("S")), parse_time("7 (tmux")), (Some(5 + 6), None));
    }

    #[test]
    fn a_process_is_itself_and_a_later_one_with_its_id_is_not() {
        let this = Process::with_id(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(this.is_alive() && this.belongs_to(Uid::effective()));
        assert!(!this.belongs_to(Uid::from_raw(4_000_000)));
        assert!(!Process { started: this.started + 1, ..this.clone() }.is_alive());
        assert!(this.is_listed() && !Process { started: this.started + 1, ..this.clone() }.is_listed());
        assert!(!Process { boot_id: "another".into(), ..this }.is_alive());
    }
}
