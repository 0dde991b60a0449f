//! The one task that makes and ends sessions.
//!
//! It looks at tmux, plans, acts, says what it sees, and waits: for a new desired state, for a terminal that
//! comes or goes, or for the next look. It always starts from what tmux says now and never from what it did
//! before, so a pass that was cut short is simply followed by another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::desired::{DesiredSession, DesiredSnapshot};
use berth_protocol::ids::SessionId;
use berth_protocol::observed::ObservedState;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::keeper::Keeper;
use super::mishaps::Mishaps;
use super::plan::{Action, observe, plan};
use super::scopes::Scopes;
use crate::backoff::Backoff;
use crate::settings::Template;
use crate::terminal::blueprint::Blueprint;
use crate::terminal::survey::Survey;
use crate::terminal::tmux::{Tmux, TmuxError};
use crate::troubles::Troubles;

/// How often tmux is looked at when nothing happens: a session may end by itself at any time.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// How long the last screens may take when the agent stops: less than it has for all its parts.
const FAREWELL_LIMIT: Duration = Duration::from_secs(4);

/// The part that troubles are said of.
const PART: &str = "sessions";

/// What the worker needs.
pub struct Worker {
    /// The server that has the sessions.
    pub tmux: Tmux,
    /// What sessions are made of.
    pub templates: BTreeMap<String, Template>,
    /// What is kept of them.
    pub keeper: Keeper,
    /// What should run.
    pub desired: watch::Receiver<Option<DesiredSnapshot>>,
    /// Who is attached.
    pub presence: watch::Receiver<BTreeMap<SessionId, u32>>,
    /// What runs, for everybody who wants to know; nothing until the first look.
    pub observed: watch::Sender<Option<ObservedState>>,
    /// The same in detail, for people at the machine.
    pub survey: watch::Sender<Survey>,
    /// Where their processes are put, if that is possible here.
    pub scopes: Option<Scopes>,
    /// What happens to them.
    pub mishaps: Mishaps,
    /// Where it is said when sessions can't be looked at or kept.
    pub troubles: Troubles,
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
    /// Goes on until `stop`. Sessions stay as they are then, and what they show is kept.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                // Cancel-safe, all four: watch channels, a timer and a token.
                Ok(()) = self.worker.desired.changed() => {}
                Ok(()) = self.worker.presence.changed() => {}
                () = tokio::time::sleep(LOOK_PAUSE) => {}
                () = stop.cancelled() => break,
            }
            if let Err(error) = self.pass().await {
                // What is not known is not acted on: sessions that can't be seen are not made a second time.
                let sentence = chain(&error);
                if matches!(error, TmuxError::Away(_)) {
                    self.say_that_none_runs(&sentence);
                }
                self.worker.troubles.set(PART, sentence);
            }
        }
        if tokio::time::timeout(FAREWELL_LIMIT, self.farewell()).await.is_err() {
            tracing::warn!("the last screens were not kept in time");
        }
    }

    /// Keeps everything. There is no later look that would make up for a failure, so there are two attempts.
    async fn farewell(&mut self) {
        for _ in 0..2 {
            match self.worker.keeper.farewell(&self.worker.tmux).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(error = chain(&error), "failed to keep the last screens"),
            }
        }
    }

    async fn pass(&mut self) -> Result<(), TmuxError> {
        let desired = self.worker.desired.borrow_and_update().clone();
        let mut running = self.running().await?;
        let now = Instant::now();
        let lost = self.worker.keeper.lost(self.worker.tmux.server().as_ref());
        let mut due = plan(desired.as_ref(), &running, &lost);
        due.retain(|action| {
            self.failures.get(action.session()).is_none_or(|failure| failure.retry_at <= now)
        });
        for action in &due {
            self.act(action).await;
        }
        if !due.is_empty() {
            running = self.running().await?;
        }
        let open: BTreeSet<SessionId> =
            plan(desired.as_ref(), &running, &lost).iter().map(|action| action.session().clone()).collect();
        // What needs nothing any more has not failed any more.
        self.failures.retain(|id, _| open.contains(id));
        let buried = desired.iter().flat_map(|all| &all.tombstones).filter(|id| !running.contains(id));
        buried.for_each(|id| self.worker.keeper.forget(id));
        let kept = self.keep(&running).await;
        self.worker.mishaps.look().await;
        let mut messages = self.worker.mishaps.messages();
        messages.extend(self.failures.iter().map(|(id, failure)| (id.clone(), failure.message.clone())));
        self.say(&running, &messages);
        match kept {
            Ok(()) => self.worker.troubles.clear(PART),
            Err(sentence) => self.worker.troubles.set(PART, sentence),
        }
        Ok(())
    }

    async fn running(&self) -> Result<BTreeSet<SessionId>, TmuxError> {
        Ok(self.worker.tmux.sessions().await?.into_keys().collect())
    }

    /// Looks at the panes of what runs, puts them where they belong and keeps what is to be kept.
    async fn keep(&mut self, running: &BTreeSet<SessionId>) -> Result<(), String> {
        let survey = match running.is_empty() {
            true => Survey::new(),
            false => self.worker.tmux.survey().await.map_err(|error| chain(&error))?,
        };
        // First, because new panes wait for it.
        let placed = match &mut self.worker.scopes {
            Some(scopes) => scopes.place(&survey).await,
            None => Ok(()),
        };
        let kept = self.worker.keeper.keep(&self.worker.tmux, &survey).await;
        self.worker.survey.send_if_modified(|said| {
            let changed = *said != survey;
            *said = survey;
            changed
        });
        kept.map_err(|error| chain(&error)).and(placed)
    }

    /// Tells everybody what runs.
    fn say(&self, running: &BTreeSet<SessionId>, messages: &BTreeMap<SessionId, String>) {
        let desired = self.worker.desired.borrow().clone();
        let presence = self.worker.presence.borrow().clone();
        let observed = observe(desired.as_ref(), running, messages, &presence);
        self.worker.observed.send_if_modified(|said| {
            let changed = said.as_ref() != Some(&observed);
            *said = Some(observed);
            changed
        });
    }

    fn say_that_none_runs(&self, why: &str) {
        let desired = self.worker.desired.borrow().clone();
        let wanted = desired.iter().flat_map(|all| &all.sessions);
        self.say(&BTreeSet::new(), &wanted.map(|session| (session.id.clone(), why.to_owned())).collect());
    }

    async fn act(&mut self, action: &Action) {
        let outcome = match action {
            Action::Create(session) => self.create(session).await,
            Action::Rebuild(session) => self.rebuild(session).await,
            Action::End(id) => self.worker.tmux.end(id).await.map_err(CreateError::from),
        };
        let session = action.session();
        match (outcome, action) {
            (Ok(()), Action::Create(_)) => tracing::info!(%session, "made the session"),
            (Ok(()), Action::Rebuild(_)) => tracing::info!(%session, "rebuilt the session, which was lost"),
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

    async fn create(&mut self, session: &DesiredSession) -> Result<(), CreateError> {
        let template = self
            .worker
            .templates
            .get(&session.template)
            .ok_or_else(|| CreateError::UnknownTemplate(session.template.clone()))?;
        let blueprint = Blueprint::fresh(template, &self.worker.tmux.account().home);
        self.make(&session.id, &blueprint).await?;
        // What is kept of it is of a session that its user has closed.
        self.worker.keeper.forget(&session.id);
        Ok(())
    }

    async fn rebuild(&mut self, session: &DesiredSession) -> Result<(), CreateError> {
        let template = self.worker.templates.get(&session.template);
        let home = &self.worker.tmux.account().home;
        let Some(blueprint) = self.worker.keeper.blueprint(&session.id, template, home) else {
            return self.create(session).await;
        };
        self.make(&session.id, &blueprint).await?;
        self.worker.keeper.finish(&self.worker.tmux, &session.id, &blueprint).await;
        Ok(())
    }

    async fn make(&self, session: &SessionId, blueprint: &Blueprint) -> Result<(), TmuxError> {
        let scope = self.worker.scopes.as_ref().and_then(|scopes| scopes.awaited(session));
        let tmux = &self.worker.tmux;
        tmux.create(session, &blueprint.commands(session, &tmux.surroundings(scope))).await
    }
}
