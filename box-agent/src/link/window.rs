//! Which entries of the outbox are on their way: a bounded number, in order, from a place that a gap can set
//! back. Pure.

use std::collections::VecDeque;

use berth_protocol::event::Dropped;
use berth_protocol::ids::StreamId;

use crate::store::outbox::{Entry, Item};

/// Entries on their way at most: enough to fill a round trip, few enough to be sent again after a loss.
const MAX_UNACKNOWLEDGED: usize = 64;

/// What one connection has sent.
#[derive(Debug, Default)]
pub struct Window {
    last_sent: i64,
    unacknowledged: VecDeque<(StreamId, u64)>,
}

impl Window {
    /// The place after which to go on.
    #[must_use]
    pub fn last_sent(&self) -> i64 {
        self.last_sent
    }

    /// How many entries may be sent now.
    #[must_use]
    pub fn room(&self) -> usize {
        MAX_UNACKNOWLEDGED.saturating_sub(self.unacknowledged.len())
    }

    /// An entry was sent.
    pub fn sent(&mut self, entry: &Entry) {
        self.last_sent = entry.id;
        self.unacknowledged.push_back((entry.item.stream().clone(), entry.item.last_seq()));
    }

    /// Everything of `stream` up to `seq` is stored.
    pub fn acknowledged(&mut self, stream: &StreamId, seq: u64) {
        self.unacknowledged.retain(|(of, last)| of != stream || *last > seq);
    }

    /// The gateway misses what comes after `stored`. `first` is the first entry that is still there of it.
    /// Goes back to that entry, and returns what must be said to be lost before it.
    pub fn gap(&mut self, stored: u64, first: Option<&Entry>) -> Option<Dropped> {
        let first = first?;
        self.last_sent = first.id - 1;
        self.unacknowledged.clear();
        let begins = match &first.item {
            Item::Event(event) => event.id.seq,
            Item::Dropped(dropped) => dropped.from,
        };
        (begins > stored + 1).then(|| Dropped {
            stream: first.item.stream().clone(),
            from: stored + 1,
            to: begins - 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use berth_protocol::event::{Event, EventId};
    use berth_protocol::ids::InstanceId;

    use super::*;

    fn entry(id: i64, stream: &StreamId, seq: u64) -> Entry {
        let event = Event {
            id: EventId { stream: stream.clone(), seq },
            instance: InstanceId::random(),
            kind: "telemetry".into(),
            at_ms: 0,
            payload: serde_json::Value::Null,
        };
        Entry { id, item: Item::Event(event) }
    }

    #[test]
    fn acknowledgements_make_room_for_their_own_stream_only() {
        let mut window = Window::default();
        let (a, b) = (StreamId::random(), StreamId::random());
        (1..=40).for_each(|n| window.sent(&entry(n, &a, n.unsigned_abs())));
        (1..=24).for_each(|n| window.sent(&entry(40 + n, &b, n.unsigned_abs())));
        assert_eq!((window.room(), window.last_sent()), (0, 64));
        window.acknowledged(&a, 30);
        assert_eq!(window.room(), 30);
        window.acknowledged(&StreamId::random(), 1000);
        assert_eq!(window.room(), 30);
    }

    #[test]
    fn a_gap_is_filled_from_what_is_left_and_the_rest_is_said_to_be_lost() {
        let stream = StreamId::random();
        let mut window = Window::default();
        (5..=9).for_each(|n| window.sent(&entry(n, &stream, n.unsigned_abs())));
        // Stored up to 2, and 5 is the oldest that is left.
        let lost = window.gap(2, Some(&entry(5, &stream, 5)));
        assert_eq!(lost, Some(Dropped { stream: stream.clone(), from: 3, to: 4 }));
        assert_eq!((window.last_sent(), window.room()), (4, MAX_UNACKNOWLEDGED));
        // Stored up to 4: nothing is lost, 5 just comes again.
        assert_eq!(window.gap(4, Some(&entry(5, &stream, 5))), None);
    }

    #[test]
    fn a_gap_before_a_known_gap_becomes_one_with_it() {
        let stream = StreamId::random();
        let dropped = Dropped { stream: stream.clone(), from: 4, to: 8 };
        let known = Entry { id: 7, item: Item::Dropped(dropped) };
        let lost = Window::default().gap(1, Some(&known));
        assert_eq!(lost, Some(Dropped { stream, from: 2, to: 3 }));
        assert_eq!(Window::default().gap(6, Some(&known)), None);
    }

    #[test]
    fn a_gap_in_a_stream_that_is_all_gone_changes_nothing() {
        let mut window = Window::default();
        window.sent(&entry(9, &StreamId::random(), 1));
        assert_eq!(window.gap(3, None), None);
        assert_eq!(window.last_sent(), 9);
    }
}
