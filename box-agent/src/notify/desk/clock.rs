//! The desk's clock: one that only goes on, and what it is for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::notify::signal::Moment;

/// Moments count from here, so that some have been before the desk opened.
const START: Moment = 1 << 40;

/// A clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    began: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { began: Instant::now() }
    }

    pub(super) fn now(self) -> Moment {
        START + u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    /// Waits for a moment; for ever, when there is none.
    pub(super) async fn until(self, moment: Option<Moment>) {
        match moment {
            Some(moment) => {
                let since = Duration::from_millis(moment.saturating_sub(START));
                tokio::time::sleep_until(self.began + since).await;
            }
            None => std::future::pending().await,
        }
    }

    /// The time of day, milliseconds since 1970.
    pub(super) fn wall_ms(self) -> i64 {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }

    /// A moment as a time of day.
    pub(super) fn wall_of(self, moment: Moment) -> i64 {
        let ago = self.now().saturating_sub(moment);
        self.wall_ms().saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX))
    }

    /// The moment of a second since 1970; nothing for one that is still to come.
    pub(super) fn of_second(self, second: i64) -> Option<Moment> {
        self.of_wall(second.checked_mul(1000)?)
    }

    /// The same of milliseconds since 1970.
    pub(super) fn of_wall(self, wall_ms: i64) -> Option<Moment> {
        let ago = self.wall_ms().checked_sub(wall_ms)?;
        self.now().checked_sub(u64::try_from(ago).ok()?)
    }
}
