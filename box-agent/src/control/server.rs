//! The answering end of the agent's socket.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use berth_daemon::limits;
use berth_protocol::backup::{BackupState, Reason};
use berth_protocol::ids::AttachmentId;
use nix::unistd::Uid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::roster::Roster;
use super::{Answer, BackupRequest, MAX_LINE_BYTES, Request, StatusReport};
use crate::backup::engine::{Backups, NotTaken, Order};
use crate::backup::problem::Problem;
use crate::door::hall::FILES;
use crate::host::process::Process;
use crate::notify::intake::Intake;
use crate::sessions::report::SessionReport;
use crate::suspend::Handle;
use crate::terminal::attachments::{Attachments, Live};
use crate::terminal::tmux::Tmux;

/// How long a client may take to ask.
const DEADLINE: Duration = Duration::from_secs(5);

/// Connections at the same time, where so many files may be open: one for each terminal, and some to spare.
const MAX_CONNECTIONS: usize = 17 * 1024;

/// What the answers are made from.
pub struct Control {
    /// Whom terminals belong to.
    pub attachments: Attachments,
    /// What shows terminals.
    pub tmux: Tmux,
    /// Where sessions are.
    pub roster: Roster,
    /// Who uses terminals: asked for by `attach`, which runs as that user.
    pub user: Uid,
    /// Who hears taps and hooks.
    pub intake: Intake,
    /// Lets the volume go.
    pub suspension: Handle,
    /// Backups.
    pub backups: Backups,
    /// How the agent is.
    pub status: Box<dyn Fn() -> StatusReport + Send + Sync>,
    /// What runs.
    pub sessions: Box<dyn Fn() -> Vec<SessionReport> + Send + Sync>,
}

/// Takes the socket's path. What an agent that was killed left there is removed; the lock of the runtime
/// directory says that no other agent uses it.
///
/// # Errors
/// When the socket can't be made.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until `stop`.
pub async fn serve(listener: UnixListener, control: Arc<Control>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits::connections(FILES, MAX_CONNECTIONS)));
    loop {
        let accepted = tokio::select! {
            // Cancel-safe, both: a connection that was not taken stays in the queue.
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: some will be free in a moment.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let control = control.clone();
        tokio::spawn(async move {
            match answer(stream, &control).await {
                // In a task of its own: what answers is large and soon over.
                Ok(Some((connection, live))) => drop(tokio::spawn(hold(connection, live, place))),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "a control connection failed"),
            }
        });
    }
}

/// Answers, and returns the connection of a terminal that was let in.
async fn answer(stream: UnixStream, control: &Control) -> io::Result<Option<(OwnedReadHalf, Live)>> {
    let credentials = stream.peer_cred()?;
    let (peer, pid) = (Uid::from_raw(credentials.uid()), credentials.pid());
    if !peer.is_root() && peer != Uid::effective() && peer != control.user {
        tracing::warn!(%peer, "refused a control connection of another user");
        return Ok(None);
    }
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader.take(MAX_LINE_BYTES));
    let mut line = String::new();
    tokio::time::timeout(DEADLINE, reader.read_line(&mut line)).await??;
    let (answer, live) = match serde_json::from_str(&line) {
        Ok(Request::Sessions) => (Answer::Sessions((control.sessions)()), None),
        Ok(Request::Status) => (Answer::Status(Box::new((control.status)())), None),
        Ok(Request::Suspension) => (Answer::Suspension(control.suspension.now()), None),
        Ok(Request::Suspend | Request::Resume) if !peer.is_root() && peer != Uid::effective() => {
            (Answer::Refused("only root may do that".into()), None)
        }
        Ok(Request::Suspend) => (Answer::Suspension(control.suspension.suspend()), None),
        Ok(Request::Resume) => (Answer::Suspension(control.suspension.resume()), None),
        Ok(Request::Backup(asked)) => (backup(&control.backups, asked, peer != control.user).await, None),
        Ok(Request::Tap { pane }) => {
            reader.get_mut().set_limit(u64::MAX);
            control.intake.tap(pane, reader, writer).await;
            return Ok(None);
        }
        Ok(Request::Notify(message)) => match control.intake.hook(pid, message).await {
            Ok(()) => (Answer::Noted, None),
            Err(why) => (Answer::Refused(why), None),
        },
        Ok(Request::Attach(id)) => match attach(&id, pid, control).await {
            Ok((argv, live)) => (Answer::Attach(argv), Some(live)),
            Err(refusal) => (Answer::Refused(refusal), None),
        },
        Err(_) => (Answer::Refused("the request is not understood: compare the versions".into()), None),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    writer.write_all(&text).await?;
    // Dropping the writing half would say that nothing more comes.
    writer.forget();
    Ok(live.map(|live| (reader.into_inner().into_inner(), live)))
}

