//! Whether a pane is tapped, and what is to be done when it is not.
//!
//! ```text
//!   free ── tap asked for ── it reports ──▶ there ── it says that the pipe ended ──▶ free
//!    ▲ ▲            │                         └───── it dies ──▶ dead ── tap asked for again
//!    │ └── silence ─┘
//!    └──── taken: tmux says so, and nobody reports: somebody else's pipe, looked at now and then
//! ```
//!
//! tmux notices the end of a pipe's program when it writes into the pipe. So a pane that is silent looks taken though
//! its tap has died, and what tmux says does not count until there is another.

use tokio::sync::mpsc;

use crate::notify::signal::Moment;
use crate::notify::tap::report::Size;

/// How long a tap may take to report, milliseconds: it tries every two seconds.
const ARRIVAL_MS: u64 = 8000;

/// Pause before a pipe is put back, so that tmux has noticed the end of the old one.
const REST_MS: u64 = 100;

/// Pauses between attempts at a pane that does not keep its tap.
const PAUSES_MS: (u64, u64) = (2000, 60_000);

/// Pause between looks at a pane that is not tapped.
const LOOK_MS: u64 = 2000;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// Put a tap there, for the first time or again.
    Tap {
        /// Whether there was one before.
        again: bool,
    },
    /// Look at the pane: nobody reports of it.
    Look,
}

/// What a pane's pipe leads to, when no tap reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pipe {
    /// Nothing.
    Free,
    /// A tap that has died.
    Dead,
    /// A tap that was asked for, and may be on its way.
    Asked,
    /// A tap that is on its way back to an agent that has just begun, or somebody else's program.
    Taken,
}

/// The tap of one pane.
#[derive(Debug)]
pub(super) struct Tap {
    /// The one that reports, and where it is told the pane's size.
    there: Option<(u64, mpsc::Sender<Size>)>,
    size: Size,
    pipe: Pipe,
    /// Since when nobody reports.
    away_since: Moment,
    try_at: Moment,
    pause: u64,
    look_at: Moment,
    tapped: bool,
}

impl Tap {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            there: None,
            size: Size { columns: 0, lines: 0 },
            pipe: Pipe::Free,
            away_since: now,
            try_at: now,
            pause: PAUSES_MS.0,
            look_at: now + LOOK_MS,
            tapped: false,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.there.is_some()
    }

    /// What was seen of the pane: whether its pipe is taken, and its size.
    pub(super) fn seen(&mut self, piped: bool, size: (u16, u16)) {
        self.pipe = match (self.pipe, piped) {
            (_, false) => Pipe::Free,
            (Pipe::Free, true) => Pipe::Taken,
            (pipe, true) => pipe,
        };
        let size = Size::from(size);
        if self.size != size {
            self.size = size;
            self.tell_size();
        }
    }

    fn tell_size(&self) {
        if let Some((_, sizes)) = &self.there {
            // One that does not listen is told the next.
            let _ = sizes.try_send(self.size.clone());
        }
    }

    /// A tap reports.
    pub(super) fn began(&mut self, tap: u64, sizes: mpsc::Sender<Size>, now: Moment) {
        self.there = Some((tap, sizes));
        (self.tapped, self.pause) = (true, PAUSES_MS.0);
        self.away_since = now;
        self.tell_size();
    }

    /// A tap is gone: it said that its pipe has ended, or it died. One that was followed by another does not matter.
    pub(super) fn ended(&mut self, tap: u64, orderly: bool, now: Moment) {
        if self.there.take_if(|(there, _)| *there == tap).is_some() {
            self.pipe = if orderly { Pipe::Free } else { Pipe::Dead };
            (self.away_since, self.try_at) = (now, now + REST_MS);
        }
    }

    /// What is to be done now, if anything is.
    pub(super) fn wants(&mut self, now: Moment) -> Option<Want> {
        if self.there.is_some() {
            return None;
        }
        let late = now.saturating_sub(self.away_since) >= ARRIVAL_MS;
        let empty = match self.pipe {
            Pipe::Free | Pipe::Dead => true,
            // It has died before it reported.
            Pipe::Asked if late => true,
            Pipe::Asked | Pipe::Taken if !late => return None,
            Pipe::Asked | Pipe::Taken => false,
        };
        if empty && self.try_at <= now {
            self.try_at = now + self.pause;
            self.pause = (self.pause * 2).min(PAUSES_MS.1);
            (self.away_since, self.pipe) = (now, Pipe::Asked);
            return Some(Want::Tap { again: self.tapped });
        }
        if self.look_at <= now {
            self.look_at = now + LOOK_MS;
            return Some(Want::Look);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_is_put_where_none_is_and_again_when_it_ends() {
        let mut tap = Tap::new(1000);
        assert_eq!(tap.wants(1000), Some(Want::Tap { again: false }));
        assert_eq!(tap.wants(2000), None, "it is on its way");
        let (sizes, mut told) = mpsc::channel(1);
        tap.seen(true, (90, 30));
        tap.began(1, sizes, 2000);
        assert_eq!(told.try_recv().unwrap(), Size { columns: 90, lines: 30 });
        assert_eq!(tap.wants(60_000), None);
        tap.ended(7, false, 60_000);
        assert_eq!(tap.wants(60_000), None, "another's end");
        tap.ended(1, false, 60_000);
        // The pane is silent, so tmux has not noticed.
        tap.seen(true, (90, 30));
        assert_eq!(tap.wants(60_000 + REST_MS), Some(Want::Tap { again: true }));
    }

    #[test]
    fn a_tap_that_died_before_it_reported_is_put_again_though_tmux_takes_the_pipe_for_taken() {
        let mut tap = Tap::new(0);
        assert_eq!(tap.wants(0), Some(Want::Tap { again: false }));
        tap.seen(true, (80, 24));
        assert_eq!(tap.wants(ARRIVAL_MS - 1), None);
        assert_eq!(tap.wants(ARRIVAL_MS), Some(Want::Tap { again: false }));
    }

    #[test]
    fn a_pipe_of_the_users_own_is_left_alone_and_the_pane_looked_at() {
        let mut tap = Tap::new(0);
        tap.seen(true, (80, 24));
        assert_eq!(tap.wants(ARRIVAL_MS - 1), None);
        assert_eq!(tap.wants(ARRIVAL_MS), Some(Want::Look));
        assert_eq!(tap.wants(ARRIVAL_MS + 1), None);
        assert_eq!(tap.wants(ARRIVAL_MS + LOOK_MS), Some(Want::Look));
        tap.seen(false, (80, 24));
        assert_eq!(tap.wants(ARRIVAL_MS + LOOK_MS + 1), Some(Want::Tap { again: false }));
    }

    #[test]
    fn a_pipe_that_the_user_put_in_the_place_of_a_tap_stays() {
        let mut tap = Tap::new(0);
        tap.began(1, mpsc::channel(1).0, 0);
        tap.ended(1, true, 10);
        tap.seen(true, (80, 24));
        assert_eq!(tap.wants(10 + ARRIVAL_MS), Some(Want::Look));
        assert_eq!(tap.wants(10 + ARRIVAL_MS + LOOK_MS), Some(Want::Look));
    }

    #[test]
    fn a_pane_that_keeps_no_tap_is_tried_less_and_less_often() {
        let mut tap = Tap::new(0);
        let mut tries = 0;
        for now in (0..600_000).step_by(1000) {
            tap.seen(false, (80, 24));
            tries += u32::from(matches!(tap.wants(now), Some(Want::Tap { .. })));
        }
        assert!((10..=20).contains(&tries), "{tries}");
    }
}
