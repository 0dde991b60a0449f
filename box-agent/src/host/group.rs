//! A program in a process group of its own, which is killed as a whole: when it has ended, when it is told
//! to, and at the latest when its handle is dropped.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use super::command::Invocation;
use super::oom::unprotect;

/// The pipes of a program.
#[derive(Debug)]
pub struct Pipes {
    /// What it reads, if it was to have something to read.
    pub stdin: Option<ChildStdin>,
    /// What it writes.
    pub stdout: ChildStdout,
    /// Where it complains.
    pub stderr: ChildStderr,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A process group and the program that leads it.
#[derive(Debug)]
pub struct Group {
    child: Child,
    /// `None` once the group was killed: its number may be given to another after that.
    leader: Option<Pid>,
}

impl Group {
    /// Starts a program in `directory`; without `feed` its standard input is empty.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(invocation: &Invocation, directory: &Path, feed: bool) -> io::Result<(Self, Pipes)> {
        Self::start_with(invocation, directory, if feed { Stdio::piped() } else { Stdio::null() })
    }

    /// The same with an open file or directory as its standard input: a handle to what it could not open itself.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start_given(invocation: &Invocation, given: OwnedFd) -> io::Result<(Self, Pipes)> {
        Self::start_with(invocation, Path::new("/"), given.into())
    }

    fn start_with(invocation: &Invocation, directory: &Path, stdin: Stdio) -> io::Result<(Self, Pipes)> {
        let mut child = invocation
            .command(directory)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        unprotect(child.id());
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let stdin = child.stdin.take();
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::Error::other("the program's output is not there"));
        };
        Ok((Self { child, leader }, Pipes { stdin, stdout, stderr }))
    }

    /// The program's process id, until it has ended.
    #[must_use]
    pub fn id(&self) -> Option<i32> {
        self.leader.map(Pid::as_raw)
    }

    /// Waits until the program has ended, then kills what it left in its group. Cancel-safe.
    ///
    /// # Errors
    /// When the system does not tell.
    pub async fn ended(&mut self) -> io::Result<Ended> {
        let status = self.child.wait().await?;
        self.kill();
        let signal = status.signal().map(Ended::Signal);
        signal.or_else(|| status.code().map(Ended::Code)).ok_or_else(|| io::Error::other("no status"))
    }

    /// Asks the whole group to end, as Ctrl-C does.
    pub fn interrupt(&self) {
        if let Some(leader) = self.leader {
            // The only way to fail is that nobody is left.
            let _ = killpg(leader, Signal::SIGINT);
        }
    }

    /// Kills the whole group.
    pub fn kill(&mut self) {
        if let Some(leader) = self.leader.take() {
            // The only way to fail is that nobody is left.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncBufReadExt, BufReader};

    use super::*;

    /// Starts a script and reads the pid that it says first.
    async fn start(script: &str) -> (Group, Pipes, String) {
        let invocation = Invocation::new("/bin/sh", ["-c", script]);
        let (group, mut pipes) = Group::start(&invocation, Path::new("/"), false).unwrap();
        let mut pid = String::new();
        BufReader::new(&mut pipes.stdout).read_line(&mut pid).await.unwrap();
        (group, pipes, pid.trim().to_owned())
    }

    async fn gone(pid: &str) {
        let runs = || {
            // What was killed stays in the table until its new parent has looked.
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
        };
        for _ in 0..1000 {
            if !runs() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{pid} goes on");
    }

    #[tokio::test]
    async fn what_a_program_leaves_behind_ends_with_it() {
        let (mut group, _pipes, pid) = start("sleep 1000 & echo $!; exit 7").await;
        assert_eq!(group.ended().await.unwrap(), Ended::Code(7));
        gone(&pid).await;
    }

    #[tokio::test]
    async fn a_dropped_handle_ends_the_whole_group() {
        let (group, _pipes, pid) = start("trap '' TERM HUP; sleep 1000 & echo $!; wait").await;
        drop(group);
        gone(&pid).await;
    }

    #[tokio::test]
    async fn a_signal_is_told_as_one() {
        let (mut group, _pipes, _) = start("echo; kill -15 $$").await;
        assert_eq!(group.ended().await.unwrap(), Ended::Signal(15));
    }
}
