//! Streams to dev servers that are kept open between requests.
//!
//! A page loads hundreds of files at once; a stream for each would be a TLS handshake and a connection for each. They
//! carry no right of their own, so requests of different people may follow each other on one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use berth_protocol::ids::InstanceId;
use hyper::client::conn::http1::SendRequest;
use tokio::time::{Instant, timeout};

/// How long a stream is kept without a request: shorter than Node's five seconds, so that a stream is seldom closed
/// at the very moment in which it is used.
const IDLE: Duration = Duration::from_secs(4);

/// Streams to one port that are kept.
const KEPT: usize = 32;

/// How long a stream may take to become free after its last answer has ended.
const TURN: Duration = Duration::from_millis(50);

/// Sends requests on a stream.
pub type Sender = SendRequest<Body>;

/// Where a stream leads to.
pub type Place = (InstanceId, u16);

/// The streams that nobody uses.
#[derive(Debug, Default)]
pub struct Pool(Mutex<HashMap<Place, Vec<(Instant, Sender)>>>);

impl Pool {
    /// A stream that can be used at once, if there is one.
    pub async fn take(&self, place: &Place) -> Option<Sender> {
        while let Some(mut sender) = self.newest(place) {
            if let Ok(Ok(())) = timeout(TURN, sender.ready()).await {
                return Some(sender);
            }
        }
        None
    }

    fn newest(&self, place: &Place) -> Option<Sender> {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = streams.get_mut(place)?;
        std::iter::from_fn(|| known.pop()).find(is_good).map(|(_, sender)| sender)
    }

    /// Keeps a stream whose last answer has ended.
    pub fn give(&self, place: &Place, sender: Sender) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = streams.entry(place.clone()).or_default();
        if known.len() < KEPT {
            known.push((Instant::now(), sender));
        }
    }

    /// Closes streams that were not used for too long.
    pub fn sweep(&self) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|_, known| {
            known.retain(is_good);
            !known.is_empty()
        });
    }
}

fn is_good((since, sender): &(Instant, Sender)) -> bool {
    since.elapsed() < IDLE && !sender.is_closed()
}
