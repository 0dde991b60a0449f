//! Everyone at one session: who is there, what they do, and whose screen decides the size.
//!
//! tmux takes the size of whichever client typed last, so a phone that joins would shrink the desk. Here every
//! terminal of a session is given one size instead, that of the client which holds the [`lease`], and pages show
//! the whole of it as well as they can. A client that speaks ttyd's protocol alone can't be told a size: it keeps
//! its own, and the box ignores that unless it holds the lease. Which of both its box was told stands in the command
//! line of tmux, so that its terminal is attached anew when it changes.
//!
//! ```text
//!   relay ── wants, typed, hidden, take ──▶ Seat ─▶ Room ─▶ lease
//!   relay ◀── news: a size, and who is there ─ Seat ◀── wakes everyone whom it concerns
//! ```
//!
//! A room is this gateway's and lives in memory: it is about connections, and they end with it.

mod lease;
mod state;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use berth_protocol::door::Role;
use berth_protocol::ids::ClientId;
use berth_protocol::terminal::{Activity, FromRelay};
use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::size::Size;
use state::{Occupant, State};

/// Whoever sits down.
#[derive(Debug, Clone)]
pub struct Sitter {
    /// The tab or program.
    pub client: ClientId,
    /// Whose it is.
    pub name: String,
    /// What it runs on.
    pub device: String,
    /// What it may do.
    pub role: Role,
    /// Whether it is our page, which can show any size and says whether it is looked at.
    pub page: bool,
    /// Whether its size counts at the box, as that was told when its terminal was opened.
    pub sized: bool,
}

impl Sitter {
    /// Whether its screen may decide the size.
    fn may_lead(&self) -> bool {
        self.role == Role::Editor
    }
}

/// Everyone at one session. Clones are the same room.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<Mutex<State>>);

/// A terminal's place in a room, given up when dropped.
#[derive(Debug)]
pub struct Seat {
    room: Room,
    key: u64,
    bell: Arc<Bell>,
}

/// What a terminal should know now.
#[derive(Debug)]
pub struct News {
    /// The size that the box is to be told, if it is another than before.
    pub size: Option<Size>,
    /// Whether the client's size counts at the box, if that is another than before.
    pub counts: Option<bool>,
    /// The session's name, for a client that shows it as its title, if it is another than before.
    pub title: Option<String>,
    /// The size, for the page.
    pub lease: Option<FromRelay>,
    /// Who is there, for the page.
    pub presence: FromRelay,
}

