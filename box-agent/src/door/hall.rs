//! What all connections of the door share, whichever side dialled them: where they lead to, how many there may
//! be, and how they all end at once.

use std::sync::{Arc, Mutex, PoisonError};

use berth_daemon::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio_util::sync::CancellationToken;

use super::service::Door;

/// Connections of gateways at the same time, where so many files may be open.
const MAX_CONNECTIONS: usize = 16 * 1024;

/// Open files of a terminal: the connection, the one to ttyd, and the one of the program that ttyd shows.
pub(crate) const FILES: u64 = 3;

/// Behind the door.
pub struct Hall {
    door: Arc<Door>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
    closing: Mutex<CancellationToken>,
}

/// What a connection and the streams that come of it share.
#[derive(Clone)]
pub struct Admission {
    /// What the door leads to.
    pub door: Arc<Door>,
    /// Cancelled when the door closes.
    pub closing: CancellationToken,
    /// The connection's place; free again when the last stream has ended.
    _place: Arc<OwnedSemaphorePermit>,
}

impl Hall {
    /// An empty hall. `stop` ends everything in it for good.
    #[must_use]
    pub fn new(door: Door, stop: CancellationToken) -> Arc<Self> {
        let closing = Mutex::new(stop.child_token());
        let places = Arc::new(Semaphore::new(limits::connections(FILES, MAX_CONNECTIONS)));
        Arc::new(Self { door: Arc::new(door), places, stop, closing })
    }

    /// Cancelled when everything that is inside now has to leave.
    #[must_use]
    pub fn closing(&self) -> CancellationToken {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets a gateway's connection in, which ends with `closing`.
    ///
    /// # Errors
    /// When there is no place.
    pub(super) fn admit(&self, closing: CancellationToken) -> Result<Admission, TryAcquireError> {
        let place = self.places.clone().try_acquire_owned()?;
        Ok(Admission { door: self.door.clone(), closing, _place: Arc::new(place) })
    }

    /// Cuts every connection and stream that is inside.
    pub(super) fn clear(&self) {
        let mut closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        closing.cancel();
        *closing = self.stop.child_token();
    }

    /// What the door leads to.
    pub(super) fn door(&self) -> &Door {
        &self.door
    }
}
