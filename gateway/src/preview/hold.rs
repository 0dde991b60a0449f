//! What an exchange holds for as long as it lasts, and how many there may be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use berth_protocol::ids::PreviewId;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// An exchange that goes on: it ends when it is dropped, or has to when `cancel` says so.
#[derive(Debug)]
pub struct Hold {
    /// Cancelled when the right to see the preview has ended.
    pub cancel: Arc<CancellationToken>,
    _place: OwnedSemaphorePermit,
    in_flight: Gauge,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

/// Counts exchanges per preview. A bound on how many there are at once does what a rate would not: a page that loads
/// a thousand files is no attack.
#[derive(Debug)]
pub struct Places {
    most: usize,
    in_flight: Gauge,
    previews: Mutex<HashMap<PreviewId, Arc<Semaphore>>>,
}

impl Places {
    /// So many at the same time for each preview.
    #[must_use]
    pub fn new(most: usize, in_flight: Gauge) -> Self {
        Self { most, in_flight, previews: Mutex::default() }
    }

    /// A place for one more, which has to go when `cancel` is cancelled. `None`: there are too many.
    #[must_use]
    pub fn take(&self, preview: &PreviewId, cancel: Arc<CancellationToken>) -> Option<Hold> {
        let mut previews = self.previews.lock().unwrap_or_else(PoisonError::into_inner);
        let places = previews.entry(preview.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.most)));
        let place = places.clone().try_acquire_owned().ok()?;
        self.in_flight.inc();
        Some(Hold { cancel, _place: place, in_flight: self.in_flight.clone() })
    }

    /// Forgets previews that nobody uses.
    pub fn sweep(&self) {
        let mut previews = self.previews.lock().unwrap_or_else(PoisonError::into_inner);
        previews.retain(|_, places| Arc::strong_count(places) > 1 || places.available_permits() < self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_for_each_preview_and_they_come_back() {
        let gauge = Gauge::default();
        let places = Places::new(2, gauge.clone());
        let (one, other) = (PreviewId::random(), PreviewId::random());
        let take = |preview| places.take(preview, Arc::default());
        let (first, second) = (take(&one).unwrap(), take(&one).unwrap());
        assert!(take(&one).is_none());
        let third = take(&other).unwrap();
        assert_eq!(gauge.get(), 3);
        drop(first);
        places.sweep();
        assert!(take(&one).is_some(), "a place that was left is free");
        drop((second, third));
        places.sweep();
        assert!(places.previews.lock().unwrap().is_empty());
        assert_eq!(gauge.get(), 0);
    }
}
