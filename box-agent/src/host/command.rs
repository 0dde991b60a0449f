//! Runs a program to its end and collects what it said.
//!
//! Errors carry the command line, so arguments must never hold a secret; secrets go through files or pipes.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::unistd::{Gid, Uid};

use super::account::Account;
use super::oom::unprotect;

/// A program that takes longer has hung: what the agent runs this way answers within milliseconds.
const DEADLINE: Duration = Duration::from_secs(20);

/// Arguments that a command line shows.
const MAX_SHOWN_ARGS: usize = 24;

/// A program, its arguments and its whole environment: nothing of the agent's own is inherited.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment.
    pub env: Vec<(OsString, OsString)>,
    /// Whose it is, if not this process's user's.
    user: Option<(Uid, Gid)>,
}

/// Why a command did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("failed to start {command}")]
    Start {
        /// The command line.
        command: String,
        /// The system's answer.
        source: io::Error,
    },
    /// It did not end in time.
    #[error("{command} did not end within {} s and was ended", DEADLINE.as_secs())]
    Hung {
        /// The command line.
        command: String,
    },
    /// It ended with a failure.
    #[error("{command} failed ({status}): {stderr}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said on standard error.
        stderr: String,
    },
}

impl Invocation {
    /// A program with arguments in an empty environment.
    pub fn new<I, S>(program: impl Into<PathBuf>, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Self { program: program.into(), args, env: Vec::new(), user: None }
    }

    /// The same in the given environment.
    #[must_use]
    pub fn with_env(mut self, env: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        self.env = env.into_iter().collect();
        self
    }

    /// The same as the user of terminals, with that user's own group and no other: root's rights and groups stay
    /// behind.
    #[must_use]
    pub fn as_user(mut self, account: &Account) -> Self {
        self.user = account.is_another().then_some((account.uid, account.gid));
        self
    }

    /// The program, ready to be started in `directory` with nothing of this process's own.
    pub(super) fn command(&self, directory: &Path) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(directory)
            .kill_on_drop(true);
        if let Some((uid, gid)) = self.user {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        command
    }

    /// The command line, for people: a script or a list among the arguments is cut short.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut text = self.program.display().to_string();
        for (index, arg) in self.args.iter().enumerate() {
            text.push(' ');
            if index >= MAX_SHOWN_ARGS {
                text.push('…');
                break;
            }
            let arg = arg.to_string_lossy();
            let line = arg.lines().next().unwrap_or_default();
            text.push_str(line);
            if line.len() < arg.len() {
                text.push('…');
            }
        }
        text
    }

    /// Runs it and returns what it wrote on standard output.
    ///
    /// # Errors
    /// [`CommandError`]; a status other than 0 is a failure.
    pub async fn run(&self) -> Result<String, CommandError> {
        let start = |source| CommandError::Start { command: self.shown(), source };
        let child = self
            .command(Path::new("/"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        unprotect(child.id());
        let Ok(ended) = tokio::time::timeout(DEADLINE, child.wait_with_output()).await else {
            return Err(CommandError::Hung { command: self.shown() });
        };
        let output = ended.map_err(start)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        Err(CommandError::Failed { command: self.shown(), status: output.status, stderr })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Invocation {
        Invocation::new("/bin/sh", ["-c", script])
    }

    #[tokio::test]
    async fn what_it_says_is_returned_and_nothing_is_inherited() {
        assert_eq!(sh("echo six; echo \"[$CARGO_MANIFEST_DIR]\"").run().await.unwrap(), "six\n[]\n");
        let with = sh("echo $A").with_env([("A".into(), "b".into())]);
        assert_eq!(with.run().await.unwrap(), "b\n");
    }

    #[tokio::test]
    async fn root_becomes_the_user_wholly() {
        if !Uid::effective().is_root() {
            eprintln!("skipped: only root can become another user");
            return;
        }
        let nobody = Account::find(Some("nobody"), "/".into(), None).unwrap();
        let said = sh("id -u; id -G").with_env([("PATH".into(), "/usr/bin:/bin".into())]);
        let expected = format!("{}\n{}\n", nobody.uid, nobody.gid);
        assert_eq!(said.as_user(&nobody).run().await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_failure_tells_command_status_and_words() {
        let error = sh("echo oh no >&2; exit 3").run().await.unwrap_err().to_string();
        assert!(error.contains("/bin/sh -c") && error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("oh no"), "{error}");
        let error = Invocation::new("/nowhere/x", ["a"]).run().await.unwrap_err().to_string();
        assert_eq!(error, "failed to start /nowhere/x a");
    }
}
