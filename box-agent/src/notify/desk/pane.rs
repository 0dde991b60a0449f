//! One pane at the desk: its mind, its tap, and what is needed to tell of it.

use berth_protocol::attention::{Belief, Notification, PaneAttention, PaneRef};
use berth_protocol::ids::{NotificationId, SessionId};

use super::clock::Clock;
use super::taps::Tap;
use crate::host::foreground::leader;
use crate::notify::fusion::{Mind, Need};
use crate::notify::patterns::Patterns;
use crate::notify::signal::{Foreground, Moment, Signal};
use crate::notify::tap::report::Size;
use crate::store::attention::Told;
use crate::terminal::survey::{SeenPane, SeenWindow};

/// One pane.
pub(super) struct PaneDesk {
    /// Whose pane it is.
    pub(super) session: SessionId,
    /// What is thought of it.
    pub(super) mind: Mind,
    /// What was told and stands.
    pub(super) told: Option<Notification>,
    /// Its tap.
    pub(super) taps: Tap,
    /// Hooks of which nothing is stored yet.
    pub(super) open_hooks: Vec<String>,
    /// Whether a look is on its way.
    pub(super) looking: bool,
    /// Whether another is wished for.
    pub(super) look_again: bool,
    /// When it was last looked at.
    pub(super) looked_at: Moment,
    /// What is thought of once that look is there.
    pub(super) after_look: Vec<Signal>,
    place: PaneRef,
    pid: i32,
    seen: Option<Foreground>,
    activity: Option<i64>,
    /// Since when it is believed what is believed, by both clocks.
    since: (Moment, i64),
}

impl PaneDesk {
    pub(super) fn new(session: SessionId, now: Moment) -> Self {
        Self {
            session,
            mind: Mind::new(now),
            told: None,
            taps: Tap::new(now),
            open_hooks: Vec::new(),
            looking: false,
            look_again: false,
            looked_at: now,
            after_look: Vec::new(),
            place: PaneRef { id: 0, window: 0, index: 0 },
            pid: 0,
            seen: None,
            activity: None,
            since: (0, 0),
        }
    }

    /// A pane of which something was told before.
    pub(super) fn resumed(session: SessionId, told: Told, clock: Clock) -> Self {
        let (now, told_at) = (clock.now(), clock.of_wall(told.notification.signal_ms));
        let need = Need::told(&told.notification, told.fingerprint, now);
        Self {
            mind: Mind::resumed(need, told_at.unwrap_or(now), now),
            told: Some(told.notification),
            ..Self::new(session, now)
        }
    }

    pub(super) fn due(&self) -> Option<Moment> {
        self.mind.due()
    }

    pub(super) fn notification(&self) -> Option<&NotificationId> {
        self.told.as_ref().map(|told| &told.id)
    }

    pub(super) fn place_ref(&self) -> PaneRef {
        self.place
    }

    /// Notes where the pane is, what runs in it and how large it is.
    pub(super) fn place(&mut self, window: &SeenWindow, pane: &SeenPane, number: u32) {
        self.place = PaneRef { id: number, window: window.index, index: pane.index };
        self.pid = pane.pid;
        self.taps.seen(pane.piped, pane.size);
    }

    /// What runs in the foreground, when that is news.
    pub(super) fn foreground(&mut self, patterns: &Patterns) -> Option<Foreground> {
        let leader = leader(self.pid)?;
        let now = patterns.foreground(&leader.name, leader.running);
        (self.seen.as_ref() != Some(&now)).then(|| {
            self.seen = Some(now.clone());
            now
        })
    }

    pub(super) fn runs_a_shell(&self) -> bool {
        self.seen.as_ref().is_some_and(|foreground| foreground.shell)
    }

    /// Whether somebody has typed since that was last asked; the first time only tells when it was.
    pub(super) fn typed(&mut self, activity: i64) -> bool {
        let before = self.activity.replace(activity);
        before.is_some_and(|before| activity > before)
    }

    /// Its line on the status board.
    pub(super) fn line(&mut self, clock: Clock) -> (SessionId, PaneAttention) {
        let said = self.mind.said();
        // Once for each belief: nobody is to be told of what rounding makes of it.
        if self.since.0 != said.since {
            self.since = (said.since, clock.wall_of(said.since));
        }
        let belief = Belief {
            activity: said.activity,
            evidence: said.evidence,
            confidence: said.confidence,
            since_ms: self.since.1,
        };
        (self.session.clone(), PaneAttention { pane: self.place, belief })
    }
}

impl From<(u16, u16)> for Size {
    fn from((columns, lines): (u16, u16)) -> Self {
        Self { columns, lines }
    }
}
