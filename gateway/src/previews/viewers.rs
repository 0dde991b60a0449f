//! Who uses which preview now, and by which right.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio_util::sync::CancellationToken;

use crate::store::Seen;

/// Exchanges by the right that each was begun with.
#[derive(Debug, Default)]
pub struct Viewers(Mutex<HashMap<Seen, Weak<CancellationToken>>>);

impl Viewers {
    /// One more exchange with a box. What is returned is cancelled when the right ends, or with the box's `retirement`.
    pub fn enter(&self, seen: Seen, retirement: &CancellationToken) -> Arc<CancellationToken> {
        let mut viewers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = viewers.get(&seen).and_then(Weak::upgrade).filter(|known| !known.is_cancelled());
        known.unwrap_or_else(|| {
            let new = Arc::new(retirement.child_token());
            viewers.insert(seen, Arc::downgrade(&new));
            new
        })
    }

    /// The rights that are used now.
    pub fn held(&self) -> HashSet<Seen> {
        let mut viewers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        viewers.retain(|_, exchanges| exchanges.strong_count() > 0);
        viewers.keys().cloned().collect()
    }

    /// Ends every exchange that was begun with one of these.
    pub fn end(&self, ended: &HashSet<Seen>) {
        let mut viewers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for seen in ended {
            if let Some(exchanges) = viewers.remove(seen).and_then(|exchanges| exchanges.upgrade()) {
                exchanges.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::PreviewId;

    use super::*;
    use crate::store::Viewer;

    #[test]
    fn what_a_right_allowed_ends_with_it_and_nothing_else_does() {
        let (viewers, stopping) = (Viewers::default(), CancellationToken::new());
        let (one, other) = ((PreviewId::random(), Viewer::Anybody), (PreviewId::random(), Viewer::Anybody));
        let first = viewers.enter(one.clone(), &stopping);
        let second = viewers.enter(one.clone(), &stopping);
        let third = viewers.enter(other.clone(), &stopping);
        assert_eq!(viewers.held().len(), 2);
        viewers.end(&[one.clone()].into());
        assert!(first.is_cancelled() && second.is_cancelled() && !third.is_cancelled());
        assert!(!viewers.enter(one, &stopping).is_cancelled(), "a right that was given anew is another");
        drop(third);
        assert!(!viewers.held().contains(&other));
    }
}
