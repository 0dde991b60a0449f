//! Writes down what minds have decided: events, what stands and which hooks have counted, in one step each. What can't be
//! written waits, in its order.

use std::collections::VecDeque;
use std::time::Instant;

use berth_daemon::exit::chain;
use berth_protocol::attention::{Evidence, Notification, Withdrawn, WithdrawnBecause};
use berth_protocol::ids::NotificationId;
use serde_json::Value;

use super::clock::Clock;
use super::pane::PaneDesk;
use crate::events::Events;
use crate::metrics::Metrics;
use crate::notify::fusion::Effect;
use crate::notify::signal::Moment;
use crate::store::attention::{Attended, PaneKey, Told};
use crate::troubles::Troubles;

/// The part that troubles are said of.
const PART: &str = "notifications";

/// Steps that may wait for a disk.
const MAX_WAITING: usize = 1000;

/// Pause before what waits is tried again.
const RETRY_MS: u64 = 2000;

/// The ledger.
pub(super) struct Ledger {
    events: Events,
    metrics: Metrics,
    troubles: Troubles,
    waiting: VecDeque<Step>,
    retry_at: Option<Moment>,
}

/// What is written at once.
#[derive(Clone)]
struct Step {
    told: Vec<(String, Value)>,
    attended: Attended,
    /// By which evidence the user is told, and when it came.
    signals: Vec<(Evidence, Instant)>,
}

impl Ledger {
    pub(super) fn new(events: Events, metrics: Metrics, troubles: Troubles) -> Self {
        Self { events, metrics, troubles, waiting: VecDeque::new(), retry_at: None }
    }

    pub(super) fn due(&self) -> Option<Moment> {
        self.retry_at
    }

    /// Enters what a mind has decided of its pane.
    pub(super) async fn enter(
        &mut self,
        key: PaneKey,
        desk: &mut PaneDesk,
        effects: &[Effect],
        clock: Clock,
    ) {
        let mut step = Step { told: Vec::new(), attended: Attended::default(), signals: Vec::new() };
        for effect in effects {
            match effect {
                Effect::Look => {}
                Effect::Withdraw(why) => {
                    if let Some(before) = desk.told.take() {
                        step.told.push(withdrawn(&before.id, *why));
                    }
                    step.attended.stands = Some((key.clone(), None));
                }
                Effect::Tell(need) => {
                    let signal_ms = clock.wall_of(need.signal_at);
                    let session = desk.session.clone();
                    let notification = need.notification(session, desk.place_ref(), signal_ms);
                    let payload = serde_json::to_value(&notification).unwrap_or_default();
                    step.told.push((Notification::KIND.to_owned(), payload));
                    let fingerprint = need.fingerprint().map(str::to_owned);
                    let told = Told { notification: notification.clone(), fingerprint };
                    step.attended.stands = Some((key.clone(), Some(told)));
                    let ago = clock.now().saturating_sub(need.signal_at);
                    let at = Instant::now().checked_sub(std::time::Duration::from_millis(ago));
                    step.signals.extend(at.map(|at| (need.evidence, at)));
                    desk.told = Some(notification);
                }
            }
        }
        if !desk.mind.waits_to_tell() {
            step.attended.closed = std::mem::take(&mut desk.open_hooks);
        }
        self.write(step, clock.now()).await;
    }

    /// Forgets what was told of a pane that is gone.
    pub(super) async fn forget(&mut self, key: PaneKey, notification: &NotificationId) {
        let told = vec![withdrawn(notification, WithdrawnBecause::Gone)];
        let attended = Attended { stands: Some((key, None)), closed: Vec::new() };
        self.write(Step { told, attended, signals: Vec::new() }, 0).await;
    }

    /// Notes that hooks have counted although nothing came of them.
    pub(super) async fn close(&mut self, closed: Vec<String>) {
        let attended = Attended { stands: None, closed };
        self.write(Step { told: Vec::new(), attended, signals: Vec::new() }, 0).await;
    }

    async fn write(&mut self, step: Step, now: Moment) {
        self.waiting.push_back(step);
        if self.waiting.len() > MAX_WAITING {
            self.waiting.pop_front();
            self.metrics.attention_dropped(1);
        }
        if self.retry_at.is_none() {
            self.flush(now).await;
        }
    }

    /// Tries again what waits.
    pub(super) async fn retry(&mut self, now: Moment) {
        if self.retry_at.take_if(|at| *at <= now).is_some() {
            self.flush(now).await;
        }
    }

    async fn flush(&mut self, now: Moment) {
        while let Some(step) = self.waiting.front() {
            let Step { told, attended, signals } = step.clone();
            if let Err(error) = self.events.attend(told, attended).await {
                self.troubles.set(PART, chain(&error));
                self.retry_at = Some(now + RETRY_MS);
                return;
            }
            signals.iter().for_each(|(evidence, at)| self.metrics.published(*evidence, at.elapsed()));
            self.waiting.pop_front();
        }
        self.troubles.clear(PART);
    }
}

fn withdrawn(id: &NotificationId, why: WithdrawnBecause) -> (String, Value) {
    let payload = serde_json::to_value(Withdrawn { id: id.clone(), why }).unwrap_or_default();
    (Withdrawn::KIND.to_owned(), payload)
}
