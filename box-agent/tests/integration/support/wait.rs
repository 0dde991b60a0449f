//! Waits for conditions, never for time.

use std::time::{Duration, Instant};

/// Far more than anything here takes; reached only by a test that fails.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Returns what `probe` finds, as soon as it finds something.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for `work`, which is named for the one who reads the failure.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
