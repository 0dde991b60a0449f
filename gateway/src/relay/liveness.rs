//! Whether anybody is still there.
//!
//! A phone that loses its network says nothing, and TCP alone notices after many minutes. The page pings every
//! few seconds, so its silence means something; a client that never pinged (ttyd's own) may be silent for ever.
//! One that never sends its first message holds a connection for nothing, and has as long as one that pings.

use std::time::Duration;

use tokio::time::Instant;

/// Silence after which a page that pings is taken for dead.
pub const SILENCE: Duration = Duration::from_secs(25);

/// What is known of one browser's life.
#[derive(Debug)]
pub struct Liveness {
    limit: Duration,
    heard: Instant,
    /// When to look again. It stays when something is heard, so that a timer is not moved at every keystroke.
    check: Option<Instant>,
}

impl Liveness {
    /// Begins with a client whose first message is awaited.
    pub fn new(limit: Duration, now: Instant) -> Self {
        Self { limit, heard: now, check: Some(now + limit) }
    }

    /// Something came.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The first message came: silence is allowed from now on.
    pub fn started(&mut self) {
        self.check = None;
    }

    /// A ping came: silence is not allowed any more.
    pub fn pinged(&mut self) {
        self.check = self.check.or(Some(self.heard + self.limit));
    }

    /// When [`Self::is_dead`] should be asked.
    pub fn due(&self) -> Option<Instant> {
        self.check
    }

    /// Whether the silence has lasted too long.
    pub fn is_dead(&mut self, now: Instant) -> bool {
        let Some(check) = self.check else { return false };
        if now >= check {
            self.check = Some(self.heard + self.limit);
        }
        now >= self.heard + self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_silence_of_who_pings_or_has_not_begun_counts() {
        let begin = Instant::now();
        let second = Duration::from_secs(1);
        let mut liveness = Liveness::new(SILENCE, begin);
        assert!(!liveness.is_dead(begin + SILENCE - second));
        assert!(liveness.is_dead(begin + SILENCE), "it waits for ever for a first message");

        liveness.started();
        assert_eq!(liveness.due(), None);
        assert!(!liveness.is_dead(begin + 100 * SILENCE));

        let ping = begin + 200 * second;
        liveness.heard(ping);
        liveness.pinged();
        assert_eq!(liveness.due(), Some(ping + SILENCE));
        liveness.heard(ping + 20 * second);
        assert_eq!(liveness.due(), Some(ping + SILENCE), "a timer moves at every message");
        assert!(!liveness.is_dead(ping + SILENCE));
        assert_eq!(liveness.due(), Some(ping + 20 * second + SILENCE));
        assert!(liveness.is_dead(ping + 20 * second + SILENCE));
    }
}
