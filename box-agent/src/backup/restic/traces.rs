//! Which restics run, noted beside their papers, so that an agent that takes over from one that was killed knows whom to
//! see out.
//!
//! The kernel ends a restic with its agent, but that is not the end of it: until whoever adopts it has looked, it is
//! still in the table of processes, and restic takes the lock of one that is for the lock of one that lives. A run that
//! begins too early leaves that lock where it is, and whatever needs the repository for itself finds it locked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_daemon::state::write_private;
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use tokio::time::Instant;

use crate::host::process::Process;

/// What a note's name ends with.
const SUFFIX: &str = "process";

/// How long one that still lives has to take its lock away, as it does when it is asked to end.
const GRACE: Duration = Duration::from_secs(15);

/// How long it is waited for in all. One that nobody collects holds its lock for half an hour, by restic's own rule.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(50);

/// Notes that this process runs. Returns the note, which goes when it has ended.
pub(super) fn note(papers: &Path, name: &str, pid: Option<i32>) -> Option<PathBuf> {
    let process = Process::with_id(pid?)?;
    let path = papers.join(format!("{name}.{SUFFIX}"));
    let text = serde_json::to_vec(&process).ok()?;
    let written = write_private(&path, &text);
    // The run is none the worse; the next agent may have to wait for the lock.
    written.inspect_err(|error| tracing::warn!(%error, "that restic runs is not noted")).ok()?;
    Some(path)
}

/// All that lies there now.
pub(super) fn papers(directory: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(directory).into_iter().flatten().flatten();
    listed.map(|entry| entry.path()).collect()
}

/// Waits until those that an earlier agent has noted are gone, and ends those that live.
pub(super) async fn see_out(papers: &[PathBuf]) {
    let noted: Vec<Process> = papers
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == SUFFIX))
        .filter_map(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok())
        .collect();
    for process in noted {
        if !see_one_out(&process, GRACE, PATIENCE).await {
            tracing::warn!(pid = process.pid(), "a restic of before is still there, and so may be its lock");
        }
    }
}

async fn see_one_out(process: &Process, grace: Duration, patience: Duration) -> bool {
    let began = Instant::now();
    let mut asked = false;
    while process.is_listed() {
        if began.elapsed() > patience {
            return false;
        }
        if process.belongs_to(Uid::effective()) {
            let signal = if began.elapsed() > grace { Some(Signal::SIGKILL) } else { Some(Signal::SIGINT) };
            if let Some(signal) = signal.filter(|signal| !asked || *signal == Signal::SIGKILL) {
                // It may have gone meanwhile.
                let _ = process.signal(signal);
                asked = true;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use crate::host::command::Invocation;
    use crate::host::group::{Ended, Group};

    use super::*;

    fn start(script: &str) -> Group {
        let invocation = Invocation::new("/bin/sh", ["-c", script]);
        Group::start(&invocation, Path::new("/"), false).unwrap().0
    }

    #[tokio::test]
    async fn one_that_has_ended_is_waited_for_until_it_is_collected() {
        let dir = tempfile::tempdir().unwrap();
        let mut group = start("sleep 1000 & wait");
        let path = note(dir.path(), "x", group.id()).unwrap();
        let process: Process = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        process.signal(Signal::SIGKILL).unwrap();
        while process.is_alive() {
            tokio::time::sleep(PAUSE).await;
        }
        // Nobody has collected it: that is what its lock would be judged by.
        assert!(!see_one_out(&process, GRACE, Duration::from_millis(200)).await);
        let old = papers(dir.path());
        let waiting = see_out(&old);
        let (ended, ()) = tokio::join!(group.ended(), waiting);
        assert_eq!(ended.unwrap(), Ended::Signal(9));
        assert!(!process.is_listed());
    }

    #[tokio::test]
    async fn one_that_lives_is_asked_to_end_and_then_made_to() {
        let mut mild = start("trap 'exit 7' INT; sleep 1000 & wait");
        let mut stubborn = start("trap '' INT; sleep 1000 & wait; wait");
        for (group, grace, expected) in [
            (&mut mild, GRACE, Ended::Code(7)),
            (&mut stubborn, Duration::from_millis(300), Ended::Signal(9)),
        ] {
            let process = Process::with_id(group.id().unwrap()).unwrap();
            // It has to have said what it does with an interrupt.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let (ended, gone) = tokio::join!(group.ended(), see_one_out(&process, grace, PATIENCE));
            assert_eq!((ended.unwrap(), gone), (expected, true));
        }
    }
}
