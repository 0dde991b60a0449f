//! When a tap tells something: at once what is urgent, now and then what is not, and the screen when it rests.

use super::listener::Listener;
use super::report::{Look, Report};

/// Pause between reports of which each is urgent: thousands of bells become a handful.
const URGENT_GAP_MS: u64 = 20;

/// Pause between reports that only say that output goes on.
const OUTPUT_GAP_MS: u64 = 1000;

/// Silence after which a screen is at rest. Programs draw a screen in one go; a pause means that they wait.
const REST_MS: u64 = 150;

/// Pause between looks at a screen that does not come to rest.
const MOVING_GAP_MS: u64 = 1000;

/// Decides when to tell. Times are in milliseconds, of any clock that only goes on.
#[derive(Debug, Default)]
pub struct Pace {
    told_at: Option<u64>,
    looked_at: Option<u64>,
    output_at: Option<u64>,
    /// Whether there was output since the last look.
    unseen: bool,
    last: Option<Look>,
}

impl Pace {
    /// Output came.
    pub fn heard(&mut self, now: u64) {
        if self.looked_at.is_none() {
            self.looked_at = Some(now);
        }
        (self.output_at, self.unseen) = (Some(now), true);
    }

    /// Somebody listens who has heard nothing yet, and is told all.
    pub fn begin_anew(&mut self) {
        (self.last, self.unseen) = (None, self.output_at.is_some());
    }

    /// When to ask for the next report.
    #[must_use]
    pub fn due(&self, pending: &Report) -> Option<u64> {
        let after = |at: Option<u64>, gap| at.map_or(0, |at| at + gap);
        let urgent = pending.is_urgent().then(|| after(self.told_at, URGENT_GAP_MS));
        let output = (pending.printed > 0).then(|| after(self.told_at, OUTPUT_GAP_MS));
        let look = self.unseen.then(|| self.rests_at().min(after(self.looked_at, MOVING_GAP_MS)));
        [urgent, output, look].into_iter().flatten().min()
    }

    fn rests_at(&self) -> u64 {
        self.output_at.map_or(0, |at| at + REST_MS)
    }

    /// The report of now, if one is due and says something.
    pub fn report(&mut self, listener: &mut Listener, now: u64) -> Option<Report> {
        if self.due(listener.pending()).is_none_or(|due| due > now) {
            return None;
        }
        let mut report = listener.take();
        let rests = self.rests_at() <= now;
        let looks = self.unseen && (rests || report.is_urgent() || self.moves_long(now));
        if looks {
            let look = Look { moving: !rests, ..listener.look() };
            // What moved is told again when it rests, even if it is the same then.
            self.unseen = !rests;
            self.looked_at = Some(now);
            if !self.last.as_ref().is_some_and(|last| says_the_same(last, &look)) {
                report.look = Some(look.clone());
                self.last = Some(look);
            }
        }
        if report.is_empty() {
            return None;
        }
        self.told_at = Some(now);
        Some(report)
    }

    fn moves_long(&self, now: u64) -> bool {
        self.looked_at.is_none_or(|at| at + MOVING_GAP_MS <= now)
    }
}

/// Whether a look has nothing that the last one had not; that what moved has come to rest is news.
fn says_the_same(last: &Look, look: &Look) -> bool {
    *last == *look || !last.moving && *last == Look { moving: false, ..look.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tap {
        pace: Pace,
        listener: Listener,
        told: Vec<(u64, Report)>,
        now: u64,
    }

    impl Tap {
        fn new() -> Self {
            Self { pace: Pace::default(), listener: Listener::new(40, 10), told: Vec::new(), now: 0 }
        }

        fn until(&mut self, end: u64) {
            while let Some(due) = self.pace.due(self.listener.pending()).map(|due| due.max(self.now)) {
                if due > end {
                    break;
                }
                self.now = due;
                let report = self.pace.report(&mut self.listener, due);
                self.told.extend(report.map(|report| (due, report)));
            }
            self.now = end;
        }

        fn hear(&mut self, bytes: &[u8]) {
            self.listener.hear(bytes, self.now);
            self.pace.heard(self.now);
        }
    }

    #[test]
    fn a_bell_is_told_at_once_and_thousands_are_few() {
        let mut tap = Tap::new();
        tap.until(5000);
        tap.hear(b"x\x07");
        tap.until(5000);
        assert_eq!((tap.told.len(), tap.told[0].1.bells), (1, 1));
        for _ in 0..5000 {
            tap.hear(b"\x07");
        }
        tap.until(5019);
        assert_eq!(tap.told.len(), 1);
        tap.until(6000);
        assert_eq!(tap.told[1].1.bells, 5000);
        assert_eq!(tap.told.iter().filter(|(_, report)| report.bells > 0).count(), 2);
    }

    #[test]
    fn a_screen_is_told_when_it_rests_and_only_once() {
        let mut tap = Tap::new();
        tap.hear(b"Continue? [y/N] ");
        tap.until(10_000);
        let looks: Vec<_> =
            tap.told.iter().filter_map(|(at, report)| Some((*at, report.look.clone()?))).collect();
        assert_eq!(looks.len(), 1);
        assert_eq!((looks[0].0, looks[0].1.moving), (REST_MS, false));
        tap.hear(b"\x1b[0m");
        tap.until(20_000);
        assert_eq!(tap.told.iter().filter(|(_, report)| report.look.is_some()).count(), 1);
    }

    #[test]
    fn a_flood_is_told_once_a_second() {
        let mut tap = Tap::new();
        for time in 0..1000_u64 {
            tap.until(time * 10);
            tap.hear(format!("line {time}\r\n").as_bytes());
        }
        tap.until(20_000);
        assert!((10..=24).contains(&tap.told.len()), "{}", tap.told.len());
        assert!(!tap.told.last().unwrap().1.look.as_ref().unwrap().moving);
    }
}
