//! What is counted of notifications.

use std::time::Duration;

use berth_protocol::attention::Evidence;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::store::{Arrival, Sent, Taken, now_ms};

/// Upper bounds of what a telling may take, seconds.
const BUCKETS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 3600.0];

/// What two clocks differ by at most before a figure says nothing, milliseconds.
const MAX_AGE_MS: i64 = 24 * 3_600_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEvidence {
    evidence: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    channel: String,
    outcome: &'static str,
}

type Latency = Family<ByEvidence, Histogram, fn() -> Histogram>;

/// What is counted.
#[derive(Debug, Clone)]
pub struct Meters {
    stored: Counter,
    duplicated: Counter,
    dropped: Counter,
    to_inbox: Latency,
    to_accepted: Latency,
    deliveries: Family<ByOutcome, Counter>,
    receipts: Counter,
}

impl Default for Meters {
    fn default() -> Self {
        let latency = || Latency::new_with_constructor(|| Histogram::new(BUCKETS));
        Self {
            stored: Counter::default(),
            duplicated: Counter::default(),
            dropped: Counter::default(),
            to_inbox: latency(),
            to_accepted: latency(),
            deliveries: Family::default(),
            receipts: Counter::default(),
        }
    }
}

impl Meters {
    /// Registers all of it.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "notifications_stored",
            "Notifications that came into inboxes",
            self.stored.clone(),
        );
        let help = "Notifications that a box told once more as another event; each is in the inbox once";
        registry.register("notifications_duplicated", help, self.duplicated.clone());
        let help = "Notifications of boxes that were about no session of theirs or could not be understood";
        registry.register("notifications_dropped", help, self.dropped.clone());
        let help = "From the evidence on the box to the inbox, by evidence; true where both have one clock";
        registry.register_with_unit("notification_inbox", help, Unit::Seconds, self.to_inbox.clone());
        let help = "From the evidence on the box to a channel that took the message, by evidence";
        registry.register_with_unit("notification_accepted", help, Unit::Seconds, self.to_accepted.clone());
        let help = "Attempts to send a message, by channel and outcome";
        registry.register("notification_deliveries", help, self.deliveries.clone());
        let help = "Receipts of devices that showed a message or acted on it";
        registry.register("notification_receipts", help, self.receipts.clone());
    }

    /// A box has told something.
    pub fn arrived(&self, arrival: Arrival) {
        match arrival {
            Arrival::New { evidence, age_ms } => {
                self.stored.inc();
                observe(&self.to_inbox, evidence, age_ms);
            }
            Arrival::Repeated => drop(self.duplicated.inc()),
            Arrival::Dropped => drop(self.dropped.inc()),
            Arrival::Withdrawn => {}
        }
    }

    /// An attempt was made.
    pub fn sent(&self, taken: &Taken, sent: &Sent) {
        let outcome = match sent {
            Sent::Accepted => "accepted",
            Sent::Again { .. } => "again",
            Sent::Failed { .. } => "failed",
            Sent::Dropped { .. } => "dropped",
            Sent::Gone { .. } => "gone",
        };
        let labels = ByOutcome { channel: taken.kind.clone(), outcome };
        self.deliveries.get_or_create(&labels).inc();
        // What waited on purpose, such as for the morning, says nothing of our speed: only the newest counts.
        if let (Sent::Accepted, Some(newest)) = (sent, taken.about.last()) {
            observe(&self.to_accepted, newest.evidence, now_ms() - newest.signal_ms);
        }
    }

    /// A device has sent a receipt.
    pub fn receipt(&self) {
        self.receipts.inc();
    }
}

fn observe(latency: &Latency, evidence: Evidence, age_ms: i64) {
    let age = u64::try_from(age_ms.clamp(0, MAX_AGE_MS)).unwrap_or(0);
    let labels = ByEvidence { evidence: crate::store::word(evidence) };
    latency.get_or_create(&labels).observe(Duration::from_millis(age).as_secs_f64());
}
