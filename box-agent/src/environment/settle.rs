//! The task that puts variables and files in place, and then lets the desired state through to the sessions: what
//! is started there finds what it needs.

use std::sync::Arc;
use std::time::Duration;

use berth_protocol::desired::DesiredSnapshot;
use berth_protocol::environment::DesiredEnvironment;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::board::Board;
use crate::backoff::Backoff;

/// How long a box that has started anew waits for its secrets, before its sessions begin without them.
const SECRETS_PATIENCE: Duration = Duration::from_secs(5);

/// What the task needs.
pub struct Settling {
    /// What both tasks share.
    pub board: Arc<Board>,
    /// What should be.
    pub desired: watch::Receiver<Option<DesiredSnapshot>>,
    /// The same once its variables and files are there, or can't be.
    pub settled: watch::Sender<Option<DesiredSnapshot>>,
}

/// The task after its first pass.
pub struct Settled {
    settling: Settling,
    /// What was put in place.
    wishes: watch::Sender<Option<DesiredEnvironment>>,
    backoff: Backoff,
    retry_at: Option<Instant>,
}

impl Settling {
    /// Makes one pass, which the start waits for.
    pub async fn first_pass(mut self) -> Settled {
        if self.misses_secrets() {
            let told = |desired: &Option<DesiredSnapshot>| {
                desired
                    .as_ref()
                    .and_then(|desired| desired.environment.as_ref())
                    .is_none_or(|wish| !wish.withheld)
            };
            // A box without network goes on.
            let _ = tokio::time::timeout(SECRETS_PATIENCE, self.desired.wait_for(told)).await;
        }
        let backoff = Backoff::new(Duration::from_secs(2), Duration::from_mins(1));
        let mut settled =
            Settled { settling: self, wishes: watch::Sender::new(None), backoff, retry_at: None };
        settled.pass().await;
        settled
    }

    /// Whether secrets are wanted that this boot has never had.
    fn misses_secrets(&self) -> bool {
        let withheld =
            |desired: &DesiredSnapshot| desired.environment.as_ref().is_some_and(|wish| wish.withheld);
        self.desired.borrow().as_ref().is_some_and(withheld)
            && self.board.places.variables().symlink_metadata().is_err()
    }
}

impl Settled {
    /// What was put in place, for those whose work begins then.
    #[must_use]
    pub fn wishes(&self) -> watch::Receiver<Option<DesiredEnvironment>> {
        self.wishes.subscribe()
    }

    /// Goes on until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let retry = async {
                match self.retry_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Cancel-safe, all: a watch channel, a timer and a token.
                Ok(()) = self.settling.desired.changed() => {}
                () = retry => {}
                () = stop.cancelled() => return,
            }
            self.pass().await;
        }
    }

    async fn pass(&mut self) {
        let desired = self.settling.desired.borrow_and_update().clone();
        let wish =
            desired.as_ref().and_then(|desired| Some((&desired.version, desired.environment.as_ref()?)));
        if let Some((version, wish)) = wish {
            let same = self.wishes.borrow().as_ref() == Some(wish);
            let due = self.retry_at.is_some_and(|at| at <= Instant::now());
            if !same || due {
                self.retry_at = None;
                if self.settling.board.settle(Some(wish)).await {
                    self.backoff.reset();
                } else {
                    self.retry_at = Some(Instant::now() + self.backoff.next_pause());
                }
            }
            self.settling.board.say_version(version, wish);
            self.wishes.send_if_modified(|known| {
                let news = known.as_ref() != Some(wish);
                *known = Some(wish.clone());
                news
            });
        }
        self.settling.settled.send_replace(desired);
    }
}
