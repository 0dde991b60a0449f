//! Who sits in a room, and what follows of it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use berth_protocol::terminal::{Activity, FromRelay, MAX_PRESENT, Present};
use tokio::time::Instant;

use super::lease::Lease;
use super::{Bell, Sitter};
use crate::relay::size::Size;

/// How long somebody counts as typing after a key.
pub(super) const TYPING: Duration = Duration::from_secs(5);

/// Silence of a page after which nobody seems to look at it.
pub(super) const STALE: Duration = Duration::from_secs(120);

/// More than so many at one session are told together who came, went or types, when the room is swept: each telling
/// everyone else at once would be a message for each pair of them.
const CROWD: usize = 16;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) next: u64,
    pub(super) seats: BTreeMap<u64, Occupant>,
    pub(super) lease: Lease,
    /// What the client that decides wanted last.
    pub(super) size: Option<Size>,
    /// What the session was renamed to while somebody was there.
    pub(super) title: Option<String>,
    /// Whether there is something that a crowd has yet to be told.
    pub(super) stirred: bool,
}

#[derive(Debug)]
pub(super) struct Occupant {
    pub(super) sitter: Sitter,
    pub(super) wants: Option<Size>,
    /// The size that its box was told.
    pub(super) given: Option<Size>,
    /// Whether it has yet to be told the session's new name.
    pub(super) renamed: bool,
    pub(super) typed: Option<Instant>,
    pub(super) heard: Instant,
    pub(super) hidden: bool,
    pub(super) told: Activity,
    pub(super) bell: Arc<Bell>,
}

impl State {
    pub(super) fn ring_all(&self) {
        self.seats.values().for_each(|occupant| occupant.bell.ring());
    }

    /// Tells everyone who is there, a crowd a little later.
    pub(super) fn stir(&mut self) {
        if self.seats.len() > CROWD {
            self.stirred = true;
        } else {
            self.ring_all();
        }
    }

    /// Takes over the size that the client which decides wants. It may have several connections at a time, of
    /// which the newest is the one that lives. Whether it is another than before.
    pub(super) fn follow_holder(&mut self) -> bool {
        let Some(holder) = self.lease.holder() else { return false };
        let newest =
            self.seats.values().rev().find(|one| one.sitter.client == *holder && one.wants.is_some());
        let Some(size) = newest.and_then(|one| one.wants) else { return false };
        self.size.replace(size) != Some(size)
    }

    /// The size that a seat's box is to be told.
    pub(super) fn size_for(&self, key: u64) -> Option<Size> {
        let one = self.seats.get(&key)?;
        let wants = one.wants?;
        Some(if one.sitter.page { self.size.unwrap_or(wants) } else { wants })
    }

    pub(super) fn leads(&self, occupant: &Occupant) -> bool {
        self.lease.holder() == Some(&occupant.sitter.client)
    }

    /// Whether a seat's size counts at its box, if that is another than the box was told, and takes it for told. The
    /// box of a page always follows what it is told.
    pub(super) fn recount(&mut self, key: u64) -> Option<bool> {
        let one = self.seats.get(&key)?;
        let counts = self.leads(one);
        let one = self.seats.get_mut(&key)?;
        let fixed = one.sitter.page || !one.sitter.may_lead() || one.given.is_none();
        let told = if fixed { counts } else { std::mem::replace(&mut one.sitter.sized, counts) };
        (told != counts).then_some(counts)
    }

    pub(super) fn presence_for(&self, key: u64) -> FromRelay {
        let me = self.seats.get(&key).map(|one| &one.sitter.client);
        let (mut clients, mut seen) = (Vec::new(), HashSet::new());
        for one in self.seats.values() {
            // A connection that is about to die beside its successor is nobody else.
            if !seen.insert(&one.sitter.client) {
                continue;
            }
            if clients.len() == MAX_PRESENT {
                break;
            }
            clients.push(Present {
                client: one.sitter.client.clone(),
                name: one.sitter.name.clone(),
                device: one.sitter.device.clone(),
                role: one.sitter.role,
                activity: one.told,
                me: Some(&one.sitter.client) == me,
                leads: self.leads(one),
            });
        }
        FromRelay::Presence { clients }
    }
}

impl Occupant {
    pub(super) fn activity(&self, now: Instant) -> Activity {
        if self.typed.is_some_and(|typed| now < typed + TYPING) {
            Activity::Typing
        } else if self.hidden || (self.sitter.page && now >= self.heard + STALE) {
            Activity::Away
        } else {
            Activity::Watching
        }
    }

    /// Finds out what it does; whether that is news.
    pub(super) fn update(&mut self, now: Instant) -> bool {
        let activity = self.activity(now);
        std::mem::replace(&mut self.told, activity) != activity
    }
}
