//! Streams to dev servers that are kept open between requests.
//!
//! A page loads hundreds of files at once; a stream for each would be a TLS handshake and a connection for each. They
//! carry no right of their own, so requests of different people may follow each other on one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use berth_protocol::ids::InstanceId;
use tokio::time::{Instant, timeout};

use super::stream::Stream;

/// How long a stream is kept without a request: shorter than Node's five seconds, so that a stream is seldom closed
/// at the very moment in which it is used.
const IDLE: Duration = Duration::from_secs(4);

/// Streams to one port that are kept.
const KEPT: usize = 32;

/// How long a stream that is not free when its last answer has ended is waited for: a dev server may answer before it has
/// read all of the request, which goes on however long it takes.
const TURN: Duration = Duration::from_secs(30);

/// Where a stream leads to.
pub type Place = (InstanceId, u16);

/// The streams that nobody uses.
#[derive(Default)]
pub struct Pool(Mutex<HashMap<Place, Vec<(Instant, Stream)>>>);

impl Pool {
    /// A stream that can be used at once, if there is one, and how long nobody has used it.
    pub fn take(&self, place: &Place) -> Option<(Stream, Duration)> {
        std::iter::from_fn(|| self.newest(place)).find_map(|(mut stream, rested)| {
            // Whether it was closed meanwhile is known when it has been moved along.
            stream.is_free().then_some((stream, rested))
        })
    }

    fn newest(&self, place: &Place) -> Option<(Stream, Duration)> {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = streams.get_mut(place)?;
        let newest = std::iter::from_fn(|| known.pop()).find(is_fresh);
        newest.map(|(since, stream)| (stream, since.elapsed()))
    }

    /// Keeps a stream whose last answer has ended, once it is free.
    pub fn give(self: Arc<Self>, place: Place, mut stream: Stream) {
        if stream.is_ready() || stream.is_free() {
            return self.keep(place, stream);
        }
        stream.detach();
        tokio::spawn(async move {
            if timeout(TURN, stream.until_free()).await == Ok(true) {
                self.keep(place, stream);
            }
        });
    }

    fn keep(&self, place: Place, stream: Stream) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = streams.entry(place).or_default();
        if known.len() < KEPT {
            known.push((Instant::now(), stream));
        }
    }

    /// Closes streams that were not used for too long.
    pub fn sweep(&self) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|_, known| {
            known.retain(is_fresh);
            !known.is_empty()
        });
    }
}

fn is_fresh((since, _): &(Instant, Stream)) -> bool {
    since.elapsed() < IDLE
}
