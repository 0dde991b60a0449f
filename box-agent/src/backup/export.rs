//! The way out: all of the user's tree as one archive that any machine can unpack, without Berth, restic or a password.
//!
//! A worker writes it, as the user, so root opens nothing in their tree, and what only root may read (Berth's own database,
//! its keys) is not in it. Whoever reads it sets the pace: browser, bucket or file. It is not encrypted.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::time::Duration;

use berth_protocol::backup::Outcome;
use jiff::Timestamp;
use nix::sys::statvfs::statvfs;
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinHandle;

use super::engine::Places;
use super::problem::{Problem, short};
use super::run::Run;
use super::s3::{Answer, Ask, Bucket, part_bytes};
use crate::host::account::Account;
use crate::host::command::Invocation;
use crate::host::group::{Ended, Group};
use crate::worker::export::Summary;

/// Bytes of what is said of an archive, at most.
const MAX_SAID: u64 = 64 << 10;

/// How long an upload that came to nothing may take to be taken back.
const TIDY_DEADLINE: Duration = Duration::from_secs(20);

/// An archive that is being written. Dropped, it is ended.
pub struct Archive {
    group: Group,
    stdout: ChildStdout,
    said: JoinHandle<Vec<u8>>,
}

impl Archive {
    /// Begins to write one of the user's tree. `agent` is this program.
    ///
    /// # Errors
    /// [`Problem::Export`].
    pub fn start(
        agent: &Path,
        tree: &Path,
        account: &Account,
        env: Vec<(OsString, OsString)>,
    ) -> Result<Self, Problem> {
        let words = [OsStr::new("worker"), OsStr::new("export"), OsStr::new("--root"), tree.as_os_str()];
        let invocation = Invocation::new(agent, words).with_env(env).as_user(account);
        let (group, pipes) = Group::start(&invocation, Path::new("/"), false)
            .map_err(|error| Problem::Export(format!("the archive was not begun: {error}")))?;
        // Beside the archive: a worker that can't say something writes nothing more.
        let said = tokio::spawn(said(pipes.stderr));
        Ok(Self { group, stdout: pipes.stdout, said })
    }

    /// The same, of the volume of an engine.
    ///
    /// # Errors
    /// [`Problem::Export`].
    pub(super) fn of(places: &Places) -> Result<Self, Problem> {
        Self::start(&places.agent, &places.volume.join("user"), &places.account, places.env.clone())
    }

    /// The next bytes: so many, unless it ends; none once it has ended. Not cancel-safe.
    ///
    /// # Errors
    /// What the system says.
    pub async fn piece(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut piece = Vec::with_capacity(bytes.min(1 << 20));
        (&mut self.stdout).take(bytes as u64).read_to_end(&mut piece).await?;
        Ok(piece)
    }

    /// What was in it, once there are no more bytes.
    ///
    /// # Errors
    /// [`Problem::Export`]: it is not whole.
    pub async fn finish(mut self) -> Result<Summary, Problem> {
        let said = self.said.await.unwrap_or_default();
        let broken = |how: String| {
            let words = short(&String::from_utf8_lossy(&said));
            Err(Problem::Export(format!("the archive is not whole ({how}): {words}")))
        };
        match self.group.ended().await {
            Ok(Ended::Code(0)) => serde_json::from_slice(&said).or_else(|_| broken("no summary".into())),
            Ok(Ended::Code(code)) => broken(format!("exit code {code}")),
            Ok(Ended::Signal(signal)) => broken(format!("signal {signal}")),
            Err(error) => broken(error.to_string()),
        }
    }
}

/// All that a worker says, as far as it is kept.
async fn said(mut stderr: ChildStderr) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = (&mut stderr).take(MAX_SAID).read_to_end(&mut said).await;
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    said
}

/// The right to read the volume beside the runs.
pub struct Reading {
    serving: watch::Receiver<bool>,
    _turn: OwnedSemaphorePermit,
}

impl Reading {
    pub(super) fn new(serving: watch::Receiver<bool>, turn: OwnedSemaphorePermit) -> Self {
        Self { serving, _turn: turn }
    }

    /// Waits until the volume is to be let go. Cancel-safe.
    pub async fn over(&mut self) {
        // An engine that is gone serves nobody.
        let _ = self.serving.wait_for(|serving| !serving).await;
    }
}

