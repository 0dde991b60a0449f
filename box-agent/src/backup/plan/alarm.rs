//! Whether the promise is kept: a good backup that is young enough, and one that was read back not too long ago.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What is known, in times of the box's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// When a repository was first known to this volume. Before that nothing is promised.
    pub since: Option<Timestamp>,
    /// When the newest good backup began.
    pub good: Option<Timestamp>,
    /// When a backup was last read back and found right.
    pub verified: Option<Timestamp>,
    /// What the last failed reading back said, if none has succeeded since.
    pub drill_failed: Option<String>,
    /// What the last failed backup said, if none has succeeded since.
    pub backup_failed: Option<String>,
}

/// What is promised.
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    /// How old the newest good backup may be.
    pub age: Duration,
    /// How long ago the last reading back may be.
    pub unverified: Duration,
}

/// What the user should know. At most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// There is no good backup that is young enough.
    Old,
    /// A backup was read back and was not right.
    Drill,
    /// None was read back for too long.
    Unverified,
}

/// The alarms, with a sentence each.
#[must_use]
pub fn alarms(now: Timestamp, facts: &Facts, promise: Promise) -> Vec<(Alarm, String)> {
    let Some(since) = facts.since else { return Vec::new() };
    let mut alarms = Vec::new();
    let older = |time: Option<Timestamp>, limit: Duration| {
        let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
        now.duration_since(time.unwrap_or(since)) > limit
    };
    if older(facts.good, promise.age) {
        let age = facts.good.map_or_else(
            || "There is no good backup yet".to_owned(),
            |good| format!("The newest good backup is {} old", hours(now.duration_since(good))),
        );
        let why = facts.backup_failed.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        alarms.push((Alarm::Old, format!("{age}{why}")));
    }
    if let Some(why) = &facts.drill_failed {
        alarms.push((Alarm::Drill, format!("A backup was read back and is not right: {why}")));
    }
    if older(facts.verified, promise.unverified) {
        let age = facts.verified.map_or_else(
            || "No backup was ever read back".to_owned(),
            |time| format!("No backup was read back for {}", hours(now.duration_since(time))),
        );
        alarms.push((Alarm::Unverified, age));
    }
    alarms
}

/// For people: hours, or days when it is many.
fn hours(age: SignedDuration) -> String {
    match age.as_hours() {
        hours if hours >= 72 => format!("{} days", hours / 24),
        hours => format!("{hours} hours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMISE: Promise =
        Promise { age: Duration::from_hours(26), unverified: Duration::from_hours(14 * 24) };

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 3600).unwrap()
    }

    fn kinds(now: i64, facts: &Facts) -> Vec<Alarm> {
        alarms(at(now), facts, PROMISE).into_iter().map(|(alarm, _)| alarm).collect()
    }

    #[test]
    fn nothing_is_promised_before_there_is_a_repository() {
        assert_eq!(kinds(10_000, &Facts::default()), []);
    }

    #[test]
    fn the_promise_counts_from_the_newest_good_backup_or_from_the_first_day() {
        let new = Facts { since: Some(at(0)), ..Facts::default() };
        assert_eq!((kinds(26, &new), kinds(27, &new)), (vec![], vec![Alarm::Old]));
        let good = Facts { good: Some(at(20)), ..new.clone() };
        assert_eq!((kinds(46, &good), kinds(47, &good)), (vec![], vec![Alarm::Old]));
        let failed = Facts { backup_failed: Some("no space".into()), ..good };
        let sentence = &alarms(at(50), &failed, PROMISE)[0].1;
        assert_eq!(sentence, "The newest good backup is 30 hours old: no space");
    }

    #[test]
    fn only_what_was_read_back_is_believed() {
        let days = |days: i64| days * 24;
        let good = |now: i64| Facts { since: Some(at(0)), good: Some(at(now)), ..Facts::default() };
        assert_eq!(kinds(days(14), &good(days(14))), []);
        assert_eq!(kinds(days(14) + 1, &good(days(14))), [Alarm::Unverified]);
        let verified = Facts { verified: Some(at(days(10))), ..good(days(20)) };
        assert_eq!(kinds(days(20), &verified), []);
        let wrong = Facts { drill_failed: Some("user/x differs".into()), ..verified };
        assert_eq!(kinds(days(20), &wrong), [Alarm::Drill]);
    }
}
