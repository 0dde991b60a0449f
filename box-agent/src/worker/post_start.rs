//! Runs the workspace's script, and keeps what it says in the user's own log.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use berth_protocol::environment::FileMode;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::environment::{VARIABLES_FILE, put_with, unlink};
use super::tree::{Lost, Tree};
use crate::environment::job::{ScriptJob, ScriptLine};
use crate::host::child::{Said, start_within};
use crate::host::command::Invocation;

/// The log, in the user's tree.
const LOG: &str = "home/.local/state/berth/post-start.log";

/// The log, as people find it.
pub const LOG_SHOWN: &str = "~/.local/state/berth/post-start.log";

/// Bytes of the log, at most.
const MAX_LOG: u64 = 1024 * 1024;

/// The script, in memory.
const SCRIPT: &str = "post-start";

/// Sets the variables and becomes the script; both its outputs are one. `$1` is the file of variables.
const WRAP: &str = "exec 2>&1; [ -r \"$1\" ] && . \"$1\"; shift; exec \"$@\"";

/// How long what the script has left behind may go on writing.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs the script to its end.
#[must_use]
pub fn run(root: &Path, secrets: &Path, job: &ScriptJob) -> ScriptLine {
    let started = prepare(root, secrets, job);
    let (log, invocation) = match started {
        Ok(started) => started,
        Err(lost) => return ScriptLine::Failed(format!("it can't be prepared: {lost}")),
    };
    let directory = job.directories.iter().find(|path| path.is_dir());
    let directory = directory.map_or(Path::new("/"), |path| path.as_path());
    let mut child = match start_within(&invocation, directory, Said::Output) {
        Ok(child) => child,
        Err(error) => return ScriptLine::Failed(format!("it can't be started: {error}")),
    };
    let (done, written) = mpsc::channel::<()>();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            copy(stdout, log);
            drop(done);
        });
    }
    let status = child.wait();
    // What it started and left may hold its output for ever.
    let _ = written.recv_timeout(LAST_WORDS);
    match status {
        Ok(status) if status.success() => ScriptLine::Done,
        Ok(status) => ScriptLine::Failed(format!("it ended with {status}; {LOG_SHOWN} has what it said")),
        Err(error) => ScriptLine::Failed(format!("its end was not told: {error}")),
    }
}

fn prepare(root: &Path, secrets: &Path, job: &ScriptJob) -> Result<(std::fs::File, Invocation), Lost> {
    let place = Tree::open(root)?.place(LOG, Some(Mode::S_IRWXU))?;
    // A new one each time, so that nothing that was put in its place is written to.
    unlink(&place)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let log = openat(place.directory.handle(), place.name.as_str(), flags, mode)?;
    let script = secrets.join(SCRIPT);
    put_with(&Tree::open(secrets)?, SCRIPT, job.script.as_bytes(), FileMode::OWN_PROGRAM)?;
    let variables = secrets.join(VARIABLES_FILE);
    let mut words = vec![Path::new("-c"), Path::new(WRAP), Path::new("post-start"), &variables];
    if !job.script.starts_with("#!") {
        words.push(Path::new("/bin/sh"));
    }
    words.push(&script);
    Ok((log.into(), Invocation::new("/bin/sh", words).with_env(std::env::vars_os())))
}

/// Copies to the end, and writes only so much of it: a script that says too much must not wait for ever.
fn copy(mut from: impl Read, mut log: impl Write) {
    let (mut left, mut told) = (MAX_LOG, false);
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let kept = usize::try_from(left).unwrap_or(usize::MAX).min(count);
        // A full disk takes the rest of the log and not the script.
        let _ = log.write_all(&buffer[..kept]);
        if kept < count && !std::mem::replace(&mut told, true) {
            let _ = log.write_all(b"\n[the rest is left out]\n");
        }
        left -= kept as u64;
    }
}

#[cfg(test)]
mod tests;
