//! Waiting for what mostly comes: a timer that costs next to nothing when it does.
//!
//! One that is made for each request goes into the runtime's wheel and out of it again a moment later, under a lock that
//! all share. This one is kept, and moved only when it rings for a deadline that is over by then, or at once for an earlier one.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt;
use tokio::time::{Instant, Sleep, sleep};

/// A timer for one deadline after another.
pub struct Patience(Pin<Box<Sleep>>);

impl Default for Patience {
    fn default() -> Self {
        Self(Box::pin(sleep(Duration::ZERO)))
    }
}

impl Patience {
    /// Ready once `deadline` is over. Another may be asked for each time.
    pub fn poll_end(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.0.deadline() > deadline {
                self.0.as_mut().reset(deadline);
            }
            ready!(self.0.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(deadline);
        }
    }
}

/// The same for hyper, for one connection: it begins to wait for a head again and again.
#[derive(Clone, Default)]
pub struct HeadTimer(Arc<Mutex<Patience>>);

struct Head {
    patience: Arc<Mutex<Patience>>,
    deadline: Instant,
}

impl rt::Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Head { patience: self.0.clone(), deadline: deadline.into() })
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }
}

impl Future for Head {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner).poll_end(self.deadline, context)
    }
}

impl rt::Sleep for Head {}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Patience").field(&self.0.deadline()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use hyper::rt::Timer;
    use tokio::time::timeout;

    use super::*;

    async fn end(patience: &mut Patience, deadline: Instant) {
        poll_fn(|context| patience.poll_end(deadline, context)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn each_deadline_is_kept_be_it_later_or_earlier_than_the_one_before() {
        let mut patience = Patience::default();
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let waited = timeout(Duration::from_secs(1), end(&mut patience, after(30))).await;
        assert!(waited.is_err(), "it rang before its time");
        end(&mut patience, after(50)).await;
        assert_eq!(begun.elapsed().as_secs(), 50, "moved to later");
        let waited = timeout(Duration::from_secs(1), end(&mut patience, after(1000))).await;
        assert!(waited.is_err());
        end(&mut patience, after(60)).await;
        assert_eq!(begun.elapsed().as_secs(), 60, "moved to earlier");
        end(&mut patience, begun).await;
        assert_eq!(begun.elapsed().as_secs(), 60, "over long ago");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_waits_for_one_head_after_another() {
        let (timer, begun) = (HeadTimer::default(), Instant::now());
        for _ in 0..3 {
            let came = timeout(Duration::from_secs(10), timer.sleep(Duration::from_secs(30))).await;
            assert!(came.is_err(), "the head came in time");
        }
        timer.sleep(Duration::from_secs(30)).await;
        assert_eq!(begun.elapsed().as_secs(), 60);
    }
}
