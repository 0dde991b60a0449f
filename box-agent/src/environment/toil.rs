//! The task that does what takes its time: the repository is cloned once, and after it the script is run once in
//! each boot.
//!
//! A clone that fails is tried again, less and less often, until it succeeds or something else is wanted. A script
//! is never run a second time in the same boot, also when it failed or the agent ended with it: who wants that
//! changes it.

use std::sync::Arc;
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::environment::report::{WorkReport, WorkState};
use berth_protocol::environment::{DesiredEnvironment, Repository};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ask::Asked;
use super::board::Board;
use super::job::{CloneJob, CloneLine, ScriptJob, ScriptLine};
use super::plan::Hash;
use super::record::{Cloned, ScriptOutcome, ScriptRun};
use crate::backoff::Backoff;
use crate::worker::post_start::LOG_SHOWN;

/// How long a clone may take.
const CLONE_LIMIT: Duration = Duration::from_mins(60);

/// How long a script may take.
const SCRIPT_LIMIT: Duration = Duration::from_mins(30);

/// Pauses between clones that failed, at first and at last.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

/// How often progress is said: each time is a message and a row.
const SAY_PAUSE: Duration = Duration::from_secs(1);

/// The part of an environment that takes its time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Work {
    repository: Option<Repository>,
    script: Option<String>,
    withheld: bool,
}

impl Work {
    fn of(wish: &Option<DesiredEnvironment>) -> Option<Self> {
        let DesiredEnvironment { repository, post_start, withheld, .. } = wish.clone()?;
        Some(Self { repository, script: post_start, withheld })
    }
}

