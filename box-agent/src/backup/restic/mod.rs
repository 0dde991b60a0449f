//! Runs restic: as a transient unit where systemd runs, else as a child that ends with the agent. Keys are in its
//! environment and the password in a file in memory, both gone when it has ended; neither is ever an argument.
//!
//! | module | what |
//! |---|---|
//! | [`calls`] | its command lines |
//! | [`lines`] | what it says |
//! | [`launch`] | how it is started, and ended |
//! | [`traces`] | which run, for the agent after this one |

pub mod calls;
pub mod launch;
pub mod lines;
mod traces;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::launch::{Job, Launcher};
use self::lines::{Line, trouble};
use super::problem::{Problem, short};
use super::target::Target;
use crate::host::group::Ended;

/// The oldest restic that will do.
const WANTED: (u32, u32) = (0, 18);

/// Bytes of a line that are read, at most: a status names the files that it is at.
const MAX_LINE: u64 = 256 * 1024;

/// How long it may take to end once it was asked to: it takes its lock away over the network.
const GRACE: Duration = Duration::from_secs(15);

/// What a call says, as it says it.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A line that is understood.
    Line(Line),
    /// A line of standard output that is not JSON, such as a version.
    Text(String),
    /// It waits for the server, and tries again by itself.
    Waits(String),
}

/// Until when a call may go on.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Ends it.
    pub cancel: CancellationToken,
    /// How long it may take.
    pub deadline: Duration,
    /// How long the server may give no good answer.
    pub stall: Duration,
}

/// A call.
pub struct Call<'a> {
    /// Its arguments, without what all have in common.
    pub args: Vec<OsString>,
    /// The directory that relative paths are in.
    pub directory: &'a Path,
    /// What it may do to files.
    pub rights: Rights,
}

/// What a call may do to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Read all, and follow no link to it.
    Read,
    /// Make files of any owner, in a directory that only root reaches.
    Restore,
}

impl<'a> Call<'a> {
    /// One that touches no file of the volume.
    #[must_use]
    pub fn remote(args: Vec<OsString>) -> Self {
        Self { args, directory: Path::new("/"), rights: Rights::Read }
    }

    /// One that reads files below `directory`.
    #[must_use]
    pub fn reading(args: Vec<OsString>, directory: &'a Path) -> Self {
        Self { args, directory, rights: Rights::Read }
    }

    /// One that restores.
    #[must_use]
    pub fn restoring(args: Vec<OsString>, directory: &'a Path) -> Self {
        Self { args, directory, rights: Rights::Restore }
    }
}

/// restic on this machine.
#[derive(Debug, Clone)]
pub struct Restic {
    launcher: Launcher,
}

impl Restic {
    /// One that is started this way.
    #[must_use]
    pub fn new(launcher: Launcher) -> Self {
        Self { launcher }
    }

    /// Refuses a restic that is too old.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn check_version(&self, bounds: &Bounds) -> Result<(), Problem> {
        let mut text = String::new();
        let job = self.launcher.start_plain(&["version"])?;
        follow(job, bounds, |said| {
            if let Said::Text(line) = said {
                text.push_str(&line);
            }
        })
        .await?;
        version(&text)
    }

    /// Runs a call to its end, and gives what it says to `hear`. Partial success is told by `Ok(true)`.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn run(
        &self,
        target: &Target,
        call: Call<'_>,
        bounds: &Bounds,
        hear: impl FnMut(Said),
    ) -> Result<Completeness, Problem> {
        let job = self.launcher.start(target, &call, bounds.stall)?;
        follow(job, bounds, hear).await
    }

    /// Starts a call whose standard output is the caller's: a file's bytes.
    ///
    /// # Errors
    /// [`Problem`].
    pub fn start(&self, target: &Target, call: &Call<'_>, stall: Duration) -> Result<Job, Problem> {
        self.launcher.start(target, call, stall)
    }
}

