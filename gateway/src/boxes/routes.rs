//! Which ways lead to a box, and in which order they are tried. Pure: it is told the time and dials nothing.
//!
//! The order is the public address, the tailnet's, dial-back. What worked last goes first, because a dead
//! address before it costs every terminal a quarter of a second; but only for a while, so that a better way
//! that has come back is found again.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::Instance;

/// How long what worked is tried first.
const MEMORY: Duration = Duration::from_mins(5);

/// A way to a box. Declared best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// Its public address is dialled.
    Public,
    /// Its address in the tailnet is dialled.
    Tailscale,
    /// It is asked over its link to dial this gateway.
    DialBack,
}

impl Route {
    /// The word that logs and metrics use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Tailscale => "tailscale",
            Self::DialBack => "dial_back",
        }
    }
}

/// One thing to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Dial an address.
    Dial(Route, SocketAddr),
    /// Ask to be dialled.
    DialBack,
}

impl Attempt {
    pub(super) fn route(self) -> Route {
        match self {
            Self::Dial(route, _) => route,
            Self::DialBack => Route::DialBack,
        }
    }
}

/// What is known of the ways to one box.
#[derive(Debug)]
pub(super) struct Routes {
    public: Option<SocketAddr>,
    tailscale: Option<SocketAddr>,
    worked: Option<Worked>,
}

/// A way that led to the box, and since when it is tried first.
#[derive(Debug, Clone, Copy)]
struct Worked {
    route: Route,
    since: Instant,
}

impl Worked {
    fn is_fresh(self, now: Instant) -> bool {
        now.duration_since(self.since) < MEMORY
    }
}

impl Routes {
    /// What the store knows of an instance.
    pub(super) fn of(instance: &Instance) -> Self {
        let at = |ip| instance.door_port.map(|port| SocketAddr::new(ip, port));
        let public = instance.public_ip.and_then(at);
        let tailscale = instance.tailscale_ip.and_then(at).filter(|address| Some(*address) != public);
        Self { public, tailscale, worked: None }
    }

    /// Takes over new addresses; whether they are other ones. What worked elsewhere says nothing then.
    pub(super) fn moved(&mut self, instance: &Instance) -> bool {
        let new = Self::of(instance);
        let moved = (new.public, new.tailscale) != (self.public, self.tailscale);
        if moved {
            *self = new;
        }
        moved
    }

    /// What to try, in order. `linked` says whether there is a link to ask over.
    pub(super) fn plan(&self, linked: bool, now: Instant) -> Vec<Attempt> {
        let public = self.public.map(|address| Attempt::Dial(Route::Public, address));
        let tailscale = self.tailscale.map(|address| Attempt::Dial(Route::Tailscale, address));
        let dial_back = linked.then_some(Attempt::DialBack);
        let mut plan: Vec<Attempt> = [public, tailscale, dial_back].into_iter().flatten().collect();
        if let Some(worked) = self.worked.filter(|worked| worked.is_fresh(now)) {
            // Stable: the others keep their order.
            plan.sort_by_key(|attempt| attempt.route() != worked.route);
        }
        plan
    }

    /// Remembers what worked. The same again is not news: else a way that works would never be doubted.
    pub(super) fn worked(&mut self, route: Route, now: Instant) {
        if self.worked.is_none_or(|worked| worked.route != route || !worked.is_fresh(now)) {
            self.worked = Some(Worked { route, since: now });
        }
    }

    /// Whether it is time to look for a better way than the one that worked.
    pub(super) fn review_is_due(&self, now: Instant) -> bool {
        self.worked.is_some_and(|worked| worked.route != self.best() && !worked.is_fresh(now))
    }

