//! Starts a worker, tells it its job on standard input, and hears what it says.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines, Take};
use tokio::process::{ChildStdin, ChildStdout};

use super::board::Places;
use crate::host::command::Invocation;
use crate::host::group::{Ended, Group, Pipes};

/// What a worker says at most, bytes.
const MAX_SAID: u64 = 1024 * 1024;

/// Why a worker did not do its job. Nothing of the job is in it.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It can't be started, or talked to.
    #[error("failed to start a worker as the user of terminals")]
    Start(#[from] io::Error),
    /// It said nothing that is understood.
    #[error("the worker ended without an answer ({how}){complaints}")]
    Silent {
        /// How it ended.
        how: String,
        /// What it said on standard error.
        complaints: String,
    },
    /// It took too long.
    #[error("the worker did not end within {} s and was ended", .0.as_secs())]
    Hung(Duration),
}

/// A worker that does its job. Dropped, it is killed with all that it has started.
pub struct Asked {
    group: Group,
    lines: Lines<BufReader<Take<ChildStdout>>>,
    stderr: tokio::process::ChildStderr,
    /// Closed, it tells the worker that nobody wants the job done any more.
    _stdin: ChildStdin,
}

impl Asked {
    /// Starts `box-agent worker <verb>` and tells it its job, in one line.
    ///
    /// # Errors
    /// [`AskError::Start`].
    pub async fn start(places: &Places, verb: &str, job: &impl Serialize) -> Result<Self, AskError> {
        let words = [Path::new("worker"), Path::new(verb), Path::new("--root"), &places.user];
        let words = words.into_iter().chain([Path::new("--secrets"), &places.secrets]);
        let invocation =
            Invocation::new(&places.agent, words).with_env(places.env.clone()).as_user(&places.account);
        let (group, pipes) = Group::start(&invocation, Path::new("/"), true)?;
        let Pipes { stdin, stdout, stderr } = pipes;
        let mut stdin = stdin.ok_or_else(|| io::Error::other("the worker's input is not there"))?;
        // Plain data: it always serialises, and JSON has no line break outside of strings.
        let mut text = serde_json::to_vec(job).unwrap_or_default();
        text.push(b'\n');
        // One that does not listen is heard by what it says, or does not say.
        let _ = stdin.write_all(&text).await;
        let lines = BufReader::new(stdout.take(MAX_SAID)).lines();
        Ok(Self { group, lines, stderr, _stdin: stdin })
    }

    /// The next thing that it says; `None` when it has said all.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Option<T> {
        let line = self.lines.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// How it ended without saying what became of its job.
    pub async fn silent(mut self) -> AskError {
        self.group.kill();
        let mut complaints = String::new();
        // What can't be read is not told.
        let _ = self.stderr.take(400).read_to_string(&mut complaints).await;
        let how = match self.group.ended().await {
            Ok(Ended::Code(code)) => format!("code {code}"),
            Ok(Ended::Signal(signal)) => format!("signal {signal}"),
            Err(error) => error.to_string(),
        };
        let complaints = complaints.trim().replace('\n', "; ");
        let complaints = if complaints.is_empty() { complaints } else { format!(": {complaints}") };
        AskError::Silent { how, complaints }
    }
}

/// Has a worker do a short job, and returns its one answer.
///
/// # Errors
/// [`AskError`].
pub async fn ask<T: DeserializeOwned>(
    places: &Places,
    verb: &str,
    job: &impl Serialize,
    limit: Duration,
) -> Result<T, AskError> {
    let work = async {
        let mut asked = Asked::start(places, verb, job).await?;
        match asked.next().await {
            Some(answer) => Ok(answer),
            None => Err(asked.silent().await),
        }
    };
    tokio::time::timeout(limit, work).await.unwrap_or(Err(AskError::Hung(limit)))
}
