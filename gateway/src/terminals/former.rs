//! How terminals ended, for a while: a client that comes to the same session again has reconnected, and why it had to is
//! what its former terminal ended of.
//!
//! It is for the metrics alone, so it may forget: what is long ago, and what is too much.

use std::collections::HashMap;
use std::time::Duration;

use berth_protocol::ids::{ClientId, SessionId};
use tokio::time::Instant;

/// How long an end is remembered: a phone may sleep for a night.
const MEMORY: Duration = Duration::from_hours(24);

/// Ends that are remembered.
const MOST: usize = 4096;

/// The word for a terminal that had not ended when its client came again: its network is gone, and only the client knows.
pub(super) const UNNOTICED: &str = "unnoticed";

/// One client at one session.
pub(super) type Who = (ClientId, SessionId);

/// Terminals that have ended, and those that have not.
#[derive(Debug, Default)]
pub(super) struct Former(HashMap<Who, Last>);

#[derive(Debug, Default)]
struct Last {
    open: usize,
    ended: Option<(&'static str, Instant)>,
}

impl Former {
    /// A terminal has been opened: how the one before ended, if there was one.
    pub(super) fn opened(&mut self, who: &Who) -> Option<&'static str> {
        let last = self.0.entry(who.clone()).or_default();
        last.open += 1;
        // It is taken: what the next one is told is how this one ends.
        let ended = last.ended.take().map(|(reason, _)| reason);
        if last.open > 1 { Some(UNNOTICED) } else { ended }
    }

    /// A terminal has ended.
    pub(super) fn closed(&mut self, who: &Who, reason: Option<&'static str>, now: Instant) {
        let Some(last) = self.0.get_mut(who) else { return };
        last.open = last.open.saturating_sub(1);
        last.ended = reason.map(|reason| (reason, now)).or(last.ended);
        if last.open == 0 && last.ended.is_none() {
            self.0.remove(who);
        }
        if self.0.len() > MOST {
            self.forget_oldest();
        }
    }

    /// Forgets what is long ago.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.0.retain(|_, last| last.open > 0 || last.ended.is_some_and(|(_, at)| now < at + MEMORY));
    }

    fn forget_oldest(&mut self) {
        let idle = self.0.iter().filter(|(_, last)| last.open == 0);
        let oldest = idle.min_by_key(|(_, last)| last.ended.map(|(_, at)| at)).map(|(who, _)| who.clone());
        if let Some(who) = oldest {
            self.0.remove(&who);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Who {
        (ClientId::random(), SessionId::random())
    }

    #[tokio::test]
    async fn whoever_comes_again_is_told_how_the_last_one_ended() {
        let (mut former, who, now) = (Former::default(), who(), Instant::now());
        assert_eq!(former.opened(&who), None, "it is the first");
        former.closed(&who, Some("browser_lost"), now);
        assert_eq!(former.opened(&(who.0.clone(), SessionId::random())), None, "another session");
        assert_eq!(former.opened(&(ClientId::random(), who.1.clone())), None, "another client");
        assert_eq!(former.opened(&who), Some("browser_lost"));
        former.closed(&who, Some("draining"), now);
        assert_eq!(former.opened(&who), Some("draining"));
    }

    #[tokio::test]
    async fn whoever_comes_before_the_last_one_ended_was_quicker_than_we() {
        let (mut former, who, now) = (Former::default(), who(), Instant::now());
        assert_eq!(former.opened(&who), None);
        assert_eq!(former.opened(&who), Some(UNNOTICED));
        former.closed(&who, Some("browser_silent"), now);
        former.closed(&who, Some("browser_closed"), now);
        assert_eq!(former.opened(&who), Some("browser_closed"));
    }

    #[tokio::test]
    async fn it_forgets_what_is_long_ago_and_what_is_too_much() {
        let (mut former, who, now) = (Former::default(), who(), Instant::now());
        former.opened(&who);
        former.sweep(now + 2 * MEMORY);
        assert!(!former.is_empty(), "it is open");
        former.closed(&who, Some("browser_lost"), now);
        former.sweep(now + MEMORY / 2);
        assert!(!former.is_empty());
        former.sweep(now + MEMORY);
        assert!(former.is_empty());
        for at in 0..=MOST {
            let one = (ClientId::random(), who.1.clone());
            former.opened(&one);
            former.closed(&one, Some("browser_lost"), now + Duration::from_millis(at as u64));
        }
        assert_eq!(former.0.len(), MOST);
        let oldest = former.0.values().filter_map(|last| last.ended).map(|(_, at)| at).min();
        assert!(oldest > Some(now), "another than the oldest was forgotten");
    }

    #[tokio::test]
    async fn what_never_ran_is_no_end() {
        let (mut former, who, now) = (Former::default(), who(), Instant::now());
        former.opened(&who);
        former.closed(&who, None, now);
        assert!(former.is_empty());
    }
}
