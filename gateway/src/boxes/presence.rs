//! Whether a box answers at its door, and by which way it was asked.

use super::routes::Route;

/// The outcome of the newest probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// What the probe found.
    pub state: PresenceState,
    /// The way by which the box answered, if it did.
    pub route: Option<Route>,
    /// The probe's number. Probes may overtake each other; a lower number never replaces a higher.
    pub generation: u64,
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceState {
    /// Not asked yet.
    Unknown,
    /// It answers.
    Online,
    /// It does not answer, or answers as another box.
    Offline,
}

impl PresenceState {
    /// The word that logs and the API use. Until a box was asked, nobody may rely on it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline | Self::Unknown => "offline",
        }
    }
}

impl Presence {
    /// Before the first probe.
    pub(super) const UNKNOWN: Self = Self { state: PresenceState::Unknown, route: None, generation: 0 };

    /// What the probe of this number found: the way by which the box answered, or none.
    pub(super) fn found(route: Option<Route>, generation: u64) -> Self {
        let state = if route.is_some() { PresenceState::Online } else { PresenceState::Offline };
        Self { state, route, generation }
    }

    /// Takes over a probe's result, unless a newer one is known.
    pub(super) fn update(&mut self, newer: Self) -> bool {
        let counts = newer.generation > self.generation;
        if counts {
            *self = newer;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_overtaken_changes_nothing() {
        let mut presence = Presence::UNKNOWN;
        assert!(presence.update(Presence::found(Some(Route::Public), 2)));
        assert!(!presence.update(Presence::found(None, 1)));
        assert_eq!((presence.state, presence.route), (PresenceState::Online, Some(Route::Public)));
    }
}
