//! How a user wants to be told: quiet hours, and a second way for what was not seen.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// The soonest and the latest escalation, seconds.
const ESCALATION_SECS: std::ops::RangeInclusive<u32> = 30..=24 * 3600;

/// What a user has chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// When channels are to be silent.
    pub quiet: Option<Quiet>,
    /// After how many seconds without having been seen a notification goes to the channels for that; never when
    /// there is none.
    pub escalate_after_secs: Option<u32>,
}

/// Hours of each day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// Where the user's clock stands, such as `Europe/Berlin`.
    pub time_zone: String,
    /// The minute of the day with which they begin.
    pub from_minute: u16,
    /// The minute of the day with which they end; before `from_minute` it is the next day's.
    pub to_minute: u16,
    /// Whether what is urgent is told all the same.
    pub urgent_breaks_through: bool,
}

impl Preferences {
    /// What is wrong with them, as a sentence.
    ///
    /// # Errors
    /// The sentence.
    pub fn check(&self) -> Result<(), String> {
        if let Some(quiet) = &self.quiet {
            if TimeZone::get(&quiet.time_zone).is_err() {
                return Err(format!(
                    "\"{}\" is not a time zone that this gateway knows: use a name such as Europe/Berlin",
                    quiet.time_zone.chars().take(64).collect::<String>()
                ));
            }
            if quiet.from_minute >= DAY || quiet.to_minute >= DAY || quiet.from_minute == quiet.to_minute {
                return Err("quiet hours begin and end at different minutes of a day, 0 to 1439".into());
            }
        }
        if let Some(secs) = self.escalate_after_secs.filter(|secs| !ESCALATION_SECS.contains(secs)) {
            let (least, most) = (ESCALATION_SECS.start(), ESCALATION_SECS.end());
            return Err(format!("escalation after {secs} seconds: use {least} to {most}"));
        }
        Ok(())
    }

    /// Until when channels are silent, if they are at `now_ms`, in milliseconds since 1970.
    #[must_use]
    pub fn quiet_until(&self, now_ms: i64) -> Option<i64> {
        self.quiet.as_ref()?.until(now_ms)
    }
}

impl Quiet {
    fn until(&self, now_ms: i64) -> Option<i64> {
        // Checked when it was stored. A machine that has lost its time zones is rather loud than silent for ever.
        let zone = TimeZone::get(&self.time_zone).ok()?;
        let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(zone);
        let minute = u16::try_from(now.hour()).ok()? * 60 + u16::try_from(now.minute()).ok()?;
        let overnight = self.from_minute > self.to_minute;
        let is_quiet = if overnight {
            minute >= self.from_minute || minute < self.to_minute
        } else {
            (self.from_minute..self.to_minute).contains(&minute)
        };
        if !is_quiet {
            return None;
        }
        let day =
            if overnight && minute >= self.from_minute { now.date().tomorrow().ok()? } else { now.date() };
        let end =
            Time::new(i8::try_from(self.to_minute / 60).ok()?, i8::try_from(self.to_minute % 60).ok()?, 0, 0);
        // Where the clock is put forward, an end that does not exist is the moment after it.
        let end = day.to_datetime(end.ok()?).to_zoned(now.time_zone().clone()).ok()?;
        let end = end.round(Unit::Minute).ok()?.timestamp().as_millisecond();
        // Where it is put back, the end of the first of two equal hours may be over.
        Some(end.max(now_ms + 60_000 - now_ms.rem_euclid(60_000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(time_zone: &str, from: u16, to: u16) -> Preferences {
        let quiet = Quiet {
            time_zone: time_zone.into(),
            from_minute: from,
            to_minute: to,
            urgent_breaks_through: false,
        };
        Preferences { quiet: Some(quiet), escalate_after_secs: None }
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn quiet_hours_are_those_of_the_users_clock() {
        let night = quiet("Europe/Berlin", 22 * 60, 7 * 60);
        for (now, until) in [
            // In winter Berlin is an hour ahead, in summer two.
            ("2026-01-10T20:59:59Z", None),
            ("2026-01-10T21:00:00Z", Some("2026-01-11T06:00:00Z")),
            ("2026-01-11T05:59:59Z", Some("2026-01-11T06:00:00Z")),
            ("2026-01-11T06:00:00Z", None),
            ("2026-07-10T20:00:00Z", Some("2026-07-11T05:00:00Z")),
            // The night in which the clock is put forward is an hour shorter.
            ("2026-03-28T21:00:00Z", Some("2026-03-29T05:00:00Z")),
            ("2026-10-24T20:00:00Z", Some("2026-10-25T06:00:00Z")),
        ] {
            assert_eq!(night.quiet_until(at(now)), until.map(at), "{now}");
        }
        let noon = quiet("America/New_York", 12 * 60, 13 * 60 + 30);
        assert_eq!(noon.quiet_until(at("2026-01-10T17:00:00Z")), Some(at("2026-01-10T18:30:00Z")));
        assert_eq!(noon.quiet_until(at("2026-01-10T18:30:00Z")), None);
        assert_eq!(Preferences::default().quiet_until(at("2026-01-10T00:00:00Z")), None);
    }

    #[test]
    fn an_end_that_the_clock_leaves_out_or_has_twice_still_comes() {
        // 02:30 does not exist on that day.
        let skipped = quiet("Europe/Berlin", 60, 150);
        let end = skipped.quiet_until(at("2026-03-29T00:10:00Z")).unwrap();
        assert!(end > at("2026-03-29T00:10:00Z") && end <= at("2026-03-29T01:30:00Z"), "{end}");
        let twice = quiet("Europe/Berlin", 60, 150);
        for minutes in 0..180 {
            let now = at("2026-10-24T23:00:00Z") + minutes * 60_000;
            if let Some(end) = twice.quiet_until(now) {
                assert!(end > now, "at {minutes}");
            }
        }
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        quiet("Asia/Kolkata", 0, 1).check().unwrap();
        assert!(quiet("Mars/Olympus", 0, 1).check().unwrap_err().contains("Mars/Olympus"));
        assert!(quiet("Europe/Berlin", 60, 60).check().is_err());
        assert!(quiet("Europe/Berlin", 0, 1440).check().is_err());
        let soon = Preferences { quiet: None, escalate_after_secs: Some(1) };
        assert!(soon.check().unwrap_err().contains("30"));
    }
}
