//! Who is attached to what, by which right.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use berth_protocol::door::Role;
use berth_protocol::ids::{ClientId, InstanceId, SessionId, ShareId, UserId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::former::{Former, Who};
use crate::relay::{Closing, Room, Seat, Sitter};
use crate::store::{BrowserSession, Ended, Held, Holder};

/// Every open terminal of this gateway.
#[derive(Clone, Default)]
pub struct Terminals(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    next: u64,
    draining: bool,
    terminals: HashMap<u64, (Attached, oneshot::Sender<Closing>)>,
    rooms: HashMap<SessionId, Room>,
    former: Former,
}

/// What is attached to what, by whom.
#[derive(Debug, Clone)]
pub struct Attached {
    /// The session.
    pub session: SessionId,
    /// The instance on which it runs.
    pub instance: InstanceId,
    /// Who was given the ticket.
    pub holder: Holder,
    /// What they may do there.
    pub role: Role,
    /// The tab or program.
    pub client: ClientId,
}

impl Attached {
    fn held(&self) -> Held {
        (self.holder.clone(), self.session.clone(), self.role)
    }
}

/// A terminal's place in the registry, given up when dropped.
pub struct Registration {
    /// How the terminal of the same client at the same session ended that was before this one, if there was one.
    pub former: Option<&'static str>,
    terminals: Terminals,
    key: u64,
    who: Who,
    ended: Option<&'static str>,
}

impl Registration {
    /// Notes how the terminal ended, for the next of its client.
    pub fn ended(&mut self, reason: &'static str) {
        self.ended = Some(reason);
    }
}

impl Terminals {
    /// Registers a terminal and gives it a seat at its session. The receiver tells when the gateway wants it to
    /// end.
    #[must_use]
    pub fn register(
        &self,
        attached: Attached,
        sitter: Sitter,
    ) -> (Registration, Seat, oneshot::Receiver<Closing>) {
        let (end, ended) = oneshot::channel();
        let mut open = self.open();
        open.next += 1;
        let key = open.next;
        let who = (sitter.client.clone(), attached.session.clone());
        let former = open.former.opened(&who);
        let room = open.rooms.entry(attached.session.clone()).or_default();
        let seat = room.sit(sitter, Instant::now());
        if open.draining {
            // The receiver exists: it is returned below.
            let _ = end.send(Closing::draining());
        } else {
            open.terminals.insert(key, (attached, end));
        }
        drop(open);
        (Registration { former, terminals: self.clone(), key, who, ended: None }, seat, ended)
    }

    /// Whether somebody's screen decides the size of a session.
    #[must_use]
    pub fn is_led(&self, session: &SessionId) -> bool {
        self.open().rooms.get(session).is_some_and(Room::is_led)
    }

    /// A session has another name: clients that show it as their title are told.
    pub fn rename_session(&self, session: &SessionId, name: &str) {
        if let Some(room) = self.open().rooms.get(session) {
            room.rename(name);
        }
    }

    /// Ends every terminal of a session.
    pub fn end_session(&self, session: &SessionId) {
        self.end(|attached| attached.session == *session, &Closing::gone());
    }

    /// Ends every terminal of an instance that lost its workspace; pages attach to the new one.
    pub fn end_instance(&self, instance: &InstanceId) {
        self.end(|attached| attached.instance == *instance, &Closing::box_lost());
    }

    /// Ends every terminal of a browser that was signed out.
    pub fn end_browser_session(&self, browser: &BrowserSession) {
        let theirs = |holder: &Holder| matches!(holder, Holder::User(_, other) if other == browser);
        self.end(|attached| theirs(&attached.holder), &Closing::revoked());
    }

    /// Ends the terminals of a share's guest.
    pub fn end_share(&self, share: &ShareId) {
        let theirs = |holder: &Holder| matches!(holder, Holder::Guest(other) if other == share);
        self.end(|attached| theirs(&attached.holder), &Closing::revoked());
    }

    /// Ends every terminal of what has ended.
    pub fn end_ended(&self, ended: &Ended) {
        ended.sessions.iter().for_each(|session| self.end_session(session));
        self.end(|attached| ended.rights.contains(&attached.held()), &Closing::revoked());
    }

    /// The rights by which terminals are open.
    #[must_use]
    pub fn held(&self) -> HashSet<Held> {
        self.open().terminals.values().map(|(attached, _)| attached.held()).collect()
    }

    /// Who has typed where within `lately`: these users need not be told of it.
    #[must_use]
    pub fn typed_since(&self, now: Instant, lately: Duration) -> HashSet<(UserId, SessionId)> {
        let open = self.open();
        // Of thousands of terminals few are typed in, and this is asked every second.
        let typed: HashMap<_, _> = open
            .rooms
            .iter()
            .map(|(session, room)| (session, room.typed_since(now, lately)))
            .filter(|(_, clients)| !clients.is_empty())
            .collect();
        if typed.is_empty() {
            return HashSet::new();
        }
        let typists = open.terminals.values().filter_map(|(attached, _)| {
            let Holder::User(user, _) = &attached.holder else { return None };
            let clients = typed.get(&attached.session)?;
            clients.contains(&attached.client).then(|| (user.clone(), attached.session.clone()))
        });
        typists.collect()
    }

    /// Lets time pass in every room, and forgets those that are of no use any more.
    pub fn sweep_rooms(&self, now: Instant) {
        let mut open = self.open();
        open.rooms.retain(|_, room| room.sweep(now));
        open.former.sweep(now);
    }

    fn end(&self, which: impl Fn(&Attached) -> bool, closing: &Closing) {
        let ended = self.open().terminals.extract_if(|_, (of, _)| which(of)).collect::<Vec<_>>();
        for (_, (_, end)) in ended {
            // A terminal that ends by itself at this moment needs no telling.
            let _ = end.send(closing.clone());
        }
    }

    /// Ends every terminal, and those that come later, because the gateway stops.
    pub fn drain(&self) {
        let mut open = self.open();
        open.draining = true;
        for (_, (_, end)) in open.terminals.drain() {
            let _ = end.send(Closing::draining());
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut open = self.terminals.open();
        open.terminals.remove(&self.key);
        open.former.closed(&self.who, self.ended, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached() -> Attached {
        held_by(Holder::User(UserId::random(), BrowserSession::of_token("token")))
    }

    fn held_by(holder: Holder) -> Attached {
        let (session, instance, client) = (SessionId::random(), InstanceId::random(), ClientId::random());
        Attached { session, instance, holder, role: Role::Editor, client }
    }

    fn register(
        terminals: &Terminals,
        attached: Attached,
    ) -> (Registration, Seat, oneshot::Receiver<Closing>) {
        let sitter = Sitter {
            client: attached.client.clone(),
            name: "n".into(),
            device: "d".into(),
            role: Role::Editor,
            page: true,
            sized: true,
        };
        terminals.register(attached, sitter)
    }

    #[test]
    fn only_what_is_meant_ends_and_it_is_told_why() {
        let terminals = Terminals::default();
        let other = BrowserSession::of_token("other");
        let other_browser = held_by(Holder::User(UserId::random(), other.clone()));
        let share = ShareId::random();
        let guest = held_by(Holder::Guest(share.clone()));
        let all = [attached(), attached(), other_browser, guest, attached(), attached()];
        let mut ends: Vec<_> = all.iter().map(|one| register(&terminals, one.clone())).collect();
        terminals.end_session(&all[0].session);
        terminals.end_instance(&all[1].instance);
        terminals.end_browser_session(&other);
        terminals.end_share(&share);
        terminals.end_ended(&Ended { rights: HashSet::from([all[4].held()]), ..Ended::default() });
        assert_eq!(terminals.held(), HashSet::from([all[5].held()]));
        let told: Vec<_> = ends.iter_mut().map(|(_, _, end)| end.try_recv().ok()).collect();
        let revoked = || Some(Closing::revoked());
        let expected =
            [Some(Closing::gone()), Some(Closing::box_lost()), revoked(), revoked(), revoked(), None];
        assert_eq!(told, expected);
    }

    #[test]
    fn who_types_is_known_by_user_and_a_guest_is_nobody() {
        let terminals = Terminals::default();
        let (user, guest) = (attached(), held_by(Holder::Guest(ShareId::random())));
        let (_mine, my_seat, _my_end) = register(&terminals, user.clone());
        let (_theirs, guests_seat, _their_end) = register(&terminals, guest);
        // Another one who looks on at the same session.
        let onlooker = Attached { session: user.session.clone(), ..attached() };
        let _onlooker = register(&terminals, onlooker);
        let (now, lately) = (Instant::now(), Duration::from_secs(20));
        assert!(terminals.typed_since(now, lately).is_empty(), "a terminal that is open proves nothing");
        guests_seat.typed(now);
        assert!(terminals.typed_since(now, lately).is_empty());
        my_seat.typed(now);
        let Holder::User(id, _) = user.holder else { unreachable!("made so") };
        assert_eq!(terminals.typed_since(now, lately), HashSet::from([(id, user.session)]));
        assert!(terminals.typed_since(now + lately, lately).is_empty());
    }

    #[test]
    fn a_stopping_gateway_takes_no_terminal() {
        let terminals = Terminals::default();
        let (_early, _, mut early) = register(&terminals, attached());
        terminals.drain();
        let (_late, _, mut late) = register(&terminals, attached());
        assert_eq!(early.try_recv().unwrap(), Closing::draining());
        assert_eq!(late.try_recv().unwrap(), Closing::draining());
    }

    #[test]
    fn a_closed_terminal_leaves_nothing_behind() {
        let terminals = Terminals::default();
        drop(register(&terminals, attached()));
        assert!(terminals.open().terminals.is_empty());
        terminals.sweep_rooms(Instant::now() + Duration::from_mins(1));
        let open = terminals.open();
        assert!(open.rooms.is_empty() && open.former.is_empty());
    }
}
