//! Pauses between attempts: doubled each time up to a limit, and never the same for two boxes.

use std::time::Duration;

/// The pauses of one thing that is tried again and again.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses from `first` to `limit`.
    #[must_use]
    pub fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit, failures: 0 }
    }

    /// The pause before the next attempt: between half and the whole of what this many failures call for.
    pub fn next_pause(&mut self) -> Duration {
        self.pause_with(fastrand::f64())
    }

    fn pause_with(&mut self, jitter: f64) -> Duration {
        let full = self.first.saturating_mul(1 << self.failures.min(20)).min(self.limit);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(jitter.mul_add(0.5, 0.5))
    }

    /// Begins anew after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
        let whole: Vec<u128> = (0..7).map(|_| backoff.pause_with(1.0).as_millis()).collect();
        assert_eq!(whole, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.pause_with(0.0).as_millis(), 250);
        (0..200).for_each(|_| assert!(backoff.next_pause() <= Duration::from_secs(10)));
    }
}
