//! Where events come from: numbers them in this start's stream and puts them into the outbox.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use berth_protocol::event::{Event, EventId};
use berth_protocol::ids::{InstanceId, StreamId};
use tokio::sync::{Mutex, watch};

use crate::metrics::Metrics;
use crate::store::attention::Attended;
use crate::store::outbox::Bounds;
use crate::store::{Store, StoreError};

/// Publishes events. Clones share the stream.
#[derive(Clone)]
pub struct Events {
    store: Store,
    instance: InstanceId,
    stream: StreamId,
    /// The last number given. Held while an event is stored, so that order of numbers is order of rows.
    last: Arc<Mutex<u64>>,
    changed: watch::Sender<u64>,
    metrics: Metrics,
}

impl Events {
    /// A new stream, which every start of an agent has: a restored database so never gives a number twice.
    /// `changed` is told of each event.
    #[must_use]
    pub fn new(store: Store, instance: InstanceId, changed: watch::Sender<u64>, metrics: Metrics) -> Self {
        Self { store, instance, stream: StreamId::random(), last: Arc::default(), changed, metrics }
    }

    /// Stores one event; the link sends it when it can.
    ///
    /// # Errors
    /// [`StoreError`]. The number is then lost, and the link says so.
    pub async fn publish(&self, kind: &str, payload: serde_json::Value) -> Result<(), StoreError> {
        self.attend(vec![(kind.to_owned(), payload)], Attended::default()).await
    }

    /// Stores events together with what is known of panes since: both or neither.
    ///
    /// # Errors
    /// [`StoreError`]. The numbers are then lost, and the link says so.
    pub async fn attend(
        &self,
        told: Vec<(String, serde_json::Value)>,
        attended: Attended,
    ) -> Result<(), StoreError> {
        let mut last = self.last.lock().await;
        let mut event = |(kind, payload)| {
            *last += 1;
            let id = EventId { stream: self.stream.clone(), seq: *last };
            Event { id, instance: self.instance.clone(), kind, at_ms: now_ms(), payload }
        };
        let events: Vec<Event> = told.into_iter().map(&mut event).collect();
        let news = !events.is_empty();
        let fill = self.store.attend(events, attended, Bounds::default()).await?;
        if news {
            self.metrics.outbox_fill(fill);
            self.changed.send_modify(|count| *count += 1);
        }
        Ok(())
    }
}

/// A clock before 1970 counts as 1970: the time is for people.
fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