/// Wakes one terminal.
#[derive(Debug, Default)]
struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Room {
    /// Takes a seat.
    #[must_use]
    pub fn sit(&self, sitter: Sitter, now: Instant) -> Seat {
        let bell = Arc::new(Bell::default());
        let mut state = self.state();
        let before = state.lease.holder().cloned();
        if sitter.may_lead() {
            state.lease.joined(&sitter.client);
        }
        let led_anew = state.lease.holder() != before.as_ref();
        state.next += 1;
        let key = state.next;
        let occupant = Occupant {
            sitter,
            wants: None,
            given: None,
            renamed: false,
            typed: None,
            heard: now,
            hidden: false,
            told: Activity::Watching,
            bell: bell.clone(),
        };
        state.seats.insert(key, occupant);
        if led_anew {
            state.ring_all();
        } else {
            state.stir();
        }
        drop(state);
        bell.ring();
        Seat { room: self.clone(), key, bell }
    }

    /// Whether somebody's screen decides the size.
    #[must_use]
    pub fn is_led(&self) -> bool {
        self.state().lease.holder().is_some()
    }

    /// The clients that have typed within `lately`.
    #[must_use]
    pub fn typed_since(&self, now: Instant, lately: Duration) -> HashSet<ClientId> {
        let typed = |one: &&Occupant| one.typed.is_some_and(|typed| now < typed + lately);
        self.state().seats.values().filter(typed).map(|one| one.sitter.client.clone()).collect()
    }

    /// The session has another name.
    pub fn rename(&self, title: &str) {
        let mut state = self.state();
        state.title = Some(title.to_owned());
        state.seats.values_mut().for_each(|one| one.renamed = !one.sitter.page);
        state.ring_all();
    }

    /// Lets time pass: claims of clients that left end, and who stopped to type or to look is told. Whether the
    /// room is still of use: it remembers for a while who was there.
    pub fn sweep(&self, now: Instant) -> bool {
        let mut state = self.state();
        let before = state.lease.holder().cloned();
        let heir =
            state.seats.values().find(|one| one.sitter.may_lead()).map(|one| one.sitter.client.clone());
        state.lease.expire(now, heir.as_ref());
        let mut news = std::mem::take(&mut state.stirred) || state.lease.holder() != before.as_ref();
        for occupant in state.seats.values_mut() {
            news |= occupant.update(now);
        }
        if news {
            state.follow_holder();
            state.ring_all();
        }
        !state.seats.is_empty() || state.lease.holder().is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// A seat in a room of its own.
    #[must_use]
    pub fn alone(role: Role) -> Self {
        let sitter = Sitter {
            client: ClientId::random(),
            name: String::new(),
            device: String::new(),
            role,
            page: true,
            sized: true,
        };
        Room::default().sit(sitter, Instant::now())
    }

    /// The client's screen has this size; the size that the box is to be told.
    #[must_use]
    pub fn wants(&self, size: Size) -> Size {
        let mut state = self.room.state();
        if let Some(me) = state.seats.get_mut(&self.key) {
            me.wants = Some(size);
        }
        if state.follow_holder() {
            state.ring_all();
        }
        let given = state.size_for(self.key).unwrap_or(size);
        if let Some(me) = state.seats.get_mut(&self.key)
            && me.given.replace(given).is_none()
        {
            // Until now its page could not be told a size.
            self.bell.ring();
        }
        given
    }

    /// Whether there is a size that the box could be told when it is begun anew.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.room.state().size_for(self.key).is_some()
    }

    /// The size that the box is to be told when it is begun anew; none before it was begun at all.
    #[must_use]
    pub fn size(&self) -> Option<Size> {
        let mut state = self.room.state();
        let size = state.size_for(self.key)?;
        let me = state.seats.get_mut(&self.key)?;
        me.given = Some(size);
        Some(size)
    }

    /// Whether the client's size counts at the box, as that was told last.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.room.state().seats.get(&self.key).is_some_and(|me| me.sitter.sized)
    }

    /// The client has typed.
    pub fn typed(&self, now: Instant) {
        self.note(now, |me| me.typed = Some(now));
    }

    /// The page has said whether it is hidden.
    pub fn hidden(&self, hidden: bool, now: Instant) {
        self.note(now, |me| {
            me.hidden = hidden;
            me.heard = now;
        });
    }

    /// The client wants to decide the size, or gives that back. One that only watches can't.
    pub fn lead(&self, take: bool) {
        let mut state = self.room.state();
        let Some(me) = state.seats.get(&self.key).filter(|me| me.sitter.may_lead()) else { return };
        let client = me.sitter.client.clone();
        if take {
            state.lease.take(&client);
        } else {
            state.lease.give_back(&client);
        }
        state.follow_holder();
        state.ring_all();
    }

    /// Ready when there is something new to know, by [`Self::news`].
    pub fn poll_news(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.bell.waker.register(cx.waker());
        if self.bell.rung.swap(false, Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// What there is to know.
    #[must_use]
    pub fn news(&self) -> News {
        let mut state = self.room.state();
        let size = state.size_for(self.key);
        let mine = state.seats.get(&self.key).is_some_and(|me| state.leads(me));
        let presence = state.presence_for(self.key);
        let counts = state.recount(self.key);
        let renamed = state.seats.get_mut(&self.key).is_some_and(|me| std::mem::take(&mut me.renamed));
        let title = state.title.clone().filter(|_| renamed);
        let lease = size.map(|size| {
            let (columns, rows) = size.parts();
            FromRelay::Lease { columns, rows, mine }
        });
        let me = state.seats.get_mut(&self.key);
        // A terminal that has not begun is told its size when it does.
        let size = me.filter(|me| me.given.is_some() && me.given != size).and_then(|me| {
            me.given = size;
            size
        });
        News { size, counts, title, lease, presence }
    }

    fn note(&self, now: Instant, change: impl FnOnce(&mut Occupant)) {
        let mut state = self.room.state();
        let Some(me) = state.seats.get_mut(&self.key) else { return };
        change(me);
        if me.update(now) {
            state.stir();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.room.state();
        let Some(me) = state.seats.remove(&self.key) else { return };
        let client = me.sitter.client;
        if !state.seats.values().any(|other| other.sitter.client == client) {
            state.lease.left(&client, Instant::now());
        }
        if state.follow_holder() {
            state.ring_all();
        } else {
            state.stir();
        }
    }
}

#[cfg(test)]
mod tests;
