//! An issuer's keys, kept: when they are asked for again, and how long they serve when it does not answer.
//!
//! Keys that are older than `keys_secs` are asked for again before they are used, so that one which was taken back is not
//! taken for long; a token with a key that nobody knows asks, too. Both together at most once in `refetch_secs`, whoever
//! sends whatever. Whoever has a known key does not wait for somebody else's question. The question is a task of its own:
//! it goes on when whoever asked goes away, so nobody keeps others from its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::Refused;
use super::keys::{Key, Keys};
use crate::settings::IssuerSettings;

/// How long keys serve.
#[derive(Debug, Clone, Copy)]
struct Times {
    fresh: Duration,
    kept: Duration,
    pause: Duration,
}

/// The keys.
pub(super) struct Cache {
    times: Times,
    known: Arc<Mutex<Known>>,
    /// Held by whoever asks the issuer.
    asking: Arc<AsyncMutex<()>>,
}

#[derive(Default)]
struct Known {
    keys: Option<(Arc<Keys>, Instant)>,
    tried: Option<Instant>,
}

/// What is to be done for a key.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Use what is known.
    Use,
    /// Ask the issuer first.
    Ask,
    /// There is nothing to use, and it is too early to ask.
    Refuse,
}

impl Times {
    /// `read`: how long ago the keys were read; `tried`: how long ago the issuer was asked; `has`: whether the key is among
    /// what is known.
    fn step(self, read: Option<Duration>, tried: Option<Duration>, has: bool) -> Step {
        let early = tried.is_some_and(|tried| tried < self.pause);
        let usable = has && read.is_some_and(|read| read < self.kept);
        let fresh = read.is_some_and(|read| read < self.fresh);
        match (usable, fresh || early) {
            (true, true) => Step::Use,
            (true, false) => Step::Ask,
            (false, _) if early => Step::Refuse,
            (false, _) => Step::Ask,
        }
    }
}

impl Known {
    fn find(&self, id: Option<&str>) -> Option<Key> {
        self.keys.as_ref().and_then(|(keys, _)| keys.find(id).cloned())
    }

    fn read_ago(&self, now: Instant) -> Option<Duration> {
        self.keys.as_ref().map(|(_, read)| now - *read)
    }
}

impl Cache {
    pub(super) fn new(settings: &IssuerSettings) -> Self {
        let times = Times {
            fresh: Duration::from_secs(settings.keys_secs),
            kept: Duration::from_secs(settings.keys_kept_secs),
            pause: Duration::from_secs(settings.refetch_secs),
        };
        Self { times, known: Arc::default(), asking: Arc::default() }
    }

    /// The key of this name, with `ask` as the way to get all of them; `None`: the issuer did not answer.
    pub(super) async fn key(
        &self,
        id: Option<&str>,
        ask: impl Future<Output = Option<Keys>> + Send + 'static,
    ) -> Result<Key, Refused> {
        match self.begin(id) {
            (Step::Use, Some(key), _) => return Ok(key),
            (Step::Ask, _, Some(alone)) => {
                let known = self.known.clone();
                let asked = tokio::spawn(async move {
                    if let Some(keys) = ask.await {
                        lock(&known).keys = Some((Arc::new(keys), Instant::now()));
                    }
                    drop(alone);
                });
                // One that failed has told nothing.
                let _ = asked.await;
            }
            // Somebody else may be asking just now.
            _ => drop(self.asking.lock().await),
        }
        let known = self.known();
        let usable = known.read_ago(Instant::now()).is_some_and(|read| read < self.times.kept);
        match known.find(id).filter(|_| usable) {
            Some(key) => Ok(key),
            None if usable => Err(Refused::UnknownKey),
            None => Err(Refused::Unavailable),
        }
    }

