//! Waiting on conditions.

use std::time::{Duration, Instant};

/// How long a condition may take. Generous: a test that passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `look` finds something, and fails naming `what` when it does not within [`PATIENCE`].
///
/// # Panics
/// When nothing was found in time.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// Like [`until`], for a promise about time.
///
/// # Panics
/// When nothing was found in time.
pub async fn within<T>(limit: Duration, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    try_within(limit, look).await.unwrap_or_else(|| panic!("waited {limit:?} in vain for {what}"))
}

/// Looks until `look` finds something or the time is over.
pub async fn try_within<T>(limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return Some(found);
        }
        if begun.elapsed() >= limit {
            return None;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
