//! Which rights are used now, so that what goes on by one can be ended when the right ends.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio_util::sync::CancellationToken;

/// What goes on, by the right that it was begun with.
#[derive(Debug)]
pub struct InUse<K>(Mutex<HashMap<K, Weak<CancellationToken>>>);

impl<K> Default for InUse<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> InUse<K> {
    /// One more use. What is returned is cancelled when the right ends, or with `stopping`.
    pub fn enter(&self, right: K, stopping: &CancellationToken) -> Arc<CancellationToken> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = used.get(&right).and_then(Weak::upgrade).filter(|known| !known.is_cancelled());
        known.unwrap_or_else(|| {
            let new = Arc::new(stopping.child_token());
            used.insert(right, Arc::downgrade(&new));
            new
        })
    }

    /// The rights that are used now.
    pub fn held(&self) -> HashSet<K> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, uses| uses.strong_count() > 0);
        used.keys().cloned().collect()
    }

    /// Ends everything that was begun with one of these.
    pub fn end(&self, ended: &HashSet<K>) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for right in ended {
            if let Some(uses) = used.remove(right).and_then(|uses| uses.upgrade()) {
                uses.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_right_allowed_ends_with_it_and_nothing_else_does() {
        let (rights, stopping) = (InUse::default(), CancellationToken::new());
        let first = rights.enter("one", &stopping);
        let second = rights.enter("one", &stopping);
        let third = rights.enter("other", &stopping);
        assert_eq!(rights.held().len(), 2);
        rights.end(&["one"].into());
        assert!(first.is_cancelled() && second.is_cancelled() && !third.is_cancelled());
        assert!(!rights.enter("one", &stopping).is_cancelled(), "a right that was given anew is another");
        drop(third);
        assert!(!rights.held().contains("other"));
    }
}