/// Puts an archive beside the repository.
///
/// # Errors
/// [`Problem`]; nothing is in the bucket then.
pub(super) async fn to_bucket(run: &mut Run<'_>) -> Result<Outcome, Problem> {
    run.enter("asking for room in the bucket");
    let places = &run.engine.places;
    let (cancel, deadline) = (run.cancel.clone(), run.bounds().deadline);
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let key = format!("{}/exports/{}-{stamp}.tar.zst", run.target.repository.prefix, places.workspace);
    let bucket = Bucket::new(key.clone(), Duration::from_secs(run.engine.settings.stall_secs))?;
    let mut begun = None;
    let work = async {
        let upload = asked(run, &bucket, &Ask::Begin).await?.upload()?;
        begun = Some(upload.clone());
        run.keys_worked().await;
        run.enter("exporting");
        let archive = Archive::of(places)?;
        send(run, &bucket, &upload, archive).await
    };
    let outcome = tokio::select! {
        // Cancel-safe, all: what was begun is taken back below.
        outcome = work => outcome,
        () = cancel.cancelled() => Err(Problem::Cancelled),
        () = tokio::time::sleep(deadline) => Err(Problem::Late { secs: deadline.as_secs(), words: String::new() }),
    };
    match (outcome, begun) {
        (Ok(summary), _) => {
            run.record.place = Some(format!("s3://{}/{key}", run.target.repository.bucket));
            run.record.files = summary.files;
            run.record.bytes = summary.bytes;
            let more = summary.flawed.saturating_sub(summary.named.len() as u64);
            summary.named.into_iter().for_each(|flaw| run.warn(flaw));
            if more > 0 {
                run.warn(format!("and {more} more, which the index names"));
            }
            Ok(if summary.flawed == 0 { Outcome::Good } else { Outcome::Partial })
        }
        (Err(problem), Some(upload)) => {
            let ask = Ask::GiveUp { upload: &upload };
            let tidied = bucket.ask(&run.target, &ask);
            if !matches!(tokio::time::timeout(TIDY_DEADLINE, tidied).await, Ok(Ok(_))) {
                run.warn(format!("parts of {key} are left in the bucket: it removes them by its own rules"));
            }
            Err(problem)
        }
        (Err(problem), None) => Err(problem),
    }
}

/// Sends all of an archive, and looks whether all has come.
async fn send(
    run: &mut Run<'_>,
    bucket: &Bucket,
    upload: &str,
    mut archive: Archive,
) -> Result<Summary, Problem> {
    let size = part_bytes(used(&run.engine.places.volume));
    let (mut tags, mut sent) = (Vec::new(), 0);
    loop {
        let piece = archive.piece(size).await;
        let piece = piece.map_err(|error| Problem::Export(format!("the archive broke off: {error}")))?;
        if piece.is_empty() {
            break;
        }
        sent += piece.len() as u64;
        let put = Ask::Put { upload, number: tags.len() + 1, bytes: piece.into() };
        tags.push(asked(run, bucket, &put).await?.tag()?);
        run.progressed(sent);
        run.record.added_bytes = sent;
    }
    // Before anybody sees it in the bucket.
    let summary = archive.finish().await?;
    if let Err(problem) = asked(run, bucket, &Ask::Complete { upload, tags: &tags }).await {
        // When only its answer was lost, the next one is that there is no such upload: what is there says how it was.
        let there = bucket.ask(&run.target, &Ask::Size).await.and_then(Answer::size);
        return if there.is_ok_and(|there| there == sent) { Ok(summary) } else { Err(problem) };
    }
    let there = asked(run, bucket, &Ask::Size).await?.size()?;
    if there == sent {
        return Ok(summary);
    }
    let words = format!("the archive has {there} bytes in the bucket, and {sent} were sent: remove it");
    Err(Problem::Export(words))
}

/// Asks until it is done, as often as that makes sense.
async fn asked(run: &mut Run<'_>, bucket: &Bucket, ask: &Ask<'_>) -> Result<Answer, Problem> {
    let mut patience = run.patience().await;
    loop {
        run.renew(&mut patience);
        match bucket.ask(&run.target, ask).await {
            Ok(answer) => return Ok(answer),
            Err(problem) => run.pause_after(&problem, &mut patience).await?,
        }
    }
}

/// Bytes that are in use on the volume: no archive of it is much larger.
fn used(volume: &Path) -> u64 {
    statvfs(volume).map_or(0, |stat| {
        let blocks = stat.blocks().saturating_sub(stat.blocks_free());
        blocks.saturating_mul(stat.fragment_size())
    })
}
