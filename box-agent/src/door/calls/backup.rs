//! Backups at the door: how they are, what can be begun, and what is in them.

use std::io;

use berth_protocol::backup::{
    BackupState, KIND_BUSY, KIND_NOT_CONFIGURED, KIND_NOT_FOUND, KIND_REPOSITORY, Look, MAX_LOOK_BODY,
    Reason, RestoreOrder,
};
use berth_protocol::ids::RequestId;
use berth_protocol::suspend::KIND_SUSPENDED;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::Incoming;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tracing::Instrument;

use super::once::Once;
use super::{invalid, read};
use crate::backup::engine::{Backups, NotTaken, Order};
use crate::backup::export::{Archive, Reading};
use crate::backup::problem::Problem;
use crate::backup::restic::complaints;
use crate::backup::restic::launch::Job;
use crate::door::request::{BackupAsked, Refusal};
use crate::host::group::Ended;
use crate::worker::export::Summary;

/// Pieces of a file that wait for the gateway; restic waits too.
const PIECES_WAITING: usize = 4;

/// Bytes of a piece.
const PIECE: usize = 64 * 1024;

/// Backups, for gateways.
pub struct BackupCalls {
    backups: Backups,
    seen: Once<()>,
}

/// What is answered.
pub enum Answered {
    /// This, as JSON.
    Json(StatusCode, Vec<u8>),
    /// A file, of so many bytes if that is known. One that is not whole ends with an error, which closes its connection.
    File(Option<u64>, mpsc::Receiver<io::Result<Bytes>>),
}

impl BackupCalls {
    /// What these backups do.
    #[must_use]
    pub fn new(backups: Backups) -> Self {
        Self { backups, seen: Once::default() }
    }

    /// Does what is asked. What acts does so once for each request id.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn answer(
        &self,
        id: &RequestId,
        asked: &BackupAsked,
        body: Incoming,
    ) -> Result<Answered, Refusal> {
        let backups = &self.backups;
        match asked {
            BackupAsked::State => Ok(json(StatusCode::OK, &backups.state())),
            BackupAsked::Run => self.begin(id, Order::Backup(Reason::Asked)),
            BackupAsked::Check => self.begin(id, Order::Drill(Reason::Asked)),
            BackupAsked::Restore => {
                let order: RestoreOrder = read(body, MAX_LOOK_BODY).await?;
                order.check().map_err(invalid)?;
                self.begin(id, Order::Restore(order))
            }
            BackupAsked::Cancel => {
                let state = if self.first(id) { backups.cancel() } else { backups.state() };
                Ok(json(StatusCode::ACCEPTED, &state))
            }
            BackupAsked::Snapshots => Ok(json(StatusCode::OK, &backups.snapshots().await?)),
            BackupAsked::Entries => {
                let look = users(read(body, MAX_LOOK_BODY).await?)?;
                Ok(json(StatusCode::OK, &backups.entries(&look.snapshot, &look.path).await?))
            }
            BackupAsked::Preview => {
                let look = users(read(body, MAX_LOOK_BODY).await?)?;
                Ok(json(StatusCode::OK, &backups.preview(&look.snapshot, &look.path).await?))
            }
            BackupAsked::File => {
                let look = users(read(body, MAX_LOOK_BODY).await?)?;
                let (entry, job) = backups.file(&look.snapshot, &look.path).await?;
                let (sender, receiver) = mpsc::channel(PIECES_WAITING);
                tokio::spawn(pour(job, sender).in_current_span());
                Ok(Answered::File(Some(entry.size), receiver))
            }
            BackupAsked::Export => self.begin(id, Order::Export),
            BackupAsked::Archive => {
                let (archive, reading) = backups.archive()?;
                let (sender, receiver) = mpsc::channel(PIECES_WAITING);
                tokio::spawn(pour_archive(archive, reading, sender).in_current_span());
                Ok(Answered::File(None, receiver))
            }
        }
    }

    fn begin(&self, id: &RequestId, order: Order) -> Result<Answered, Refusal> {
        let accepted = |state: BackupState| json(StatusCode::ACCEPTED, &state);
        if !self.first(id) {
            return Ok(accepted(self.backups.state()));
        }
        Ok(accepted(self.backups.order(order)?))
    }

    fn first(&self, id: &RequestId) -> bool {
        self.seen.first(id).map(|turn| turn.done(())).is_ok()
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Answered {
    // Plain data: it always serialises.
    Answered::Json(status, serde_json::to_vec(body).unwrap_or_default())
}

/// What is the agent's own is shown to nobody.
fn users(look: Look) -> Result<Look, Refusal> {
    if look.path.is_users() { Ok(look) } else { Err(invalid("only /user and what is in it is shown")) }
}

type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// Passes a file on. Whoever does not receive any more ends it.
async fn pour(mut job: Job, sender: Pieces) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        match (&mut job.stdout).take(PIECE as u64).read_to_end(&mut piece).await {
            Ok(1..) => {
                if sender.send(Ok(piece.into())).await.is_err() {
                    return;
                }
            }
            Ok(0) => break,
            Err(error) => return broken(&sender, "a file of a backup", &error.to_string()).await,
        }
    }
    let Job { mut group, stderr, .. } = job;
    let words = complaints(stderr).await;
    match group.ended().await {
        Ok(Ended::Code(0)) => {}
        ended => broken(&sender, "a file of a backup", &format!("{ended:?}: {words}")).await,
    }
}

/// Passes an archive on, for as long as somebody receives it and the volume is not to be let go.
async fn pour_archive(mut archive: Archive, mut reading: Reading, sender: Pieces) {
    let work = async {
        loop {
            match archive.piece(PIECE).await {
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => {
                    if sender.send(Ok(piece.into())).await.is_err() {
                        return tracing::info!("nobody reads the archive any more");
                    }
                }
                Err(error) => return broken(&sender, "an archive", &error.to_string()).await,
            }
        }
        match archive.finish().await {
            Ok(Summary { files, bytes, flawed, .. }) => {
                tracing::info!(files, bytes, flawed, "an archive of all was read");
            }
            Err(problem) => broken(&sender, "an archive", &problem.to_string()).await,
        }
    };
    tokio::select! {
        // Cancel-safe, all: nothing of it is used any more.
        () = work => {}
        // A slow tree has no next piece for a long time, and its worker would read on for nobody.
        () = sender.closed() => tracing::info!("nobody reads the archive any more"),
        () = reading.over() => broken(&sender, "an archive", "the volume is let go").await,
    }
}

/// Whoever reads must not take what has come for the whole.
async fn broken(sender: &Pieces, what: &str, why: &str) {
    tracing::warn!(why, "{what} did not come whole");
    let _ = sender.send(Err(io::Error::other(why.to_owned()))).await;
}

impl From<NotTaken> for Refusal {
    fn from(error: NotTaken) -> Self {
        match error {
            NotTaken::Busy(_) => Self::new(StatusCode::CONFLICT, KIND_BUSY, error.to_string()),
            NotTaken::Away => Self::new(StatusCode::SERVICE_UNAVAILABLE, KIND_SUSPENDED, error.to_string()),
            NotTaken::Problem(problem) => problem.into(),
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let (status, kind) = match problem {
            Problem::NotConfigured => (StatusCode::CONFLICT, KIND_NOT_CONFIGURED),
            Problem::NotFound(_) => (StatusCode::NOT_FOUND, KIND_NOT_FOUND),
            _ => (StatusCode::BAD_GATEWAY, KIND_REPOSITORY),
        };
        Self::new(status, kind, problem.to_string())
    }
}
