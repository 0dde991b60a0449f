//! The last requests to each preview, for whoever looks at them in the console. They are told without queries, which
//! may hold what nobody should see, and are kept in memory only.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use berth_protocol::ids::PreviewId;
use http::{Method, StatusCode, Uri};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::store::now_ms;

/// Requests that are kept for each preview.
const KEPT: usize = 50;

/// Characters of a path that are kept.
const PATH_CHARS: usize = 200;

/// Characters of a method that are kept.
const METHOD_CHARS: usize = 16;

/// How long requests to a preview are kept after the last.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// A request that was passed on, or should have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its number among the preview's.
    pub number: u64,
    /// When it came.
    pub at_ms: i64,
    /// Its method.
    pub method: String,
    /// Its path. A query is told by a question mark alone.
    pub path: String,
    /// The status of its answer.
    pub status: u16,
    /// Milliseconds until its answer began.
    pub millis: u64,
}

#[derive(Debug)]
struct Ring {
    last: VecDeque<Exchange>,
    /// The number of the newest, for whoever looks.
    told: watch::Sender<u64>,
    since: Instant,
}

impl Ring {
    /// The number of the newest; none is 0.
    fn newest(&self) -> u64 {
        self.last.front().map_or(0, |exchange| exchange.number)
    }
}

fn beginning(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

/// The last requests to each preview.
#[derive(Debug, Default)]
pub struct Recent(Mutex<HashMap<PreviewId, Ring>>);

impl Recent {
    /// Remembers a request whose answer begins now.
    pub fn add(&self, preview: &PreviewId, method: &Method, uri: &Uri, status: StatusCode, begun: Instant) {
        let taken = begun.elapsed();
        self.with(preview, |ring| {
            let number = ring.newest() + 1;
            let query = if uri.query().is_some() { "?…" } else { "" };
            ring.last.truncate(KEPT - 1);
            ring.last.push_front(Exchange {
                number,
                at_ms: now_ms() - i64::try_from(taken.as_millis()).unwrap_or_default(),
                method: beginning(method.as_str(), METHOD_CHARS).to_owned(),
                path: [beginning(uri.path(), PATH_CHARS), query].concat(),
                status: status.as_u16(),
                millis: u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
            });
            ring.since = Instant::now();
            // Mostly nobody looks.
            if ring.told.receiver_count() > 0 {
                ring.told.send_replace(number);
            }
        });
    }

    /// Tells the number of the newest request whenever there is one. It ends when the preview is forgotten.
    pub fn watch(&self, preview: &PreviewId) -> watch::Receiver<u64> {
        self.with(preview, |ring| {
            ring.told.send_replace(ring.newest());
            ring.told.subscribe()
        })
    }

    /// Those that are newer than a number, the newest first.
    pub fn newer(&self, preview: &PreviewId, number: u64) -> Vec<Exchange> {
        let rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = rings.get(preview).map(|ring| ring.last.iter());
        last.into_iter().flatten().take_while(|exchange| exchange.number > number).cloned().collect()
    }

    /// Forgets a preview that is not there any more.
    pub fn forget(&self, preview: &PreviewId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(preview);
    }

    /// Forgets previews that nobody has used for long and nobody watches.
    pub fn sweep(&self) {
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rings.retain(|_, ring| ring.told.receiver_count() > 0 || ring.since.elapsed() < FORGOTTEN_AFTER);
    }

    fn with<T>(&self, preview: &PreviewId, act: impl FnOnce(&mut Ring) -> T) -> T {
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = rings.entry(preview.clone()).or_insert_with(|| Ring {
            last: VecDeque::with_capacity(KEPT),
            told: watch::Sender::new(0),
            since: Instant::now(),
        });
        act(ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_requests_are_kept_without_what_they_asked_for() {
        let (recent, preview) = (Recent::default(), PreviewId::random());
        let add = |uri: &str| {
            recent.add(&preview, &Method::GET, &uri.parse().unwrap(), StatusCode::OK, Instant::now());
        };
        let mut watched = recent.watch(&preview);
        add("/first");
        watched.changed().await.unwrap();
        add("/token?secret=1");
        let newer = recent.newer(&preview, 1);
        assert_eq!(newer.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["/token?…"]);
        add(&format!("/{}", "a".repeat(10 * PATH_CHARS)));
        for _ in 0..2 * KEPT {
            add("/more");
        }
        let all = recent.newer(&preview, 0);
        assert_eq!((all.len(), all[0].number), (KEPT, 3 + 2 * KEPT as u64));
        assert!(recent.newer(&PreviewId::random(), 0).is_empty());

        tokio::time::advance(FORGOTTEN_AFTER).await;
        recent.sweep();
        assert_eq!(recent.newer(&preview, 0).len(), KEPT, "somebody watches");
        recent.forget(&preview);
        watched.mark_unchanged();
        assert!(watched.changed().await.is_err(), "the preview was deleted");
        add("/again");
        tokio::time::advance(FORGOTTEN_AFTER).await;
        recent.sweep();
        assert!(recent.newer(&preview, 0).is_empty());
    }
}