    /// What is to be done. Whoever is to ask is alone in that, and has been noted.
    fn begin(&self, id: Option<&str>) -> (Step, Option<Key>, Option<OwnedMutexGuard<()>>) {
        let mut known = self.known();
        let now = Instant::now();
        let key = known.find(id);
        let tried = known.tried.map(|tried| now - tried);
        let step = self.times.step(known.read_ago(now), tried, key.is_some());
        let alone = if step == Step::Ask { self.asking.clone().try_lock_owned().ok() } else { None };
        if alone.is_some() {
            known.tried = Some(now);
        }
        (step, key, alone)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

fn lock(known: &Mutex<Known>) -> std::sync::MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use jsonwebtoken::Algorithm;
    use serde_json::{Value, json};

    use super::*;

    fn cache() -> Cache {
        Cache::new(&IssuerSettings {
            keys_secs: 600,
            keys_kept_secs: 3600,
            refetch_secs: 10,
            ..IssuerSettings::default()
        })
    }

    fn keys(ids: &[&str]) -> Option<Keys> {
        let keys: Vec<Value> = ids
            .iter()
            .map(|id| json!({ "kty": "EC", "crv": "P-256", "kid": id, "x": "AAAA", "y": "AAAA" }))
            .collect();
        Keys::read(json!({ "keys": keys }).to_string().as_bytes(), &[Algorithm::ES256]).ok()
    }

    async fn pass(secs: u64) {
        tokio::time::advance(Duration::from_secs(secs)).await;
    }

    #[test]
    fn what_is_done_depends_on_what_is_known_and_since_when() {
        let times = cache().times;
        let secs = |secs: u64| Some(Duration::from_secs(secs));
        for (read, tried, has, expected) in [
            (None, None, false, Step::Ask),
            (None, secs(9), false, Step::Refuse),
            (None, secs(10), false, Step::Ask),
            (secs(599), secs(599), true, Step::Use),
            (secs(600), secs(600), true, Step::Ask),
            (secs(600), secs(9), true, Step::Use),
            (secs(3599), secs(9), true, Step::Use),
            (secs(3600), secs(9), true, Step::Refuse),
            (secs(3600), secs(10), true, Step::Ask),
            (secs(1), secs(1), false, Step::Refuse),
            (secs(10), secs(10), false, Step::Ask),
        ] {
            assert_eq!(times.step(read, tried, has), expected, "{read:?} {tried:?} {has}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_kept_through_an_outage_and_a_new_one_is_known_after_it() {
        let cache = cache();
        let asked = Arc::new(AtomicU32::new(0));
        let ask = |answer: Option<Keys>| {
            let asked = asked.clone();
            async move {
                asked.fetch_add(1, Ordering::Relaxed);
                answer
            }
        };
        let known = async |id: &str, answer: Option<Keys>| cache.key(Some(id), ask(answer)).await.map(drop);
        assert_eq!(known("old", None).await, Err(Refused::Unavailable));
        assert_eq!(known("old", keys(&["old"])).await, Err(Refused::Unavailable), "too early to ask again");
        pass(10).await;
        assert_eq!(known("old", keys(&["old"])).await, Ok(()));
        // Made-up names ask at most once in ten seconds.
        let before = asked.load(Ordering::Relaxed);
        pass(10).await;
        for _ in 0..50 {
            assert_eq!(known("made-up", keys(&["old"])).await, Err(Refused::UnknownKey));
        }
        assert_eq!(asked.load(Ordering::Relaxed), before + 1);
        // An outage, in which the issuer gets another key.
        for _ in 0..35 {
            pass(100).await;
            assert_eq!(known("old", None).await, Ok(()));
            assert_eq!(known("new", None).await, Err(Refused::UnknownKey));
        }
        pass(10).await;
        assert_eq!(known("new", keys(&["new"])).await, Ok(()));
        assert_eq!(known("old", None).await, Err(Refused::UnknownKey), "it was taken back");
        // One that lasts too long.
        pass(3600).await;
        assert_eq!(known("new", None).await, Err(Refused::Unavailable));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_a_known_key_waits_for_nobody() {
        let cache = cache();
        cache.key(Some("one"), async { keys(&["one"]) }).await.map(drop).unwrap();
        pass(600).await;
        let slow = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            None
        };
        let begun = Instant::now();
        let quick = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            cache.key(Some("one"), async { panic!("one asks") }).await.map(drop).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(1));
        };
        let unknown = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let found = cache.key(Some("two"), async { panic!("one asks") }).await.map(drop);
            assert_eq!(found, Err(Refused::UnknownKey));
            assert!(begun.elapsed() >= Duration::from_secs(5), "it waits for the one that asks");
        };
        let (first, (), ()) = tokio::join!(cache.key(Some("one"), slow), quick, unknown);
        first.map(drop).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_goes_on_when_whoever_asked_goes_away() {
        let cache = cache();
        let slow = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            keys(&["one"])
        };
        let gone = tokio::time::timeout(Duration::from_secs(1), cache.key(Some("one"), slow)).await;
        assert!(gone.is_err());
        cache.key(Some("one"), async { panic!("it is asked already") }).await.map(drop).unwrap();
    }
}
