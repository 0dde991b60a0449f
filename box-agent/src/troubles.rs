//! What an operator should know although the agent goes on: one sentence for each part that has trouble, shown in
//! systemd's line, at the door and by `box-agent status`.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// The present troubles, by the part that has them. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Troubles(Arc<watch::Sender<BTreeMap<&'static str, String>>>);

impl Troubles {
    /// Says what is wrong with `part`, in place of what was said before.
    pub fn set(&self, part: &'static str, sentence: impl Into<String>) {
        let sentence = sentence.into();
        let news = self.0.send_if_modified(|all| {
            let news = all.get(part) != Some(&sentence);
            if news {
                all.insert(part, sentence.clone());
            }
            news
        });
        if news {
            tracing::warn!(part, "{sentence}");
        }
    }

    /// Says that `part` is well.
    pub fn clear(&self, part: &'static str) {
        if self.0.send_if_modified(|all| all.remove(part).is_some()) {
            tracing::info!(part, "the trouble is over");
        }
    }

    /// The troubles, as they come and go.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<BTreeMap<&'static str, String>> {
        self.0.subscribe()
    }

    /// What there is now.
    #[must_use]
    pub fn now(&self) -> BTreeMap<&'static str, String> {
        self.0.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_one_trouble_until_it_is_well() {
        let troubles = Troubles::default();
        let mut watcher = troubles.subscribe();
        troubles.set("disk", "81 % full");
        troubles.set("disk", "92 % full");
        troubles.set("tailscale", "not there");
        assert!(watcher.has_changed().unwrap());
        watcher.mark_unchanged();
        troubles.set("disk", "92 % full");
        troubles.clear("volume");
        assert!(!watcher.has_changed().unwrap(), "nothing new was said");
        troubles.clear("tailscale");
        assert_eq!(troubles.now(), BTreeMap::from([("disk", "92 % full".to_owned())]));
    }
}
