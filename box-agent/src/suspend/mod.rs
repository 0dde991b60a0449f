//! Suspension: the sessions end, the volume is let go, and the agent waits. What asks for it, and how it is.
//!
//! ```text
//!   serving ──suspend──▶ suspending ──▶ suspended ──resume──▶ resuming ──▶ serving
//!      ▲                     │ somebody holds the volume                       │
//!      └──────── resuming ◀──┘                           it does not come back └──▶ suspended
//! ```
//!
//! [`Handle`] is what the control socket and the door have; [`hook`] runs what the settings want done in between. The
//! agent does the rest, since it knows what runs on the volume.

pub mod hook;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use berth_protocol::suspend::{Holder, SuspendState, Suspension};
use tokio::sync::{mpsc, watch};

/// What is asked of the one who knows what runs on the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Let the volume go.
    Suspend,
    /// Take it back.
    Resume,
}

/// Asks for a suspension, and knows how it is. Clones are the same.
#[derive(Debug, Clone)]
pub struct Handle {
    state: watch::Sender<Suspension>,
    orders: mpsc::Sender<Order>,
    open: Arc<AtomicBool>,
}

/// A handle, and the orders that it gives.
#[must_use]
pub fn channel() -> (Handle, mpsc::Receiver<Order>) {
    // One order changes the state, and nothing else is ordered before that has led somewhere.
    let (orders, receiver) = mpsc::channel(1);
    let state = watch::Sender::new(Suspension::default());
    (Handle { state, orders, open: Arc::default() }, receiver)
}

impl Handle {
    /// From now on orders are taken: everything is started.
    pub fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// Begins a suspension, unless one has begun. Returns how it is.
    #[must_use]
    pub fn suspend(&self) -> Suspension {
        self.order(Order::Suspend, SuspendState::Serving, SuspendState::Suspending)
    }

    /// Ends one.
    #[must_use]
    pub fn resume(&self) -> Suspension {
        self.order(Order::Resume, SuspendState::Suspended, SuspendState::Resuming)
    }

    fn order(&self, order: Order, from: SuspendState, to: SuspendState) -> Suspension {
        if self.open.load(Ordering::Relaxed) {
            self.state.send_if_modified(|now| {
                let begins = now.state == from && self.orders.try_send(order).is_ok();
                if begins {
                    *now = Suspension { state: to, ..Suspension::default() };
                }
                begins
            });
            return self.now();
        }
        let message = Some("the agent is still starting: ask again when it is ready".to_owned());
        Suspension { message, ..self.now() }
    }

    /// How it is.
    #[must_use]
    pub fn now(&self) -> Suspension {
        self.state.borrow().clone()
    }

    /// How it is, as it changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Suspension> {
        self.state.subscribe()
    }

    /// Whether sessions are served.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.state.borrow().state == SuspendState::Serving
    }

    /// Says how it is.
    pub fn set(&self, state: SuspendState, message: Option<String>, holders: Vec<Holder>) {
        self.state.send_replace(Suspension { state, message, holders });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_order_is_given_at_a_time_and_only_where_it_leads_somewhere() {
        let (handle, mut orders) = channel();
        let early = handle.suspend();
        assert_eq!((early.state, early.message.is_some()), (SuspendState::Serving, true), "it is starting");
        handle.open();
        assert_eq!(handle.resume().state, SuspendState::Serving, "nothing is suspended");
        assert_eq!(orders.try_recv().ok(), None);
        for _ in 0..3 {
            assert_eq!(handle.suspend().state, SuspendState::Suspending);
            assert!(!handle.is_serving());
        }
        assert_eq!(orders.try_recv().ok(), Some(Order::Suspend));
        assert_eq!(orders.try_recv().ok(), None, "once is enough");
        assert_eq!(handle.resume().state, SuspendState::Suspending, "one thing after the other");
        handle.set(SuspendState::Suspended, None, vec![]);
        assert_eq!(handle.suspend().state, SuspendState::Suspended);
        assert_eq!(handle.resume().state, SuspendState::Resuming);
        assert_eq!(orders.try_recv().ok(), Some(Order::Resume));
    }
}
