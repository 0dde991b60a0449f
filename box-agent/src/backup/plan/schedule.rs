//! When a run is due: once a day at a time of a zone, later by a share of the jitter, and at once when its time
//! passed while the box slept. A backup that failed is tried again sooner.
//!
//! The wall clock decides here, because "every night" is about the wall. It is only asked, never waited for: whoever
//! calls looks again every minute, so a machine that slept or a clock that was set needs no special care.

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_mins(15);

/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_hours(4);

/// A time of day in a zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    zone: TimeZone,
    at: Time,
}

/// What is known of the last attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// When it began.
    pub began: Timestamp,
    /// How many have failed in a row; 0: it did what it was for.
    pub failures: u32,
}

impl Schedule {
    /// Reads zone and time.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn parse(zone: &str, at: &str) -> Result<Self, String> {
        let zone = TimeZone::get(zone).map_err(|_| {
            format!("backup.zone = \"{zone}\" is not known here: use a name such as Europe/Berlin, or UTC")
        })?;
        let at = (at.len() == 5).then(|| at.parse().ok()).flatten();
        let at = at.ok_or("backup.at is not a time such as 03:15")?;
        Ok(Self { zone, at })
    }

    /// The last planned time that is not after `now`, and the next.
    fn around(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let today = now.to_zoned(self.zone.clone()).date();
        // A time that a clock change skips is the one just behind the gap.
        let on = |days: i64| {
            let date = today.saturating_add(jiff::Span::new().days(days));
            let zoned = self.zone.to_ambiguous_zoned(date.to_datetime(self.at)).compatible();
            zoned.map_or(Timestamp::MAX, |zoned| zoned.timestamp())
        };
        let times = [on(-1), on(0), on(1), on(2)];
        let before = times.iter().copied().filter(|time| *time <= now).max().unwrap_or(Timestamp::MIN);
        let after = times.iter().copied().filter(|time| *time > now).min().unwrap_or(Timestamp::MAX);
        (before, after)
    }

    /// When the next run is due; not after `now` means at once. `late` is this box's share of the jitter.
    #[must_use]
    pub fn due(&self, now: Timestamp, last: Option<Last>, late: Duration) -> Timestamp {
        let late = SignedDuration::try_from(late).unwrap_or_default();
        let plus = |time: Timestamp, more| time.checked_add(more).unwrap_or(Timestamp::MAX);
        let (before, after) = self.around(now);
        let Some(last) = last else {
            // Nothing was ever backed up: that is urgent, whatever the hour.
            return now;
        };
        if last.failures > 0 {
            // A clock that was set back must not make a pause out of a future attempt.
            let began = last.began.min(now);
            let pause = SignedDuration::try_from(pause(last.failures)).unwrap_or_default();
            return plus(began, pause).min(plus(after, late));
        }
        if last.began < before { plus(before, late) } else { plus(after, late) }
    }
}

/// The pause after so many failures in a row.
fn pause(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(8));
    doubled.min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn due(zone: &str, now: &str, last: Option<(&str, u32)>, late_secs: u64) -> String {
        let schedule = Schedule::parse(zone, "03:15").unwrap();
        let last = last.map(|(began, failures)| Last { began: time(began), failures });
        schedule.due(time(now), last, Duration::from_secs(late_secs)).to_string()
    }

    #[test]
    fn it_is_due_every_night_in_its_own_zone_and_later_by_its_share() {
        let good = Some(("2026-11-25T02:20:00Z", 0));
        assert_eq!(due("Europe/Berlin", "2026-11-25T12:00:00Z", good, 0), "2026-11-26T02:15:00Z");
        assert_eq!(due("Europe/Berlin", "2026-11-25T12:00:00Z", good, 600), "2026-11-26T02:25:00Z");
        // It has begun after the planned time of today, so it is tomorrow's turn.
        assert_eq!(
            due("UTC", "2026-11-25T03:16:00Z", Some(("2026-11-25T03:15:30Z", 0)), 60),
            "2026-11-26T03:16:00Z"
        );
    }

    #[test]
    fn a_night_that_was_slept_through_is_caught_up() {
        let last = Some(("2026-11-20T03:15:30Z", 0));
        // Due in the past: at once.
        assert_eq!(due("UTC", "2026-11-25T12:00:00Z", last, 60), "2026-11-25T03:16:00Z");
        // The first backup does not wait for a night.
        assert_eq!(due("UTC", "2026-11-25T12:00:00Z", None, 1800), "2026-11-25T12:00:00Z");
    }

    #[test]
    fn clock_changes_leave_out_no_night_and_double_none() {
        // 02:15 to 03:15 on 29 March is skipped in Berlin, and on 25 October 02:15 comes twice.
        let schedule = Schedule::parse("Europe/Berlin", "02:15").unwrap();
        let last = |began| Some(Last { began: time(began), failures: 0 });
        let next = |now, began| schedule.due(time(now), last(began), Duration::ZERO).to_string();
        assert_eq!(next("2026-03-28T12:00:00Z", "2026-03-28T01:15:00Z"), "2026-03-29T01:15:00Z");
        assert_eq!(next("2026-03-29T12:00:00Z", "2026-03-29T01:15:10Z"), "2026-03-30T00:15:00Z");
        assert_eq!(next("2026-10-24T12:00:00Z", "2026-10-24T00:15:00Z"), "2026-10-25T00:15:00Z");
        assert_eq!(next("2026-10-25T01:20:00Z", "2026-10-25T00:15:10Z"), "2026-10-26T01:15:00Z");
    }

    #[test]
    fn a_failure_is_tried_again_after_pauses_that_grow_and_no_later_than_the_next_night() {
        let due = |failures, now| due("UTC", now, Some(("2026-11-25T04:00:00Z", failures)), 0);
        assert_eq!(due(1, "2026-11-25T04:01:00Z"), "2026-11-25T04:15:00Z");
        assert_eq!(due(2, "2026-11-25T04:01:00Z"), "2026-11-25T04:30:00Z");
        assert_eq!(due(40, "2026-11-25T04:01:00Z"), "2026-11-25T08:00:00Z");
        assert_eq!(super::pause(u32::MAX), LONGEST_PAUSE);
        // The clock was set back by a day: it is not waited for.
        assert_eq!(due(1, "2026-11-24T04:00:00Z"), "2026-11-24T04:15:00Z");
    }

    #[test]
    fn what_is_no_zone_and_no_time_is_refused_by_name() {
        assert!(Schedule::parse("Mars/Base", "03:15").unwrap_err().contains("backup.zone"));
        for at in ["3:15", "25:00", "", "03:15:00", "noon!"] {
            assert!(Schedule::parse("UTC", at).unwrap_err().contains("backup.at"), "{at}");
        }
    }
}
