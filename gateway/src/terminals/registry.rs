//! Who is attached to what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use berth_protocol::ids::{InstanceId, SessionId};
use tokio::sync::oneshot;

use crate::relay::Closing;
use crate::store::BrowserSession;

/// Every open terminal of this gateway.
#[derive(Clone, Default)]
pub struct Terminals(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    next: u64,
    draining: bool,
    terminals: HashMap<u64, (Attached, oneshot::Sender<Closing>)>,
}

/// What is attached to what, by whom.
#[derive(Debug, Clone)]
pub struct Attached {
    /// The session.
    pub session: SessionId,
    /// The instance on which it runs.
    pub instance: InstanceId,
    /// The browser that was given the ticket.
    pub browser: BrowserSession,
}

/// A terminal's place in the registry, given up when dropped.
pub struct Registration {
    terminals: Terminals,
    key: u64,
}

impl Terminals {
    /// Registers a terminal. The receiver tells when the gateway wants it to end.
    #[must_use]
    pub fn register(&self, attached: Attached) -> (Registration, oneshot::Receiver<Closing>) {
        let (end, ended) = oneshot::channel();
        let mut open = self.open();
        open.next += 1;
        let key = open.next;
        if open.draining {
            // The receiver exists: it is returned below.
            let _ = end.send(Closing::draining());
        } else {
            open.terminals.insert(key, (attached, end));
        }
        drop(open);
        (Registration { terminals: self.clone(), key }, ended)
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
        self.end(|attached| attached.browser == *browser, &Closing::revoked());
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
        self.terminals.open().terminals.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached() -> Attached {
        let browser = BrowserSession::of_token("token");
        Attached { session: SessionId::random(), instance: InstanceId::random(), browser }
    }

    #[test]
    fn only_what_is_meant_ends_and_it_is_told_why() {
        let terminals = Terminals::default();
        let other_browser = Attached { browser: BrowserSession::of_token("other"), ..attached() };
        let all = [attached(), attached(), other_browser, attached()];
        let mut ends: Vec<_> = all.iter().map(|one| terminals.register(one.clone())).collect();
        terminals.end_session(&all[0].session);
        terminals.end_instance(&all[1].instance);
        terminals.end_browser_session(&all[2].browser);
        let told: Vec<_> = ends.iter_mut().map(|(_, end)| end.try_recv().ok()).collect();
        let expected = [Some(Closing::gone()), Some(Closing::box_lost()), Some(Closing::revoked()), None];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_stopping_gateway_takes_no_terminal() {
        let terminals = Terminals::default();
        let (_early, mut early) = terminals.register(attached());
        terminals.drain();
        let (_late, mut late) = terminals.register(attached());
        assert_eq!(early.try_recv().unwrap(), Closing::draining());
        assert_eq!(late.try_recv().unwrap(), Closing::draining());
    }

    #[test]
    fn a_closed_terminal_leaves_nothing_behind() {
        let terminals = Terminals::default();
        drop(terminals.register(attached()));
        assert!(terminals.open().terminals.is_empty());
    }
}
