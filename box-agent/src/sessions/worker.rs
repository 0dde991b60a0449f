//! The one task that makes and ends sessions.
//!
//! It looks at tmux, plans, acts, says what it sees, and waits: for a new desired state, for a terminal that
//! comes or goes, or for the next look. It always starts from what tmux says now and never from what it did
//! before, so a pass that was cut short is simply followed by another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::desired::{DesiredSession, DesiredSnapshot};
use berth_protocol::ids::SessionId;
use berth_protocol::observed::ObservedState;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::plan::{Action, observe, plan};
use crate::backoff::Backoff;
use crate::settings::Template;
use crate::terminal::template::commands;
use crate::terminal::tmux::{Tmux, TmuxError};

/// How often tmux is looked at when nothing happens: a session may end by itself at any time.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// What the worker needs.
pub struct Worker {
    /// The server that has the sessions.
    pub tmux: Tmux,
    /// What sessions are made of.
    pub templates: BTreeMap<String, Template>,
    /// Where their panes begin.
    pub directory: PathBuf,
    /// What should run.
    pub desired: watch::Receiver<Option<DesiredSnapshot>>,
    /// Who is attached.
    pub presence: watch::Receiver<BTreeMap<SessionId, u32>>,
    /// What runs, for everybody who wants to know; nothing until the first look.
    pub observed: watch::Sender<Option<ObservedState>>,
}

/// Why a session could not be made.
#[derive(Debug, thiserror::Error)]
enum CreateError {
    #[error("there is no template \"{0}\" in this box's settings")]
    UnknownTemplate(String),
    #[error(transparent)]
    Tmux(#[from] TmuxError),
}

/// A session that could not be made or ended.
struct Failure {
    message: String,
    backoff: Backoff,
    retry_at: Instant,
}

impl Worker {
    /// Makes one pass and returns whether tmux could be looked at; the start waits for this one.
    ///
    /// # Errors
    /// When tmux can't be looked at.
    pub async fn first_pass(self) -> Result<RunningWorker, TmuxError> {
        let mut worker = RunningWorker { worker: self, failures: BTreeMap::new() };
        worker.pass().await?;
        Ok(worker)
    }
}

/// A worker that has made its first pass.
pub struct RunningWorker {
    worker: Worker,
    failures: BTreeMap<SessionId, Failure>,
}

impl RunningWorker {
    /// Goes on until `stop`. Sessions stay as they are then.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                // Cancel-safe, all four: watch channels, a timer and a token.
                Ok(()) = self.worker.desired.changed() => {}
                Ok(()) = self.worker.presence.changed() => {}
                () = tokio::time::sleep(LOOK_PAUSE) => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.pass().await {
                // What is not known is not acted on: sessions that can't be seen are not made a second time.
                tracing::warn!(error = chain(&error), "failed to look at the sessions");
            }
        }
    }

    async fn pass(&mut self) -> Result<(), TmuxError> {
        let desired = self.worker.desired.borrow_and_update().clone();
        let mut running: BTreeSet<SessionId> = self.worker.tmux.sessions().await?.into_keys().collect();
        let now = Instant::now();
        let mut due = plan(desired.as_ref(), &running);
        due.retain(|action| self.failures.get(id_of(action)).is_none_or(|failure| failure.retry_at <= now));
        for action in &due {
            self.act(action).await;
        }
        if !due.is_empty() {
            running = self.worker.tmux.sessions().await?.into_keys().collect();
        }
        let open: BTreeSet<SessionId> =
            plan(desired.as_ref(), &running).iter().map(|action| id_of(action).clone()).collect();
        // What needs nothing any more has not failed any more.
        self.failures.retain(|id, _| open.contains(id));
        let messages =
            self.failures.iter().map(|(id, failure)| (id.clone(), failure.message.clone())).collect();
        let presence = self.worker.presence.borrow_and_update().clone();
        let observed = observe(desired.as_ref(), &running, &messages, &presence);
        self.worker.observed.send_if_modified(|said| {
            let changed = said.as_ref() != Some(&observed);
            *said = Some(observed);
            changed
        });
        Ok(())
    }

    async fn act(&mut self, action: &Action) {
        let outcome = match action {
            Action::Create(session) => self.create(session).await,
            Action::End(id) => self.worker.tmux.end(id).await.map_err(CreateError::from),
        };
        let session = id_of(action);
        match (outcome, action) {
            (Ok(()), Action::Create(_)) => tracing::info!(%session, "made the session"),
            (Ok(()), Action::End(_)) => tracing::info!(%session, "ended the session"),
            (Err(error), _) => {
                let message = chain(&error);
                tracing::warn!(%session, error = message, "failed to bring the session to its desired state");
                let failure = self.failures.entry(session.clone()).or_insert_with(|| Failure {
                    message: String::new(),
                    backoff: Backoff::new(Duration::from_secs(2), Duration::from_mins(1)),
                    retry_at: Instant::now(),
                });
                failure.message = message;
                failure.retry_at = Instant::now() + failure.backoff.next_pause();
            }
        }
    }

    async fn create(&self, session: &DesiredSession) -> Result<(), CreateError> {
        let template = self
            .worker
            .templates
            .get(&session.template)
            .ok_or_else(|| CreateError::UnknownTemplate(session.template.clone()))?;
        let commands = commands(&session.id, template, &self.worker.directory);
        Ok(self.worker.tmux.create(&session.id, &commands).await?)
    }
}

fn id_of(action: &Action) -> &SessionId {
    match action {
        Action::Create(session) => &session.id,
        Action::End(id) => id,
    }
}
