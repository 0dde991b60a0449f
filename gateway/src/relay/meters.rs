//! What terminals count while they run, all of a process together.
//!
//! A terminal may live for weeks, so nothing waits for its end to be counted.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

/// Bounds of the round trip's buckets, seconds: from a box in the same building to one that is in trouble.
const ROUND_TRIP: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Output that comes later than this after a key was not its echo.
const NO_ECHO: Duration = Duration::from_secs(10);

/// Counters that every terminal raises.
#[derive(Debug, Clone)]
pub struct Meters {
    /// Bytes of input passed on, type bytes left out.
    pub input_bytes: Counter,
    /// Bytes of output passed on, type bytes left out.
    pub output_bytes: Counter,
    /// Times that a page fell so far behind that its box was no longer read.
    pub stalls: Counter,
    /// Times that a terminal was attached anew behind its client's back, because what it was about to see was old.
    pub renewals: Counter,
    /// Seconds from input that was passed on to the output that followed.
    pub round_trip: Histogram,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            input_bytes: Counter::default(),
            output_bytes: Counter::default(),
            stalls: Counter::default(),
            renewals: Counter::default(),
            round_trip: Histogram::new(ROUND_TRIP),
        }
    }
}

/// When the oldest input was passed on that no output has followed yet.
#[derive(Debug, Default)]
pub struct RoundTrip(Option<Instant>);

impl RoundTrip {
    /// Input was passed on.
    pub fn asked(&mut self, now: Instant) {
        self.0.get_or_insert(now);
    }

    /// Output came: how long after the input that it may answer.
    pub fn answered(&mut self) -> Option<Duration> {
        self.0.take().map(|asked| asked.elapsed()).filter(|waited| *waited < NO_ECHO)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_unanswered_input_counts_once() {
        let mut trip = RoundTrip::default();
        assert_eq!(trip.answered(), None, "nothing was typed");
        trip.asked(Instant::now());
        sleep(Duration::from_millis(30)).await;
        trip.asked(Instant::now());
        sleep(Duration::from_millis(10)).await;
        assert_eq!(trip.answered(), Some(Duration::from_millis(40)));
        assert_eq!(trip.answered(), None, "more output is no second answer");
    }

    #[tokio::test(start_paused = true)]
    async fn output_of_much_later_is_no_echo() {
        let mut trip = RoundTrip::default();
        trip.asked(Instant::now());
        sleep(NO_ECHO).await;
        assert_eq!(trip.answered(), None);
        trip.asked(Instant::now());
        assert_eq!(trip.answered(), Some(Duration::ZERO), "an unanswered key is forgotten with its answer");
    }
}