/// Clones and runs, until `stop`.
pub async fn run(
    board: Arc<Board>,
    mut wishes: watch::Receiver<Option<DesiredEnvironment>>,
    stop: CancellationToken,
) {
    loop {
        let work = Work::of(&wishes.borrow_and_update());
        if let Some(work) = &work {
            tokio::select! {
                // Cancelled, a clone is killed, and leaves nothing.
                () = clone(&board, work) => {}
                () = another(&mut wishes, work) => continue,
                () = stop.cancelled() => return,
            }
            tokio::select! {
                // Not cancelled by other wishes: a script that has begun is run to its end.
                () = script(&board, work) => {}
                () = stop.cancelled() => return,
            }
        }
        tokio::select! {
            () = changed(&mut wishes, work.as_ref()) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Waits until another repository is wanted, or another environment in which one can be cloned.
async fn another(wishes: &mut watch::Receiver<Option<DesiredEnvironment>>, work: &Work) {
    let other = |wish: &Option<DesiredEnvironment>| {
        Work::of(wish).is_none_or(|now| now.repository != work.repository || now.withheld != work.withheld)
    };
    if wishes.wait_for(other).await.is_err() {
        std::future::pending().await
    }
}

/// Waits until other work is wanted.
async fn changed(wishes: &mut watch::Receiver<Option<DesiredEnvironment>>, work: Option<&Work>) {
    if wishes.wait_for(|wish| Work::of(wish).as_ref() != work).await.is_err() {
        std::future::pending().await
    }
}

/// Returns when the repository is there, or none is wanted.
async fn clone(board: &Board, work: &Work) {
    let Some(repository) = &work.repository else { return };
    let say = |report: WorkReport| board.say(|all| all.repository = Some(report));
    if board.record().await.has_cloned(repository) {
        return say(WorkReport::of(WorkState::Done));
    }
    if work.withheld {
        say(WorkReport {
            message: Some("it waits for the gateway".into()),
            ..WorkReport::of(WorkState::Waiting)
        });
        return std::future::pending().await;
    }
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
    loop {
        say(WorkReport::of(WorkState::Running));
        let outcome = timeout(CLONE_LIMIT, attempt(board, repository, &say)).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(format!("it took more than {} s", CLONE_LIMIT.as_secs())));
        match outcome {
            Ok(()) => break,
            Err(message) => {
                let pause = backoff.next_pause();
                tracing::warn!(pause_secs = pause.as_secs(), "the repository was not cloned: {message}");
                say(WorkReport::failed(message));
                sleep(pause).await;
            }
        }
    }
    let cloned = Cloned { url: repository.url.clone(), directory: repository.directory.clone() };
    board.note(|record| record.cloned = Some(cloned)).await;
    // Files that go into it have waited.
    board.settle(None).await;
    say(WorkReport::of(WorkState::Done));
    tracing::info!(directory = %repository.directory, "the repository is there");
}

async fn attempt(board: &Board, repository: &Repository, say: &impl Fn(WorkReport)) -> Result<(), String> {
    let job = CloneJob { repository: repository.clone(), agent: board.places.agent.clone() };
    let mut asked = Asked::start(&board.places, "clone", &job).await.map_err(|error| chain(&error))?;
    let mut said_at: Option<Instant> = None;
    loop {
        match asked.next().await {
            Some(CloneLine::Progress { phase, percent }) => {
                if said_at.is_none_or(|at| at.elapsed() >= SAY_PAUSE) {
                    said_at = Some(Instant::now());
                    say(WorkReport {
                        state: WorkState::Running,
                        percent: Some(percent),
                        message: Some(phase),
                    });
                }
            }
            Some(CloneLine::Cloned | CloneLine::There) => return Ok(()),
            Some(CloneLine::Failed(message)) => return Err(message),
            None => return Err(chain(&asked.silent().await)),
        }
    }
}

/// Runs the script, unless it was run in this boot.
async fn script(board: &Board, work: &Work) {
    let Some(script) = &work.script else { return };
    let say = |report: WorkReport| board.say(|all| all.post_start = Some(report));
    let hash = Hash::of(script.as_bytes());
    let boot = &board.places.boot;
    if let Some(run) = board.record().await.run_of(boot, &hash) {
        return say(match &run.outcome {
            Some(ScriptOutcome::Done) => WorkReport::of(WorkState::Done),
            Some(ScriptOutcome::Failed(message)) => WorkReport::failed(message.clone()),
            None => WorkReport::failed("it was ended with the agent; it is run again after the next start"),
        });
    }
    if work.withheld {
        return say(WorkReport {
            message: Some("it waits for the gateway".into()),
            ..WorkReport::of(WorkState::Waiting)
        });
    }
    let mut run = ScriptRun { boot: boot.clone(), script: hash, outcome: None };
    // Noted before it begins: whatever happens, it is not run twice.
    board.note(|record| record.script = Some(run.clone())).await;
    say(WorkReport::of(WorkState::Running));
    let home = board.places.account.home.clone();
    let project =
        work.repository.as_ref().map(|repository| home.join("projects").join(repository.directory.as_str()));
    let job = ScriptJob { script: script.clone(), directories: project.into_iter().chain([home]).collect() };
    let ask = async {
        let mut asked = Asked::start(&board.places, "post-start", &job).await?;
        match asked.next::<ScriptLine>().await {
            Some(line) => Ok(line),
            None => Err(asked.silent().await),
        }
    };
    let outcome = match timeout(SCRIPT_LIMIT, ask).await {
        Ok(Ok(ScriptLine::Done)) => ScriptOutcome::Done,
        Ok(Ok(ScriptLine::Failed(message))) => ScriptOutcome::Failed(message),
        Ok(Err(error)) => ScriptOutcome::Failed(chain(&error)),
        Err(_) => ScriptOutcome::Failed(format!(
            "it did not end within {} minutes and was ended; {LOG_SHOWN} has what it said",
            SCRIPT_LIMIT.as_secs() / 60
        )),
    };
    tracing::info!(?outcome, "the script has ended");
    say(match &outcome {
        ScriptOutcome::Done => WorkReport::of(WorkState::Done),
        ScriptOutcome::Failed(message) => WorkReport::failed(message.clone()),
    });
    run.outcome = Some(outcome);
    board.note(|record| record.script = Some(run)).await;
}