/// What is asked about backups. The user of terminals sees only what is theirs.
async fn backup(backups: &Backups, asked: BackupRequest, all: bool) -> Answer {
    let state = |outcome: Result<BackupState, NotTaken>| match outcome {
        Ok(state) => Answer::Backup(Box::new(state)),
        Err(error) => Answer::Refused(error.to_string()),
    };
    let refused = |problem: Problem| Answer::Refused(problem.to_string());
    match asked {
        BackupRequest::State => state(Ok(backups.state())),
        BackupRequest::Cancel => state(Ok(backups.cancel())),
        BackupRequest::Run => state(backups.order(Order::Backup(Reason::Asked))),
        BackupRequest::Drill => state(backups.order(Order::Drill(Reason::Asked))),
        BackupRequest::Export => state(backups.order(Order::Export)),
        BackupRequest::Restore(order) => match order.check() {
            Ok(()) => state(backups.order(Order::Restore(order))),
            Err(error) => Answer::Refused(error.to_string()),
        },
        BackupRequest::Snapshots => backups.snapshots().await.map_or_else(refused, Answer::Snapshots),
        BackupRequest::Entries(_, path) if !all && !path.is_users() => {
            Answer::Refused("only /user and what is in it is shown to you".into())
        }
        BackupRequest::Entries(snapshot, path) => {
            backups.entries(&snapshot, &path).await.map_or_else(refused, Answer::Entries)
        }
        BackupRequest::Changes(before, after) => match backups.changes(&before, &after).await {
            Ok(mut changes) => {
                changes.retain(|change| all || change.path.is_users());
                Answer::Changes(changes)
            }
            Err(problem) => refused(problem),
        },
    }
}

/// Lets a terminal in. Whoever asks becomes the program that shows it, and keeps its process id.
async fn attach(
    id: &AttachmentId,
    pid: Option<i32>,
    control: &Control,
) -> Result<(Vec<String>, Live), String> {
    let live = control
        .attachments
        .redeem(id, pid.and_then(Process::with_id))
        .ok_or("this attachment is not known: it was used before, or came too late; connect again")?;
    let sessions = control.roster.sessions().await;
    let target = sessions
        .as_ref()
        .as_ref()
        .map_err(String::clone)?
        .get(&live.grant.session)
        .ok_or_else(|| format!("the session {} has ended", live.grant.session))?;
    Ok((control.tmux.attach_argv(target, live.grant.role, live.grant.sized), live))
}

/// Waits until the terminal's program closes the connection, which is when it ends.
async fn hold(mut connection: OwnedReadHalf, live: Live, _place: OwnedSemaphorePermit) {
    let grant = &live.grant;
    let span = tracing::info_span!("attachment", request_id = %grant.request_id, session = %grant.session);
    async move {
        tracing::info!(role = %live.grant.role, client = %live.grant.client, "a terminal attached");
        // Nothing is ever said here; whatever comes, only the end counts.
        let mut rest = [0; 8];
        while let Ok(1..) = connection.read(&mut rest).await {}
        drop(live);
        tracing::info!("the terminal has gone");
    }
    .instrument(span)
    .await;
}
