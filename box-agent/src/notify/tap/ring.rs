//! What was read and not yet looked at: bounded, and never in the way of whoever reads. tmux keeps what a pipe does
//! not take without any bound, so reading must not wait for anything.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Bytes that may wait.
pub const CAPACITY: usize = 512 * 1024;

/// Bytes for which whoever takes keeps room.
const KEPT: usize = 64 * 1024;

/// A ring of bytes between two threads.
#[derive(Debug, Default)]
pub struct Ring {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    skipped: u64,
    ended: bool,
}

/// What was taken out of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Bytes that were dropped before what was taken.
    pub skipped: u64,
    /// Whether nothing will come any more.
    pub ended: bool,
}

impl Ring {
    /// Adds bytes; the oldest give way.
    pub fn put(&self, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bytes.extend(bytes);
        let over = state.bytes.len().saturating_sub(CAPACITY);
        state.bytes.drain(..over);
        state.skipped += over as u64;
        self.filled.notify_one();
    }

    /// Says that nothing will come any more.
    pub fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.filled.notify_one();
    }

    /// Takes all there is into `bytes`, and waits for it as long as `patience`, if need be.
    pub fn take(&self, bytes: &mut Vec<u8>, patience: Duration) -> Taken {
        bytes.clear();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .filled
            .wait_timeout_while(state, patience, |state| state.bytes.is_empty() && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        let (first, rest) = state.bytes.as_slices();
        bytes.extend_from_slice(first);
        bytes.extend_from_slice(rest);
        state.bytes.clear();
        if bytes.is_empty() {
            // A flood has ended, and another is not to be expected in each pane.
            state.bytes.shrink_to(0);
            bytes.shrink_to(KEPT);
        }
        let taken = Taken { skipped: state.skipped, ended: state.ended };
        state.skipped = 0;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way_and_is_counted() {
        let (ring, mut bytes) = (Ring::default(), Vec::new());
        ring.put(&vec![b'a'; CAPACITY]);
        ring.put(b"bcd");
        let taken = ring.take(&mut bytes, Duration::ZERO);
        assert_eq!((taken, bytes.len()), (Taken { skipped: 3, ended: false }, CAPACITY));
        assert!(bytes.ends_with(b"abcd"));
        assert_eq!(ring.take(&mut bytes, Duration::ZERO), Taken { skipped: 0, ended: false });
        assert!(bytes.is_empty());
    }

    #[test]
    fn the_end_is_told_after_the_rest() {
        let (ring, mut bytes) = (Ring::default(), Vec::new());
        ring.put(b"last");
        ring.end();
        assert!(ring.take(&mut bytes, Duration::from_secs(60)).ended);
        assert_eq!(bytes, b"last");
    }
}
