//! How often something may be tried, per address and per account: what lets somebody in, or costs a box something.
//!
//! Who tries more often is answered by 429 and is told when to try again. Nothing of it is stored: a restart of the
//! gateway forgets who was too quick, and lets nobody in.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use berth_protocol::ids::{InstanceId, UserId};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::app::SharedApp;
use crate::settings::LimitSettings;

/// Time between two rounds in which those are forgotten who have waited long enough.
const FORGET: Duration = Duration::from_secs(60);

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Whatever lets somebody in: signing in, opening a link.
    SignIn,
    /// Tickets, and WebSockets of terminals.
    Terminal,
    /// The second half of signing in with a passkey, whose first half is a [`Limited::SignIn`]: so that signing in
    /// counts once, and answers to nothing are limited, too.
    PasskeyAnswer,
    /// Event streams.
    Stream,
    /// WebSockets of previews. Apart from the console's streams, since it is a program in a box that opens them.
    PreviewSocket,
    /// Enrolling a box, and renewing its certificate.
    Enrollment,
}

impl Limited {
    /// The word of the metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Terminal => "terminal",
            Self::PasskeyAnswer => "passkey_answer",
            Self::Stream => "stream",
            Self::PreviewSocket => "preview_socket",
            Self::Enrollment => "enrollment",
        }
    }
}

/// Who tries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// Whoever comes from an address. Of IPv6 it is the network, since one customer has as many addresses as they like.
    Address(IpAddr),
    /// A user.
    User(UserId),
    /// Whoever wants to be the user of this name, who need not exist.
    Name(String),
    /// A box, as its certificate proves.
    Box(InstanceId),
}

impl From<IpAddr> for Who {
    fn from(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// Somebody was too quick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts: try again in {} seconds", self.seconds())]
pub struct TooMany {
    wait: Duration,
}

impl TooMany {
    /// After how many seconds there is another attempt.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
    }
}

/// All limits.
pub struct Limits {
    sign_in: DefaultKeyedRateLimiter<Who>,
    passkey_answer: DefaultKeyedRateLimiter<Who>,
    terminal: DefaultKeyedRateLimiter<Who>,
    stream: DefaultKeyedRateLimiter<Who>,
    preview_socket: DefaultKeyedRateLimiter<Who>,
    enrollment: DefaultKeyedRateLimiter<Who>,
    connections: Arc<Mutex<HashMap<Who, u32>>>,
    most_connections: u32,
    clock: DefaultClock,
}

impl Limits {
    /// The limits of the settings.
    #[must_use]
    pub fn new(settings: &LimitSettings) -> Self {
        let limiter = |minute: NonZeroU32| RateLimiter::keyed(Quota::per_minute(minute));
        Self {
            sign_in: limiter(settings.sign_ins_per_minute),
            passkey_answer: limiter(settings.sign_ins_per_minute),
            terminal: limiter(settings.terminals_per_minute),
            stream: limiter(settings.streams_per_minute),
            preview_socket: limiter(settings.preview_sockets_per_minute),
            enrollment: limiter(settings.enrollments_per_minute),
            connections: Arc::default(),
            most_connections: settings.connections_per_address.get(),
            clock: DefaultClock::default(),
        }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// When there were too many.
    pub fn count(&self, what: Limited, who: impl Into<Who>) -> Result<(), TooMany> {
        let who = who.into();
        self.limiter(what).check_key(&who).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            tracing::warn!(what = what.as_str(), ?who, "too many attempts");
            TooMany { wait }
        })
    }

    /// A place for one more connection from an address, if it has not too many.
    pub fn connection(&self, address: IpAddr) -> Option<Place> {
        let who = Who::from(address);
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let open = connections.entry(who.clone()).or_default();
        if *open >= self.most_connections {
            tracing::debug!(?who, "too many connections");
            return None;
        }
        *open += 1;
        Some(Place { who, connections: self.connections.clone() })
    }

    fn limiter(&self, what: Limited) -> &DefaultKeyedRateLimiter<Who> {
        match what {
            Limited::SignIn => &self.sign_in,
            Limited::PasskeyAnswer => &self.passkey_answer,
            Limited::Terminal => &self.terminal,
            Limited::Stream => &self.stream,
            Limited::PreviewSocket => &self.preview_socket,
            Limited::Enrollment => &self.enrollment,
        }
    }

    fn forget(&self) {
        for limiter in [
            &self.sign_in,
            &self.passkey_answer,
            &self.terminal,
            &self.stream,
            &self.preview_socket,
            &self.enrollment,
        ] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// A connection's place among those of its address.
pub struct Place {
    who: Who,
    connections: Arc<Mutex<HashMap<Who, u32>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut open) = connections.entry(self.who.clone()) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
    }
}

/// Forgets who has waited long enough, until the gateway stops.
pub async fn forget_again(app: SharedApp) {
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = tokio::time::sleep(FORGET) => app.limits.forget(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(sign_ins: u32) -> Limits {
        let sign_ins_per_minute = NonZeroU32::new(sign_ins).unwrap();
        Limits::new(&LimitSettings { sign_ins_per_minute, ..LimitSettings::default() })
    }

    #[test]
    fn each_address_and_each_account_has_its_own_attempts() {
        let limits = limits(3);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..3 {
            limits.count(Limited::SignIn, address("203.0.113.7")).unwrap();
            limits.count(Limited::SignIn, Who::Name("ana".into())).unwrap();
        }
        let refused = limits.count(Limited::SignIn, address("203.0.113.7")).unwrap_err();
        // One of three in a minute.
        assert!((1..=20).contains(&refused.seconds()), "{refused}");
        limits.count(Limited::SignIn, address("::ffff:203.0.113.7")).unwrap_err();
        limits.count(Limited::SignIn, Who::Name("ana".into())).unwrap_err();
        limits.count(Limited::SignIn, address("203.0.113.8")).unwrap();
        limits.count(Limited::SignIn, Who::Name("bob".into())).unwrap();
        limits.count(Limited::Enrollment, address("203.0.113.7")).unwrap();
        limits.forget();
        limits.count(Limited::SignIn, address("203.0.113.7")).unwrap_err();
    }

    #[test]
    fn an_address_has_so_many_connections_and_gets_their_places_back() {
        let connections_per_address = NonZeroU32::new(2).unwrap();
        let limits = Limits::new(&LimitSettings { connections_per_address, ..LimitSettings::default() });
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = limits.connection(address("203.0.113.7")).unwrap();
        let _second = limits.connection(address("203.0.113.7")).unwrap();
        assert!(limits.connection(address("203.0.113.7")).is_none());
        let other = limits.connection(address("203.0.113.8")).unwrap();
        drop((first, other));
        let _third = limits.connection(address("203.0.113.7")).unwrap();
        assert!(limits.connection(address("203.0.113.7")).is_none());
        assert_eq!(limits.connections.lock().unwrap().len(), 1, "who is gone is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let limits = limits(1);
        limits.count(Limited::SignIn, "2001:db8:1:2::1".parse::<IpAddr>().unwrap()).unwrap();
        limits.count(Limited::SignIn, "2001:db8:1:2:ffff::9".parse::<IpAddr>().unwrap()).unwrap_err();
        limits.count(Limited::SignIn, "2001:db8:1:3::1".parse::<IpAddr>().unwrap()).unwrap();
    }
}
