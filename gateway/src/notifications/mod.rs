//! Tells users what their sessions need: who is told what and when, by which channel, and whether it arrived.
//!
//! ```text
//!  links ──event──▶ store: notification + inbox, one transaction ──▶ changes ──▶ event streams of pages
//!                                     │
//!                      worker ◀───────┘ due
//!                        │  plan (pure): quiet hours, mutes, rate, collapse, escalation, taking back
//!                        ▼
//!                     deliveries: a durable queue, taken by lease ──▶ send ──▶ push service, ntfy, webhook
//!                        ▲                                                          │
//!                        └── receipts: accepted ◀───────────────────────────────────┤
//!                                      shown, acted ◀── service worker ◀────────────┘
//! ```
//!
//! | file | what |
//! |---|---|
//! | `plan`, `preferences` | what is sent, and when |
//! | `inert`, `words` | a box's words as text; a message's words |
//! | `worker` | decides and sends, until the gateway stops |
//! | `send` | the ways out |
//! | `target`, `guard` | where channels lead, and where they may |
//! | `meters` | what is counted |

mod guard;
mod inert;
mod meters;
pub mod plan;
mod preferences;
mod send;
mod target;
mod words;
mod worker;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use berth_protocol::ids::UserId;
use tokio::sync::Notify;

pub use guard::{Guard, InvalidRange, IpRange};
pub use inert::inert;
pub use meters::Meters;
pub use preferences::{Preferences, Quiet};
pub use send::Sender;
pub use send::vapid::{Vapid, VapidError};
pub use target::{InvalidTarget, Target};
pub use worker::run;

/// What handlers and the worker share.
pub struct Notifications {
    /// Sends messages.
    pub sender: Sender,
    wake: Notify,
    streams: Arc<Mutex<HashMap<UserId, usize>>>,
}

impl Notifications {
    /// Nobody watches yet.
    #[must_use]
    pub fn new(sender: Sender) -> Self {
        Self { sender, wake: Notify::new(), streams: Arc::default() }
    }

    /// Something may have to be decided or sent.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// A page of the user is open until the guard is dropped.
    #[must_use]
    pub fn attend(&self, user: UserId) -> Attending {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        *streams.entry(user.clone()).or_default() += 1;
        Attending { user, streams: self.streams.clone() }
    }

    fn is_present(&self, user: &UserId) -> bool {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).contains_key(user)
    }
}

/// A page that is open.
pub struct Attending {
    user: UserId,
    streams: Arc<Mutex<HashMap<UserId, usize>>>,
}

impl Drop for Attending {
    fn drop(&mut self) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = streams.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                streams.remove(&self.user);
            }
        }
    }
}
