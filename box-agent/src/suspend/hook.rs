//! The operator's own program in a suspension, such as a backup: from the settings of the machine alone, and never a
//! reason not to suspend.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::host::command::Invocation;
use crate::host::group::{Ended, Group};
use crate::settings::SuspendSettings;

/// The most of its words that are repeated, bytes.
const MAX_WORDS: usize = 400;

/// How long its last words may take once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a hook did not do what it is for.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It can't be started, or its end is not told.
    #[error("failed to run the hook {0}")]
    Start(String, #[source] io::Error),
    /// It took too long.
    #[error("the hook {program} did not end within {} s and was ended", .deadline.as_secs())]
    Late {
        /// Which one.
        program: String,
        /// How long it could have taken.
        deadline: Duration,
    },
    /// It says so itself.
    #[error("the hook {program} failed ({ended}): {words}")]
    Failed {
        /// Which one.
        program: String,
        /// Its exit code, or the signal that ended it.
        ended: String,
        /// Its last words.
        words: String,
    },
}

/// Runs the hook, if there is one. When its time is up, it and all it started is killed.
///
/// # Errors
/// [`HookError`].
pub async fn run(settings: &SuspendSettings, volume: &Path) -> Result<(), HookError> {
    let Some((program, args)) = settings.hook.split_first() else { return Ok(()) };
    let deadline = Duration::from_secs(settings.hook_deadline_secs);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let env = [("PATH".into(), path), ("BERTH_VOLUME".into(), volume.as_os_str().to_owned())];
    let invocation = Invocation::new(program, args).with_env(env);
    let failed = |source| HookError::Start(program.clone(), source);
    let (mut group, mut pipes) = Group::start(&invocation, Path::new("/"), false).map_err(failed)?;
    let (mut said, mut complaint) = (Vec::new(), Vec::new());
    let work = async {
        let (mut out, mut err) = ([0; 1024], [0; 1024]);
        let mut ended = None;
        while ended.is_none() {
            tokio::select! {
                // Cancel-safe, all: pipes that are read again, and a process that is waited for again.
                Ok(count @ 1..) = pipes.stdout.read(&mut out) => keep(&mut said, &out[..count]),
                Ok(count @ 1..) = pipes.stderr.read(&mut err) => keep(&mut complaint, &err[..count]),
                outcome = group.ended() => ended = Some(outcome),
            }
        }
        // What was said last may still be on its way; nobody else writes any more, so it has an end.
        keep(&mut said, &drain(&mut pipes.stdout).await);
        keep(&mut complaint, &drain(&mut pipes.stderr).await);
        ended
    };
    let ended = tokio::time::timeout(deadline, work).await;
    let tail = if complaint.is_empty() { said } else { complaint };
    let words = String::from_utf8_lossy(&tail).split_whitespace().collect::<Vec<_>>().join(" ");
    let program = program.clone();
    match ended {
        Ok(Some(Ok(Ended::Code(0)))) => Ok(()),
        Ok(Some(Ok(Ended::Code(code)))) => {
            Err(HookError::Failed { program, ended: format!("exit code {code}"), words })
        }
        Ok(Some(Ok(Ended::Signal(signal)))) => {
            Err(HookError::Failed { program, ended: format!("signal {signal}"), words })
        }
        Ok(Some(Err(source))) => Err(HookError::Start(program, source)),
        Ok(None) | Err(_) => Err(HookError::Late { program, deadline }),
    }
}

async fn drain(pipe: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Whoever left its group may hold the pipe open; it is not waited for.
    let _ = tokio::time::timeout(LAST_WORDS, pipe.take(64 << 10).read_to_end(&mut bytes)).await;
    bytes
}

/// Keeps the end of what was said.
fn keep(tail: &mut Vec<u8>, said: &[u8]) {
    tail.extend_from_slice(said);
    let surplus = tail.len().saturating_sub(MAX_WORDS);
    tail.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, deadline: u64) -> SuspendSettings {
        let hook = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        SuspendSettings { hook, hook_deadline_secs: deadline }
    }

    #[tokio::test]
    async fn a_hook_knows_the_volume_and_its_failure_has_its_last_words() {
        let volume = Path::new("/mnt/w");
        run(&SuspendSettings::default(), volume).await.unwrap();
        run(&sh("test \"$BERTH_VOLUME\" = /mnt/w && test -n \"$PATH\"", 60), volume).await.unwrap();
        let noisy = "i=0; while [ $i -lt 9000 ]; do echo filler; i=$((i+1)); done; echo no space >&2; exit 3";
        let error = run(&sh(noisy, 60), volume).await.unwrap_err().to_string();
        assert!(error.contains("exit code 3") && error.ends_with("no space"), "{error}");
        let missing = SuspendSettings { hook: vec!["/nowhere/x".into()], ..SuspendSettings::default() };
        assert!(matches!(run(&missing, volume).await, Err(HookError::Start(..))));
    }

    #[tokio::test]
    async fn a_hook_that_hangs_is_killed_with_all_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("trap '' TERM; sleep 1000 & echo $! > {}; wait", file.display());
        let error = run(&sh(&script, 1), dir.path()).await.unwrap_err().to_string();
        assert!(error.contains("did not end within 1 s"), "{error}");
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        for _ in 0..1000 {
            if crate::host::process::Process::with_id(pid).is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{pid} goes on");
    }
}
