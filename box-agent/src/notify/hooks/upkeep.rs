//! Keeps Berth's hooks in the settings of coding agents, or out of them, by a worker that runs as the user.

use std::path::PathBuf;
use std::time::Duration;

use berth_daemon::exit::chain;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::environment::ask::ask;
use crate::environment::board::Places;
use crate::troubles::Troubles;

/// The part that troubles are said of.
const PART: &str = "hooks";

/// How often it is looked: a coding agent may be installed at any time.
const PAUSE: Duration = Duration::from_mins(10);

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(20);

/// What the worker is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HooksJob {
    /// Whether the hooks are wanted.
    pub enabled: bool,
    /// This program, which coding agents run.
    pub agent: PathBuf,
    /// The agent's socket.
    pub socket: PathBuf,
    /// Where hooks leave what the agent does not hear.
    pub spool: PathBuf,
}

/// What the worker says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HooksOutcome {
    /// Settings that were changed.
    pub changed: Vec<String>,
    /// Why others were not, each a sentence with its file.
    pub troubles: Vec<String>,
}

/// The task.
pub struct Upkeep {
    /// Where the user's files are, and who writes them.
    pub places: Places,
    /// Whether hooks are wanted.
    pub enabled: bool,
    /// The agent's socket.
    pub socket: PathBuf,
    /// Where hooks leave what the agent does not hear.
    pub spool: PathBuf,
    /// Where it is said what can't be done.
    pub troubles: Troubles,
}

impl Upkeep {
    /// Looks after the hooks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let job = HooksJob {
            enabled: self.enabled,
            agent: self.places.agent.clone(),
            socket: self.socket.clone(),
            spool: self.spool.clone(),
        };
        loop {
            tokio::select! {
                // Cancelled, a worker is killed; each file is replaced in one step.
                () = self.once(&job) => {}
                () = stop.cancelled() => return,
            }
            tokio::select! {
                // Cancel-safe, both: a timer and a token.
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn once(&self, job: &HooksJob) {
        match ask::<HooksOutcome>(&self.places, "hooks", job, LIMIT).await {
            Ok(outcome) => {
                for file in outcome.changed {
                    tracing::info!(file, enabled = job.enabled, "changed a coding agent's hooks");
                }
                if outcome.troubles.is_empty() {
                    self.troubles.clear(PART);
                } else {
                    self.troubles.set(PART, outcome.troubles.join("; "));
                }
            }
            Err(error) => self.troubles.set(PART, chain(&error)),
        }
    }
}
