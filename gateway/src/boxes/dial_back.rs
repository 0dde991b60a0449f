//! Connections that a box makes because it was asked to over its link.
//!
//! Whoever wants one puts itself in a queue of bounded length, and what arrives goes to the first who still
//! waits. What nobody waits for is dropped, so that a box can't fill the gateway with connections.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use berth_protocol::link::MAX_DIAL_BACKS;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// How long a box may take to dial back, TLS included. More than dialling takes: the request goes first.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many may wait for a connection at the same time: as many as can be asked for at once.
const MAX_WAITING: usize = MAX_DIAL_BACKS as usize;

/// The other end is in a link: each item asks for one connection.
type Asks = mpsc::Sender<()>;

/// What one box is asked for, and who waits for it. `S` is a connection.
pub(super) struct DialBacks<S> {
    link: watch::Sender<Option<Asks>>,
    waiting: Mutex<VecDeque<oneshot::Sender<S>>>,
}

impl<S> DialBacks<S> {
    pub(super) fn new() -> Self {
        Self { link: watch::Sender::new(None), waiting: Mutex::new(VecDeque::new()) }
    }

    /// A link has begun. What comes out at the receiver is to be asked of the box; a receiver that is closed
    /// means that the link has ended.
    pub(super) fn link_begun(&self) -> mpsc::Receiver<()> {
        let (asks, wanted) = mpsc::channel(MAX_WAITING);
        self.link.send_replace(Some(asks));
        wanted
    }

    /// Whether there is a link to ask over.
    pub(super) fn linked(&self) -> bool {
        is_open(&self.link.borrow())
    }

    /// Waits until there is a link to ask over.
    pub(super) async fn until_linked(&self) {
        // The sender is ours, so waiting can't fail.
        let _ = self.link.subscribe().wait_for(is_open).await;
    }

    /// Asks for a connection and waits for it.
    ///
    /// # Errors
    /// When there is no link, too many wait already, or none comes in time.
    pub(super) async fn connection(&self) -> io::Result<S> {
        let asks = self.link.borrow().clone();
        let asks = asks.ok_or_else(|| io::Error::other("the box has no link to ask over"))?;
        let arrival = self.wait_in_line()?;
        asks.try_send(()).map_err(|_| io::Error::other("the box is asked for too much at once"))?;
        tokio::select! {
            // Cancel-safe, both: whoever stops waiting is passed over.
            arrived = timeout(PATIENCE, arrival) => match arrived {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(_)) | Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the box did not dial back")),
            },
            () = asks.closed() => Err(io::Error::other("the link was lost before the box dialled back")),
        }
    }

    /// A box has dialled back. Gives the stream back when nobody waits for it.
    pub(super) fn arrived(&self, mut stream: S) -> Result<(), S> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(first) = waiting.pop_front() {
            match first.send(stream) {
                Ok(()) => return Ok(()),
                Err(back) => stream = back,
            }
        }
        Err(stream)
    }

    fn wait_in_line(&self) -> io::Result<oneshot::Receiver<S>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| !one.is_closed());
        if waiting.len() >= MAX_WAITING {
            return Err(io::Error::other("too many wait for the box to dial back"));
        }
        let (place, arrival) = oneshot::channel();
        waiting.push_back(place);
        Ok(arrival)
    }
}

fn is_open(link: &Option<Asks>) -> bool {
    link.as_ref().is_some_and(|asks| !asks.is_closed())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_arrives_goes_to_the_first_who_still_waits() {
        let box_ = DialBacks::new();
        let mut wanted = box_.link_begun();
        let (gone, first, second) = (box_.connection(), box_.connection(), box_.connection());
        let (mut gone, mut first, mut second) = (Box::pin(gone), Box::pin(first), Box::pin(second));
        for waits in [&mut gone, &mut first, &mut second] {
            assert!(waits.as_mut().now_or_never().is_none());
            assert_eq!(wanted.try_recv(), Ok(()), "one is asked for");
        }
        drop(gone);
        assert_eq!(box_.arrived(1), Ok(()));
        assert_eq!(box_.arrived(2), Ok(()));
        assert_eq!(box_.arrived(3), Err(3), "nobody waits for a third");
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 2));
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let box_ = DialBacks::<u8>::new();
        let _wanted = box_.link_begun();
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(box_.connection())).collect();
        assert!(waiting.iter_mut().all(|waits| waits.as_mut().now_or_never().is_none()));
        assert!(box_.connection().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_or_over_a_lost_link() {
        let box_ = DialBacks::<u8>::new();
        assert!(!box_.linked() && box_.connection().await.is_err(), "there is no link yet");
        let wanted = box_.link_begun();
        assert!(box_.linked());
        assert_eq!(box_.connection().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let begun = tokio::time::Instant::now();
        let (outcome, ()) = tokio::join!(box_.connection(), async { drop(wanted) });
        assert!(outcome.is_err() && begun.elapsed() < PATIENCE);
        assert!(!box_.linked());
    }

    #[tokio::test]
    async fn a_new_link_takes_over_and_wakes_who_waits_for_one() {
        let box_ = DialBacks::<u8>::new();
        let mut waits = Box::pin(box_.until_linked());
        assert!(waits.as_mut().now_or_never().is_none());
        let old = box_.link_begun();
        waits.await;
        let new = box_.link_begun();
        drop(old);
        assert!(box_.linked(), "the end of an older link changes nothing");
        drop(new);
        assert!(!box_.linked());
    }
}
