//! What backups need done as the terminals' user: the user's own list and hooks, copies of their databases, a sample of
//! their files, and putting restored files in place. Root opens nothing in their tree for it.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use berth_protocol::backup::Preview;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::engine::Places;
use super::problem::short;
use crate::host::command::Invocation;
use crate::host::group::{Ended, Group, Pipes};
use crate::settings::BackupSettings;
use crate::worker::databases::Databases;
use crate::worker::restore::{PlaceJob, Placed};
use crate::worker::sample::Sampled;

/// How long a sample may take.
const SAMPLE_DEADLINE: Duration = Duration::from_mins(2);

/// How long a step of copying a database may go on after its time.
const DATABASES_GRACE: Duration = Duration::from_mins(2);

/// Bytes of an answer, at most.
const MAX_SAID: u64 = 4 << 20;

/// Bytes of the user's own list, at most.
const MAX_LIST: u64 = 64 << 10;

/// The user's hooks, in this order around the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// `~/.config/berth/pre_backup`.
    Before,
    /// `~/.config/berth/post_backup`.
    After,
}

impl Hook {
    fn name(self) -> &'static str {
        match self {
            Self::Before => "pre_backup",
            Self::After => "post_backup",
        }
    }
}

/// The user's own list of what is left out.
pub async fn list(places: &Places) -> String {
    let script =
        format!("f=\"$HOME/.config/berth/backup-exclude\"; test -f \"$f\" && head -c {MAX_LIST} \"$f\"");
    match run(shell(places, &script), Input::Nothing, Duration::from_secs(10)).await {
        Ok((_, said, _)) => said,
        Err(_) => String::new(),
    }
}

/// Runs a hook, if the user has made it executable.
///
/// # Errors
/// A sentence about what went wrong.
pub async fn hook(places: &Places, hook: Hook, deadline: Duration) -> Result<(), String> {
    let name = hook.name();
    let script = format!("f=\"$HOME/.config/berth/{name}\"; test -x \"$f\" || exit 0; cd && exec \"$f\"");
    let outcome = run(shell(places, &script), Input::Nothing, deadline).await;
    match outcome {
        Ok((Ended::Code(0), ..)) => Ok(()),
        Ok((ended, said, complaint)) => {
            let words = if complaint.trim().is_empty() { said } else { complaint };
            let how = match ended {
                Ended::Code(code) => format!("exit code {code}"),
                Ended::Signal(signal) => format!("signal {signal}"),
            };
            Err(format!("the hook {name} failed ({how}): {}", short(&words)))
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(format!("the hook {name} did not end within {} s and was ended", deadline.as_secs()))
        }
        Err(error) => Err(format!("the hook {name} was not run: {error}")),
    }
}

/// Takes hashes of some of the user's files.
///
/// # Errors
/// A sentence.
pub async fn sample(places: &Places) -> Result<Vec<Sampled>, String> {
    let words = ["worker", "sample", "--root"].map(OsString::from);
    ask(places, words, Input::Nothing, SAMPLE_DEADLINE).await
}

/// Those of a sample that are still the same.
///
/// # Errors
/// A sentence.
pub async fn unchanged(places: &Places, sample: &[Sampled]) -> Result<Vec<Sampled>, String> {
    let words = ["worker", "sample", "--unchanged", "--root"].map(OsString::from);
    let mut input = serde_json::to_vec(sample).unwrap_or_default();
    input.push(b'\n');
    ask(places, words, Input::Bytes(input), SAMPLE_DEADLINE).await
}

/// Copies the user's databases to where the snapshot finds them whole.
///
/// # Errors
/// A sentence.
pub async fn copy_databases(places: &Places, settings: &BackupSettings) -> Result<Databases, String> {
    let patience = settings.databases_deadline_secs;
    let (patience_text, each) = (patience.to_string(), settings.databases_max_bytes.to_string());
    let words = ["worker", "databases", "--patience-secs", &patience_text, "--each-bytes", &each, "--root"];
    // It has a deadline of its own, at which it still says what it has done.
    let deadline = Duration::from_secs(patience).saturating_add(DATABASES_GRACE);
    ask(places, words.map(OsString::from), Input::Nothing, deadline).await
}

/// Removes those copies.
///
/// # Errors
/// A sentence.
pub async fn remove_database_copies(places: &Places) -> Result<(), String> {
    let words = ["worker", "databases", "--remove", "--root"].map(OsString::from);
    ask(places, words, Input::Nothing, SAMPLE_DEADLINE).await
}

/// What restoring these entries, an entry a line, would change.
///
/// # Errors
/// A sentence.
pub async fn compare(places: &Places, entries: Vec<u8>) -> Result<Preview, String> {
    let words = ["worker", "compare", "--root"].map(OsString::from);
    ask(places, words, Input::Bytes(entries), SAMPLE_DEADLINE).await
}

/// Puts what lies in the directory `staged` in its place.
///
/// # Errors
/// A sentence.
pub async fn place(
    places: &Places,
    staged: OwnedFd,
    job: &PlaceJob,
    deadline: Duration,
) -> Result<Placed, String> {
    let job = format!("--job={}", serde_json::to_string(job).unwrap_or_default());
    let words = ["worker", "place", &job, "--root"].map(OsString::from);
    ask(places, words, Input::Handle(staged), deadline).await
}

enum Input {
    Nothing,
    Bytes(Vec<u8>),
    Handle(OwnedFd),
}

fn shell(places: &Places, script: &str) -> Invocation {
    Invocation::new("/bin/sh", ["-c", script]).with_env(places.env.clone()).as_user(&places.account)
}

/// Asks this program, as the user. The user's tree is the last word.
async fn ask<T: DeserializeOwned>(
    places: &Places,
    words: impl IntoIterator<Item = OsString>,
    input: Input,
    deadline: Duration,
) -> Result<T, String> {
    let root = places.volume.join("user").into_os_string();
    let words = words.into_iter().chain([root]);
    let invocation =
        Invocation::new(&places.agent, words).with_env(places.env.clone()).as_user(&places.account);
    let outcome = run(invocation, input, deadline).await;
    let (_, said, complaint) = outcome.map_err(|error| format!("a worker failed: {error}"))?;
    serde_json::from_str(said.trim()).map_err(|_| format!("a worker gave no answer: {}", short(&complaint)))
}

async fn run(
    invocation: Invocation,
    input: Input,
    deadline: Duration,
) -> io::Result<(Ended, String, String)> {
    let work = async {
        let directory = Path::new("/");
        let (mut group, pipes) = match input {
            Input::Nothing => Group::start(&invocation, directory, false)?,
            Input::Handle(handle) => Group::start_given(&invocation, handle)?,
            Input::Bytes(bytes) => {
                let (group, mut pipes) = Group::start(&invocation, directory, true)?;
                if let Some(mut stdin) = pipes.stdin.take() {
                    // One that does not listen is heard by what it says, or does not say.
                    let _ = stdin.write_all(&bytes).await;
                }
                (group, pipes)
            }
        };
        let Pipes { stdout, stderr, .. } = pipes;
        let (mut said, mut complaint) = (Vec::new(), Vec::new());
        let (mut out, mut err) = (stdout.take(MAX_SAID), stderr.take(MAX_LIST));
        // Together: when it has ended, what it left behind ends too, and with that nobody holds the pipes open.
        let (read, complained, ended) =
            tokio::join!(out.read_to_end(&mut said), err.read_to_end(&mut complaint), group.ended());
        read?;
        complained?;
        let ended = ended?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((ended, text(&said), text(&complaint)))
    };
    // Dropped, it is killed with all that it has started.
    tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
