//! Another key for everything that is stored sealed, while the gateway serves.
//!
//! 1. The new key is written above the old one. A gateway that runs sees that at once: it seals with the new key and
//!    opens with both.
//! 2. All that is stored is sealed anew, again and again, until nothing of the old key is left: what was sealed just
//!    before may be stored just after.
//! 3. The old key is removed.
//!
//! Whenever this is cut short, both keys are in the file, and the next attempt goes on with them.

use std::path::Path;
use std::time::Duration;

use berth_daemon::state::{StateError, StateLock};

use super::ring::{Place, SealingKey};
use super::{Sealer, SealingError};
use crate::store::{Store, StoreError};

/// For how long a value that was sealed may be on its way to the store.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// Held while keys are rotated.
const LOCK: &str = "rotate.lock";

/// Why the key is not another now. What was sealed can be opened all the same.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The keys can't be used or replaced, or something was sealed with none of them.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another rotation goes on.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// Values that were sealed anew.
    pub values: usize,
    /// Whether the old key is gone, or still stands where this program can't remove it.
    pub removed: bool,
}

/// Gives everything another key.
///
/// # Errors
/// [`RotationError`].
pub async fn rotate(sealer: &Sealer, store: &Store, state_dir: &Path) -> Result<Rotated, RotationError> {
    let _alone = StateLock::acquire(state_dir, LOCK)?;
    let mut keys = sealer.keys();
    let place = sealer.place();
    if keys.len() == 1 {
        keys.insert(0, SealingKey::random());
        sealer.replace(keys.clone())?;
    }
    let mut values = store.reseal(sealer.clone()).await??;
    loop {
        tokio::time::sleep(ON_ITS_WAY).await;
        match store.reseal(sealer.clone()).await?? {
            0 => break,
            late => values += late,
        }
    }
    let removed = matches!(place, Place::File(_));
    if removed {
        keys.truncate(1);
        sealer.replace(keys)?;
    }
    Ok(Rotated { values, removed })
}
