//! A request that is made again does not act again: gateways repeat a request whose answer they did not get.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use berth_protocol::ids::RequestId;
use tokio::sync::watch;

/// How long a request is remembered. Gateways repeat within seconds.
const MEMORY: Duration = Duration::from_secs(60);

/// Requests that were made within the last minute, and what came of them.
#[derive(Debug)]
pub struct Once<T> {
    seen: Mutex<HashMap<RequestId, Seen<T>>>,
}

#[derive(Debug)]
struct Seen<T> {
    at: Instant,
    outcome: watch::Receiver<Option<T>>,
}

/// The right to act.
#[derive(Debug)]
pub struct Turn<T>(watch::Sender<Option<T>>);

/// The request was made before.
#[derive(Debug)]
pub struct Repeated<T>(pub First<T>);

/// The first of the same requests.
#[derive(Debug)]
pub struct First<T>(watch::Receiver<Option<T>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { seen: Mutex::default() }
    }
}

impl<T: Clone> Once<T> {
    /// Whether this request may act: the first of its id does.
    ///
    /// # Errors
    /// [`Repeated`], for those after it.
    pub fn first(&self, id: &RequestId) -> Result<Turn<T>, Repeated<T>> {
        self.first_at(id, Instant::now())
    }

    fn first_at(&self, id: &RequestId, now: Instant) -> Result<Turn<T>, Repeated<T>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, first| now.saturating_duration_since(first.at) < MEMORY);
        if let Some(first) = seen.get(id) {
            return Err(Repeated(First(first.outcome.clone())));
        }
        let (sender, outcome) = watch::channel(None);
        seen.insert(id.clone(), Seen { at: now, outcome });
        Ok(Turn(sender))
    }
}

impl<T: Clone> Turn<T> {
    /// Remembers the outcome, for whoever asks again.
    pub fn done(self, outcome: T) -> T {
        self.0.send_replace(Some(outcome.clone()));
        outcome
    }
}

impl<T: Clone> First<T> {
    /// Its outcome, awaited; `None` when it failed without one.
    pub async fn outcome(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_acts_and_all_get_its_outcome() {
        let once = Once::default();
        let id = RequestId::random();
        let turn = once.first(&id).unwrap();
        let Err(Repeated(early)) = once.first(&id) else { panic!("acted twice") };
        let waiting = tokio::spawn(early.outcome());
        assert_eq!(turn.done(7), 7);
        assert_eq!(waiting.await.unwrap(), Some(7));
        let Err(Repeated(late)) = once.first(&id) else { panic!("acted twice") };
        assert_eq!(late.outcome().await, Some(7));
        assert!(once.first(&RequestId::random()).is_ok());
    }

    #[tokio::test]
    async fn one_that_failed_has_no_outcome_and_is_not_tried_again() {
        let once = Once::<()>::default();
        let id = RequestId::random();
        drop(once.first(&id).unwrap());
        let Err(Repeated(first)) = once.first(&id) else { panic!("acted twice") };
        assert_eq!(first.outcome().await, None);
    }

    #[test]
    fn requests_are_forgotten_after_a_minute() {
        let once = Once::<()>::default();
        let (id, now) = (RequestId::random(), Instant::now());
        once.first_at(&id, now).unwrap().done(());
        assert!(once.first_at(&id, now + MEMORY - Duration::from_millis(1)).is_err());
        assert!(once.first_at(&id, now + MEMORY).is_ok());
    }
}
