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

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use berth_protocol::door::Role;
use berth_protocol::ids::ClientId;
use berth_protocol::terminal::{Activity, FromRelay, MAX_PRESENT, Present};
use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::size::Size;
use lease::Lease;

/// How long somebody counts as typing after a key.
const TYPING: Duration = Duration::from_secs(5);

/// Silence of a page after which nobody seems to look at it.
const STALE: Duration = Duration::from_secs(120);

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

#[derive(Debug, Default)]
struct State {
    next: u64,
    seats: BTreeMap<u64, Occupant>,
    lease: Lease,
    /// What the client that decides wanted last.
    size: Option<Size>,
    /// What the session was renamed to while somebody was there.
    title: Option<String>,
}

#[derive(Debug)]
struct Occupant {
    sitter: Sitter,
    wants: Option<Size>,
    /// The size that its box was told.
    given: Option<Size>,
    /// Whether it has yet to be told the session's new name.
    renamed: bool,
    typed: Option<Instant>,
    heard: Instant,
    hidden: bool,
    told: Activity,
    bell: Arc<Bell>,
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
        if sitter.may_lead() {
            state.lease.joined(&sitter.client);
        }
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
        state.ring_all();
        drop(state);
        Seat { room: self.clone(), key, bell }
    }

    /// Whether somebody's screen decides the size.
    #[must_use]
    pub fn is_led(&self) -> bool {
        self.state().lease.holder().is_some()
    }

    /// Whether a client has typed within `lately`.
    #[must_use]
    pub fn typed_since(&self, client: &ClientId, now: Instant, lately: Duration) -> bool {
        let typed = |one: &Occupant| one.typed.is_some_and(|typed| now < typed + lately);
        self.state().seats.values().any(|one| one.sitter.client == *client && typed(one))
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
        let mut news = state.lease.holder() != before.as_ref();
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

impl State {
    fn ring_all(&self) {
        self.seats.values().for_each(|occupant| occupant.bell.ring());
    }

    /// Takes over the size that the client which decides wants. It may have several connections at a time, of
    /// which the newest is the one that lives. Whether it is another than before.
    fn follow_holder(&mut self) -> bool {
        let Some(holder) = self.lease.holder() else { return false };
        let newest =
            self.seats.values().rev().find(|one| one.sitter.client == *holder && one.wants.is_some());
        let Some(size) = newest.and_then(|one| one.wants) else { return false };
        self.size.replace(size) != Some(size)
    }

    /// The size that a seat's box is to be told.
    fn size_for(&self, key: u64) -> Option<Size> {
        let one = self.seats.get(&key)?;
        let wants = one.wants?;
        Some(if one.sitter.page { self.size.unwrap_or(wants) } else { wants })
    }

    fn leads(&self, occupant: &Occupant) -> bool {
        self.lease.holder() == Some(&occupant.sitter.client)
    }

    /// Whether a seat's size counts at its box, if that is another than the box was told, and takes it for told. The
    /// box of a page always follows what it is told.
    fn recount(&mut self, key: u64) -> Option<bool> {
        let one = self.seats.get(&key)?;
        let counts = self.leads(one);
        let one = self.seats.get_mut(&key)?;
        let fixed = one.sitter.page || !one.sitter.may_lead() || one.given.is_none();
        let told = if fixed { counts } else { std::mem::replace(&mut one.sitter.sized, counts) };
        (told != counts).then_some(counts)
    }

    fn presence_for(&self, key: u64) -> FromRelay {
        let me = self.seats.get(&key).map(|one| &one.sitter.client);
        let mut clients: Vec<Present> = Vec::new();
        for one in self.seats.values() {
            // A connection that is about to die beside its successor is nobody else.
            if clients.iter().any(|present| present.client == one.sitter.client) {
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
    fn activity(&self, now: Instant) -> Activity {
        if self.typed.is_some_and(|typed| now < typed + TYPING) {
            Activity::Typing
        } else if self.hidden || (self.sitter.page && now >= self.heard + STALE) {
            Activity::Away
        } else {
            Activity::Watching
        }
    }

    /// Finds out what it does; whether that is news.
    fn update(&mut self, now: Instant) -> bool {
        let activity = self.activity(now);
        std::mem::replace(&mut self.told, activity) != activity
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
            state.ring_all();
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
        state.follow_holder();
        state.ring_all();
    }
}

#[cfg(test)]
mod tests;
