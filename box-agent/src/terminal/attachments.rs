//! Attachments: who is attached to which session, and the ids that let a terminal in, once.
//!
//! ```text
//!   mint ─▶ pending ── redeem, once, within 30 s ─▶ live ── the terminal's connection ends ─▶ gone
//!              └───── expires, or its stream ends ─────────────────────────────────────────▶ gone
//! ```
//!
//! While it is live, its program is known: [`usher`](super::usher) sees to it that it goes when its stream has ended.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use berth_protocol::door::Role;
use berth_protocol::ids::{AttachmentId, ClientId, RequestId, SessionId};
use tokio::sync::watch;

use crate::host::process::Process;

/// How long an id waits for its terminal.
const LIFETIME: Duration = Duration::from_secs(30);

/// Ids that may wait at the same time: far more than a box has terminals.
const MAX_PENDING: usize = 256;

/// What an attachment is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The session to attach to.
    pub session: SessionId,
    /// What may be done there.
    pub role: Role,
    /// Whether its size counts for the session.
    pub sized: bool,
    /// Who attaches.
    pub client: ClientId,
    /// The request that asked for it, as the logs name it.
    pub request_id: RequestId,
}

/// Too many ids are waiting for their terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_PENDING} terminals are being opened at the same time; try again in a moment")]
pub struct TooMany;

/// All attachments of a box. Clones share them.
#[derive(Debug, Clone)]
pub struct Attachments {
    registry: Arc<Mutex<Registry>>,
    live: watch::Sender<BTreeMap<SessionId, u32>>,
}

#[derive(Debug, Default)]
struct Registry {
    pending: HashMap<AttachmentId, (Grant, Instant)>,
    live: HashMap<AttachmentId, Process>,
}

/// A live attachment: it counts until this is dropped.
#[derive(Debug)]
pub struct Live {
    /// What it is for.
    pub grant: Grant,
    id: AttachmentId,
    attachments: Attachments,
}

/// An id that waits: dropped, it is void.
#[derive(Debug)]
pub struct Minted {
    /// The id.
    pub id: AttachmentId,
    attachments: Attachments,
}

impl Default for Attachments {
    fn default() -> Self {
        Self { registry: Arc::default(), live: watch::Sender::new(BTreeMap::new()) }
    }
}

impl Attachments {
    /// An id for a terminal that is about to attach.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn mint(&self, grant: Grant) -> Result<Minted, TooMany> {
        let id = self.registry(|registry| registry.mint(grant, Instant::now()))?;
        Ok(Minted { id, attachments: self.clone() })
    }

    /// Takes an id, which is void from then on. `program` is what will show the terminal, where that is known.
    #[must_use]
    pub fn redeem(&self, id: &AttachmentId, program: Option<Process>) -> Option<Live> {
        let grant = self.registry(|registry| {
            let grant = registry.redeem(id, Instant::now())?;
            registry.live.extend(program.map(|program| (id.clone(), program)));
            Some(grant)
        })?;
        self.live.send_modify(|counts| *counts.entry(grant.session.clone()).or_default() += 1);
        Some(Live { grant, id: id.clone(), attachments: self.clone() })
    }

    /// How many terminals each session has, as it changes.
    #[must_use]
    pub fn presence(&self) -> watch::Receiver<BTreeMap<SessionId, u32>> {
        self.live.subscribe()
    }

    fn registry<T>(&self, work: impl FnOnce(&mut Registry) -> T) -> T {
        // A panic elsewhere leaves the map whole: every change is one insertion or removal.
        work(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Registry {
    fn mint(&mut self, grant: Grant, now: Instant) -> Result<AttachmentId, TooMany> {
        self.pending.retain(|_, (_, expires)| *expires > now);
        if self.pending.len() >= MAX_PENDING {
            return Err(TooMany);
        }
        let id = AttachmentId::random();
        self.pending.insert(id.clone(), (grant, now + LIFETIME));
        Ok(id)
    }

    fn redeem(&mut self, id: &AttachmentId, now: Instant) -> Option<Grant> {
        let (grant, expires) = self.pending.remove(id)?;
        (expires > now).then_some(grant)
    }
}

impl Minted {
    /// Its stream has ended. The program that shows the terminal, if it came so far and has not gone yet.
    #[must_use]
    pub fn end(self) -> Option<Process> {
        self.attachments.registry(|registry| {
            registry.pending.remove(&self.id);
            registry.live.get(&self.id).cloned()
        })
    }
}

impl Drop for Minted {
    fn drop(&mut self) {
        self.attachments.registry(|registry| registry.pending.remove(&self.id));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.attachments.registry(|registry| registry.live.remove(&self.id));
        self.attachments.live.send_modify(|counts| {
            if let Some(count) = counts.get_mut(&self.grant.session) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&self.grant.session);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            session: SessionId::random(),
            role: Role::Editor,
            sized: true,
            client: ClientId::random(),
            request_id: RequestId::random(),
        }
    }

    #[test]
    fn an_id_works_once() {
        let attachments = Attachments::default();
        let minted = attachments.mint(grant()).unwrap();
        assert!(attachments.redeem(&AttachmentId::random(), None).is_none());
        assert!(attachments.redeem(&minted.id, None).is_some());
        assert!(attachments.redeem(&minted.id, None).is_none());
    }

    #[test]
    fn an_id_expires_and_ends_with_its_stream() {
        let mut registry = Registry::default();
        let now = Instant::now();
        let id = registry.mint(grant(), now).unwrap();
        assert_eq!(registry.redeem(&id, now + LIFETIME), None);
        let id = registry.mint(grant(), now).unwrap();
        assert!(registry.redeem(&id, now + LIFETIME - Duration::from_millis(1)).is_some());

        let attachments = Attachments::default();
        let minted = attachments.mint(grant()).unwrap();
        let id = minted.id.clone();
        drop(minted);
        assert!(attachments.redeem(&id, None).is_none());
    }

    #[test]
    fn a_stream_that_ends_knows_the_program_that_is_left() {
        let attachments = Attachments::default();
        let program = Process::with_id(std::process::id().try_into().unwrap());
        let open = || {
            let minted = attachments.mint(grant()).unwrap();
            let live = attachments.redeem(&minted.id, program.clone()).unwrap();
            (minted, live)
        };
        let (minted, live) = open();
        assert_eq!(minted.end(), program);
        drop(live);
        let (minted, live) = open();
        drop(live);
        assert_eq!(minted.end(), None, "it is gone");
        let minted = attachments.mint(grant()).unwrap();
        let id = minted.id.clone();
        assert_eq!(minted.end(), None, "it never came");
        assert!(attachments.redeem(&id, program.clone()).is_none());
    }

    #[test]
    fn waiting_ids_are_bounded_and_expired_ones_make_room() {
        let mut registry = Registry::default();
        let now = Instant::now();
        assert!((0..MAX_PENDING).all(|_| registry.mint(grant(), now).is_ok()));
        assert_eq!(registry.mint(grant(), now), Err(TooMany));
        assert!(registry.mint(grant(), now + LIFETIME).is_ok());
    }

    #[test]
    fn presence_counts_live_terminals() {
        let attachments = Attachments::default();
        let presence = attachments.presence();
        let grant = grant();
        let attach = || {
            let minted = attachments.mint(grant.clone()).unwrap();
            attachments.redeem(&minted.id, None).unwrap()
        };
        let (one, two) = (attach(), attach());
        assert_eq!(presence.borrow().get(&grant.session), Some(&2));
        drop(one);
        assert_eq!(presence.borrow().get(&grant.session), Some(&1));
        drop(two);
        assert!(presence.borrow().is_empty());
    }
}
