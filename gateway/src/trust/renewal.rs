//! When a box's certificate is to be renewed, and whether it still may be: pure, by the gateway's clock. A box's own clock
//! may be wrong after a suspension, so boxes are told.

use std::time::Duration;

use berth_protocol::standing::Standing;

/// The longest time over which boxes are spread that all have to renew, because another CA signs.
const MOST_SPREAD_SECS: u64 = 600;

/// How certificates are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long a box's certificate counts, seconds.
    pub life_secs: u64,
    /// For how long after that it can be renewed, seconds.
    pub grace_secs: u64,
}

impl Rules {
    /// After which time a box with this certificate should renew it; zero when it should now. `signing` is the CA that
    /// signs, `since` for how long that or another cause is known, and `jitter`, from 0 to 1, the box's place among all.
    #[must_use]
    pub fn renewal_in(
        &self,
        shown: &Standing,
        signing: &str,
        since: Duration,
        now: u64,
        jitter: f64,
    ) -> Duration {
        // One that was given out when certificates lasted.
        let outlasts = shown.life_secs() / 2 > self.life_secs;
        if shown.ca_sha256 != signing || outlasts {
            let spread = Duration::from_secs(self.life_secs / 20).min(Duration::from_secs(MOST_SPREAD_SECS));
            return spread.mul_f64(jitter).saturating_sub(since);
        }
        // From two thirds of its life on, until three quarters.
        let life = Duration::from_secs(shown.life_secs());
        let due = Duration::from_secs(shown.not_before) + life * 2 / 3 + (life / 12).mul_f64(jitter);
        due.saturating_sub(Duration::from_secs(now))
    }

    /// Whether a certificate can be exchanged for a newer one.
    #[must_use]
    pub fn renewable(&self, shown: &Standing, now: u64) -> bool {
        now <= shown.not_after.saturating_add(self.grace_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    const RULES: Rules = Rules { life_secs: 90 * DAY, grace_secs: 365 * DAY };

    fn shown(ca: &str, days: u64) -> Standing {
        Standing { ca_sha256: ca.into(), not_before: 1000 * DAY, not_after: (1000 + days) * DAY }
    }

    fn days_left(shown: &Standing, day: u64, jitter: f64) -> u64 {
        RULES.renewal_in(shown, "a", Duration::ZERO, day * DAY, jitter).as_secs() / DAY
    }

    #[test]
    fn a_certificate_is_renewed_from_two_thirds_of_its_life_on() {
        let shown = shown("a", 90);
        assert_eq!(days_left(&shown, 1000, 0.0), 60);
        assert_eq!(days_left(&shown, 1000, 1.0), 67);
        assert_eq!(days_left(&shown, 1059, 0.0), 1);
        for late in [1060, 1090, 3000] {
            assert_eq!(RULES.renewal_in(&shown, "a", Duration::ZERO, late * DAY, 0.0), Duration::ZERO);
        }
    }

    #[test]
    fn a_certificate_of_another_ca_is_renewed_soon_and_not_all_at_once() {
        let shown = shown("b", 90);
        let wait = |since, jitter| {
            RULES.renewal_in(&shown, "a", Duration::from_secs(since), 1000 * DAY, jitter).as_secs()
        };
        assert_eq!((wait(0, 0.0), wait(0, 0.5), wait(0, 1.0)), (0, 300, 600));
        assert_eq!((wait(100, 0.5), wait(300, 0.5), wait(5000, 0.5)), (200, 0, 0));
    }

    #[test]
    fn a_certificate_of_when_they_lasted_is_renewed_and_one_of_a_longer_setting_lives_on() {
        assert_eq!(days_left(&shown("a", 20 * 365), 1000, 1.0), 0);
        assert_eq!(days_left(&shown("a", 180), 1000, 0.0), 120);
    }

    #[test]
    fn a_certificate_can_be_renewed_for_a_while_after_its_end() {
        let shown = shown("a", 90);
        assert!(RULES.renewable(&shown, 999 * DAY), "a clock that was wrong is no reason");
        assert!(RULES.renewable(&shown, (1090 + 365) * DAY));
        assert!(!RULES.renewable(&shown, (1090 + 365) * DAY + 1));
    }
}
