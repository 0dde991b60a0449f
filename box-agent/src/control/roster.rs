//! Where sessions are, asked of tmux once for all who want to know at the same time. When a gateway comes back, hundreds of
//! terminals attach at once, and each question is a process.

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_daemon::exit::chain;
use berth_protocol::ids::SessionId;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::terminal::tmux::{Target, Tmux};

/// The sessions and their addresses, or why they are not known, for people.
pub type Sessions = Result<BTreeMap<SessionId, Target>, String>;

/// Asks tmux.
pub struct Roster {
    tmux: Tmux,
    /// The last answer, and when its question was asked.
    last: Mutex<Option<(Instant, Arc<Sessions>)>>,
}

impl Roster {
    /// One that has not asked yet.
    #[must_use]
    pub fn new(tmux: Tmux) -> Self {
        Self { tmux, last: Mutex::new(None) }
    }

    /// Where the sessions are, at this moment or later.
    pub async fn sessions(&self) -> Arc<Sessions> {
        let now = Instant::now();
        share(&self.last, now, async || self.tmux.sessions().await.map_err(|error| chain(&error))).await
    }
}

/// The last answer if it was asked for after `came`, else another. Whoever comes while somebody asks waits for the next.
async fn share<T>(
    last: &Mutex<Option<(Instant, Arc<T>)>>,
    came: Instant,
    ask: impl AsyncFnOnce() -> T,
) -> Arc<T> {
    let mut last = last.lock().await;
    if let Some((asked, answer)) = &*last
        && *asked > came
    {
        return answer.clone();
    }
    let asked = Instant::now();
    let answer = Arc::new(ask().await);
    *last = Some((asked, answer.clone()));
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_share_an_answer_and_nobody_gets_one_from_before() {
        let (last, asked) = (Mutex::new(None), AtomicU32::new(0));
        let one = async || {
            let number = asked.load(Ordering::Relaxed);
            let came = Instant::now();
            let answer = share(&last, came, async || {
                let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
                number
            });
            assert!(*answer.await > number, "the question is older than the wish to know");
        };
        let later = async |millis| {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            one().await;
        };
        join_all((0..100).map(|index| later(index % 5))).await;
        // The first asks alone, and all the others, who came meanwhile, share the next.
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        one().await;
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