/// Whether a call did all that it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// It did.
    Whole,
    /// Something could not be read.
    Partial,
}

fn version(text: &str) -> Result<(), Problem> {
    let found = text.split_whitespace().nth(1).filter(|_| text.starts_with("restic "));
    let numbers = found.and_then(|found| {
        let mut parts = found.split(['.', '-', '+']);
        Some((parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?))
    });
    match (numbers, found) {
        (Some(numbers), _) if numbers >= WANTED => Ok(()),
        (Some(_), Some(found)) => Err(Problem::Tool(format!(
            "restic is {found}, and 0.18 or newer is needed: install the package of Debian 13 or newer (it runs on \
             Debian 12, too), or name another in backup.restic"
        ))),
        _ => Err(Problem::Tool(format!(
            "what backup.restic names does not say which version it is ({}): name restic 0.18 or newer",
            short(text)
        ))),
    }
}

/// What was heard, and until when is waited.
struct Following {
    began: Instant,
    /// Since when the server gives no good answer.
    waiting: Option<(Instant, String)>,
    /// How far it was when that was last looked at.
    done: (u64, u64),
    /// Why it was asked to end, and when.
    ending: Option<(Problem, Instant)>,
    /// Why it ends, by its own words.
    words: String,
}

/// Reads all that it says until it has ended, and ends it when its time is up.
async fn follow(mut job: Job, bounds: &Bounds, mut hear: impl FnMut(Said)) -> Result<Completeness, Problem> {
    let (mut out, mut err) = (lines_of(&mut job.stdout), lines_of(&mut job.stderr));
    let (mut line, mut complaint) = (Vec::new(), Vec::new());
    let mut this =
        Following { began: Instant::now(), waiting: None, done: (0, 0), ending: None, words: String::new() };
    let (mut out_open, mut err_open) = (true, true);
    while out_open || err_open {
        let tick = tokio::time::sleep(Duration::from_millis(200));
        tokio::select! {
            // Cancel-safe: what was read of a line so far stays in its buffer.
            read = out.read_until(b'\n', &mut line), if out_open => {
                out_open = take(read, &mut out, &mut line, |text| this.output(text, &mut hear));
            }
            read = err.read_until(b'\n', &mut complaint), if err_open => {
                err_open = take(read, &mut err, &mut complaint, |text| this.complaint(text, &mut hear));
            }
            // Cancel-safe: a pause.
            () = tick => {}
        }
        if let Some(problem) = this.over(bounds) {
            job.group.interrupt_unit();
            this.ending = Some((problem, Instant::now()));
        }
        if this.ending.as_ref().is_some_and(|(_, asked)| asked.elapsed() > GRACE) {
            job.group.kill();
            break;
        }
    }
    let ended = tokio::time::timeout(GRACE, job.group.ended()).await;
    this.verdict(ended.ok().and_then(Result::ok))
}

type Lines<'a, R> = BufReader<tokio::io::Take<&'a mut R>>;

fn lines_of<R: tokio::io::AsyncRead + Unpin>(reader: &mut R) -> Lines<'_, R> {
    BufReader::new(reader.take(MAX_LINE))
}

/// Hands a line on. False: there are no more.
fn take<R>(
    read: std::io::Result<usize>,
    reader: &mut Lines<'_, R>,
    line: &mut Vec<u8>,
    hear: impl FnOnce(&str),
) -> bool
where
    R: tokio::io::AsyncRead + Unpin,
{
    let more = matches!(read, Ok(1..));
    if !line.is_empty() {
        hear(String::from_utf8_lossy(line).trim_end());
        line.clear();
    }
    reader.get_mut().set_limit(MAX_LINE);
    more
}

