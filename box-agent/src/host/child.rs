//! Programs that are meant to stay, and the ways in which this process becomes another program.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgrp, getppid};
use tokio::process::Child;

use super::command::Invocation;
use super::oom::unprotect;

/// Starts a program that stays, in a process group of its own so that a Ctrl-C in the agent's terminal does
/// not reach it, with its output to be read by the caller.
///
/// # Errors
/// When it can't be started.
pub fn spawn(invocation: &Invocation) -> io::Result<Child> {
    let child = invocation
        .command(Path::new("/"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    unprotect(child.id());
    Ok(child)
}

/// Starts a program in this process's own group, so that it ends with it, with its output to be read by the
/// caller: for a worker, whose group the agent kills as a whole. `said` is what is read: its standard output, or
/// else its standard error; the other is lost.
///
/// # Errors
/// When it can't be started.
pub fn start_within(
    invocation: &Invocation,
    directory: &Path,
    said: Said,
) -> io::Result<std::process::Child> {
    let (stdout, stderr) = match said {
        Said::Output => (Stdio::piped(), Stdio::null()),
        Said::Complaints => (Stdio::null(), Stdio::piped()),
    };
    std::process::Command::new(&invocation.program)
        .args(&invocation.args)
        .env_clear()
        .envs(invocation.env.iter().map(|(name, value)| (name, value)))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
}

/// Which output of a program is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Standard output.
    Output,
    /// Standard error.
    Complaints,
}

/// Kills the group of this process, and this process with it.
pub fn kill_own_group() {
    // There always is one to be killed.
    let _ = killpg(getpgrp(), Signal::SIGKILL);
}

/// Asks a child to end. One that has ended already is fine.
pub fn terminate(child: &Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // The only way to fail is that it is gone, and then it has no need to be told.
        let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

/// Ties this process to its parent, then becomes another program: the kernel ends it when the parent ends,
/// however that happens. `parent` is who the caller believes its parent to be.
///
/// # Errors
/// When the parent is gone already, or the program can't be started. There is no other way to return.
pub fn exec_guarded(parent: i32, program: &OsString, args: &[OsString]) -> io::Result<Infallible> {
    // SIGKILL, because a program may take its time over anything milder while it holds the socket.
    set_pdeathsig(Signal::SIGKILL)?;
    // A parent that went before the line above sends nothing any more.
    if getppid() != Pid::from_raw(parent) {
        return Err(io::Error::other("the process that asked for this one has ended"));
    }
    Err(std::process::Command::new(program).args(args).exec())
}

/// Becomes another program, in the environment and with the streams of this one.
///
/// # Errors
/// When the program can't be started. There is no other way to return.
pub fn exec(program: &Path, args: &[String]) -> io::Result<Infallible> {
    Err(std::process::Command::new(program).args(args).exec())
}

/// Becomes another program that keeps `inherited` open, so that the other end of that connection sees when the
/// program ends.
///
/// # Errors
/// When the program can't be started. There is no other way to return.
pub fn exec_holding(inherited: impl AsFd, program: &Path, args: &[String]) -> io::Result<Infallible> {
    fcntl(inherited, FcntlArg::F_SETFD(FdFlag::empty()))?;
    // A ttyd with libraries of its own has this from its launcher; a shell must not inherit it.
    Err(std::process::Command::new(program).args(args).env_remove("LD_LIBRARY_PATH").exec())
}