    /// The first way of a plan that remembers nothing.
    fn best(&self) -> Route {
        match (self.public, self.tailscale) {
            (Some(_), _) => Route::Public,
            (None, Some(_)) => Route::Tailscale,
            (None, None) => Route::DialBack,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use berth_protocol::ids::{InstanceId, WorkspaceId};

    use super::*;

    fn instance(public: Option<&str>, tailscale: Option<&str>) -> Instance {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        Instance {
            id: InstanceId::random(),
            workspace: WorkspaceId::random(),
            epoch: 1,
            public_ip: public.map(ip),
            tailscale_ip: tailscale.map(ip),
            door_port: Some(7681),
            agent_version: None,
            telemetry: None,
            certificate_ca: None,
        }
    }

    fn order(routes: &Routes, linked: bool, now: Instant) -> Vec<Route> {
        routes.plan(linked, now).into_iter().map(Attempt::route).collect()
    }

    const BOTH: (Option<&str>, Option<&str>) = (Some("192.0.2.1"), Some("100.64.0.1"));

    #[tokio::test]
    async fn the_public_address_comes_first_and_dial_back_last() {
        let now = Instant::now();
        let routes = Routes::of(&instance(BOTH.0, BOTH.1));
        assert_eq!(
            routes.plan(true, now),
            [
                Attempt::Dial(Route::Public, "192.0.2.1:7681".parse().unwrap()),
                Attempt::Dial(Route::Tailscale, "100.64.0.1:7681".parse().unwrap()),
                Attempt::DialBack,
            ]
        );
        assert_eq!(order(&routes, false, now), [Route::Public, Route::Tailscale]);
        assert_eq!(order(&Routes::of(&instance(None, None)), true, now), [Route::DialBack]);
        assert_eq!(order(&Routes::of(&instance(None, None)), false, now), []);
        let twice = Routes::of(&instance(BOTH.0, BOTH.0));
        assert_eq!(order(&twice, true, now), [Route::Public, Route::DialBack], "one address, dialled once");
    }

    #[tokio::test]
    async fn a_box_that_never_said_its_port_is_not_dialled() {
        let routes = Routes::of(&Instance { door_port: None, ..instance(BOTH.0, BOTH.1) });
        assert_eq!(order(&routes, true, Instant::now()), [Route::DialBack]);
    }

    #[tokio::test]
    async fn what_worked_goes_first_for_a_while_and_the_same_again_does_not_prolong_it() {
        let now = Instant::now();
        let mut routes = Routes::of(&instance(BOTH.0, BOTH.1));
        assert!(!routes.review_is_due(now), "nothing is known yet");
        routes.worked(Route::Tailscale, now);
        assert_eq!(order(&routes, true, now), [Route::Tailscale, Route::Public, Route::DialBack]);
        let later = now + MEMORY / 2;
        routes.worked(Route::Tailscale, later);
        assert!(!routes.review_is_due(later));
        let end = now + MEMORY;
        assert!(routes.review_is_due(end));
        assert_eq!(order(&routes, true, end), [Route::Public, Route::Tailscale, Route::DialBack]);
        routes.worked(Route::Tailscale, end);
        assert!(!routes.review_is_due(end), "nothing better was found, and that holds for a while again");
        assert_eq!(order(&routes, true, end)[0], Route::Tailscale);
        routes.worked(Route::Public, end);
        assert_eq!(order(&routes, true, end)[0], Route::Public);
        assert!(!routes.review_is_due(end + MEMORY), "there is nothing better than the best");
    }

    #[tokio::test]
    async fn a_memory_of_dial_back_is_no_use_without_a_link() {
        let now = Instant::now();
        let mut routes = Routes::of(&instance(BOTH.0, None));
        routes.worked(Route::DialBack, now);
        assert_eq!(order(&routes, true, now), [Route::DialBack, Route::Public]);
        assert_eq!(order(&routes, false, now), [Route::Public]);
    }

    #[tokio::test]
    async fn new_addresses_forget_what_worked_and_old_ones_do_not() {
        let now = Instant::now();
        let old = instance(BOTH.0, BOTH.1);
        let mut routes = Routes::of(&old);
        routes.worked(Route::DialBack, now);
        assert!(!routes.moved(&old));
        assert_eq!(order(&routes, true, now)[0], Route::DialBack);
        assert!(routes.moved(&instance(Some("192.0.2.9"), BOTH.1)));
        assert_eq!(order(&routes, true, now)[0], Route::Public);
    }
}