impl Following {
    fn output(&mut self, text: &str, hear: &mut impl FnMut(Said)) {
        if text.is_empty() {
            return;
        }
        match serde_json::from_str::<Line>(text) {
            Ok(Line::Status(status)) => {
                let done = (
                    status.files_done.max(status.files_restored),
                    status.bytes_done.max(status.bytes_restored),
                );
                if done != self.done {
                    self.done = done;
                    self.waiting = None;
                }
                hear(Said::Line(Line::Status(status)));
            }
            Ok(Line::ExitError { message }) => self.words = message,
            Ok(Line::Other) => {}
            Ok(line) => hear(Said::Line(line)),
            Err(_) => hear(Said::Text(text.to_owned())),
        }
    }

    fn complaint(&mut self, text: &str, hear: &mut impl FnMut(Said)) {
        match serde_json::from_str::<Line>(text) {
            Ok(Line::ExitError { message }) => self.words = message,
            Ok(line @ Line::Error(_)) => hear(Said::Line(line)),
            Ok(_) => {}
            Err(_) if text.is_empty() => {}
            Err(_) => match trouble(text) {
                Some(words) => {
                    let since = self.waiting.take().map_or_else(Instant::now, |(since, _)| since);
                    self.waiting = Some((since, short(words)));
                    hear(Said::Waits(short(words)));
                }
                // The last words count when there is nothing better.
                None if self.words.is_empty() || !self.words.starts_with("Fatal") => {
                    self.words = text.to_owned()
                }
                None => {}
            },
        }
    }

    /// Why it has to end now, if it has to.
    fn over(&self, bounds: &Bounds) -> Option<Problem> {
        if self.ending.is_some() {
            return None;
        }
        if bounds.cancel.is_cancelled() {
            return Some(Problem::Cancelled);
        }
        let waits = self.waiting.as_ref();
        if let Some((_, words)) = waits
            && let Some(denied @ Problem::AccessDenied { .. }) = Problem::of_words(words)
        {
            // It would go on asking for a quarter of an hour; whether that makes sense is not its decision.
            return Some(denied);
        }
        if let Some((since, words)) = waits.filter(|(since, _)| since.elapsed() > bounds.stall) {
            let fallback = Problem::Unreachable { words: words.clone() };
            let _ = since;
            return Some(Problem::of_words(words).unwrap_or(fallback));
        }
        (self.began.elapsed() > bounds.deadline).then(|| match waits {
            Some((_, words)) => {
                Problem::of_words(words).unwrap_or(Problem::Unreachable { words: words.clone() })
            }
            None => Problem::Late { secs: bounds.deadline.as_secs(), words: String::new() },
        })
    }

    fn verdict(self, ended: Option<Ended>) -> Result<Completeness, Problem> {
        let asked = self.ending.map(|(problem, _)| problem);
        match (ended, asked) {
            // It was done before it heard that it should end.
            (Some(Ended::Code(0)), _) => Ok(Completeness::Whole),
            (_, Some(problem)) => Err(problem),
            (Some(Ended::Code(3)), None) => Ok(Completeness::Partial),
            (Some(Ended::Code(code)), None) => {
                Err(Problem::of(code, &self.words).unwrap_or(Problem::Cancelled))
            }
            (Some(Ended::Signal(signal)), None) => {
                Err(Problem::Failed { how: format!("signal {signal}"), words: short(&self.words) })
            }
            (None, None) => Err(Problem::Failed { how: "no end".into(), words: short(&self.words) }),
        }
    }
}

/// The rest of what a program complained about, to its end.
pub async fn complaints(stderr: ChildStderr) -> String {
    let mut bytes = Vec::new();
    let _ = stderr.take(MAX_LINE).read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    let mut words = text.lines().filter_map(|line| match serde_json::from_str::<Line>(line) {
        Ok(Line::ExitError { message }) => Some(message),
        Ok(_) => None,
        Err(_) => Some(line.to_owned()),
    });
    words.next_back().unwrap_or_default()
}

/// Standard output of a started call.
pub type Output = ChildStdout;

#[cfg(test)]
mod tests;
