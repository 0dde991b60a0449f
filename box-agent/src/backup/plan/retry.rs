//! Whether a failure is tried again within a run, and when.
//!
//! | class | tried again |
//! |---|---|
//! | access refused | only while the keys are new: R2 takes up to a minute to know them |
//! | not reached, busy | with growing pauses, until the deadline |
//! | everything else | never: it would fail again |

use std::time::Duration;

use super::super::problem::Problem;

/// What is tried how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long new keys may be refused.
    pub new_keys: Duration,
    /// Pause between attempts with new keys.
    pub new_keys_pause: Duration,
    /// How long the repository may take until it is open.
    pub open: Duration,
}

/// The first pause of those that grow.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The pause before the next attempt; nothing when there is to be none.
///
/// `attempt` counts from 1; `elapsed` is since the first; `keys_age` is how long these keys have been in use here,
/// nothing when they have worked before; `chance` is between 0 and 1.
#[must_use]
pub fn pause(
    problem: &Problem,
    attempt: u32,
    elapsed: Duration,
    keys_age: Option<Duration>,
    limits: &Limits,
    chance: f64,
) -> Option<Duration> {
    let spread = |pause: Duration| pause.mul_f64(0.75 + chance.clamp(0.0, 1.0) / 2.0);
    match problem {
        Problem::AccessDenied { .. } => {
            keys_age.filter(|age| *age < limits.new_keys).map(|_| spread(limits.new_keys_pause))
        }
        Problem::Unreachable { .. } | Problem::Locked => {
            let pause =
                FIRST_PAUSE.saturating_mul(1 << (attempt.saturating_sub(1)).min(5)).min(LONGEST_PAUSE);
            (elapsed < limits.open).then(|| spread(pause))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        new_keys: Duration::from_secs(180),
        new_keys_pause: Duration::from_secs(5),
        open: Duration::from_secs(120),
    };

    fn after(problem: &Problem, elapsed: u64, age: Option<u64>) -> Option<Duration> {
        pause(problem, 1, Duration::from_secs(elapsed), age.map(Duration::from_secs), &LIMITS, 0.5)
    }

    #[test]
    fn new_keys_are_given_their_minutes_and_old_ones_none() {
        let denied = Problem::AccessDenied { words: "403".into() };
        assert_eq!(after(&denied, 0, Some(0)), Some(Duration::from_secs(5)));
        assert_eq!(after(&denied, 179, Some(179)), Some(Duration::from_secs(5)));
        assert_eq!(after(&denied, 0, Some(180)), None);
        assert_eq!(after(&denied, 0, None), None);
        let spread = |chance| pause(&denied, 1, Duration::ZERO, Some(Duration::ZERO), &LIMITS, chance);
        assert!(spread(0.0) < spread(1.0));
    }

    #[test]
    fn what_may_pass_is_tried_until_the_deadline_and_the_rest_never() {
        for problem in [Problem::Unreachable { words: "500".into() }, Problem::Locked] {
            assert!(after(&problem, 119, None).is_some() && after(&problem, 120, Some(0)).is_none());
        }
        let growing = |attempt| pause(&Problem::Locked, attempt, Duration::ZERO, None, &LIMITS, 0.5).unwrap();
        assert!(growing(1) < growing(2) && growing(9) == growing(40));
        for problem in [
            Problem::WrongPassword,
            Problem::NoRepository,
            Problem::NoSpace(String::new()),
            Problem::Cancelled,
        ] {
            assert_eq!(after(&problem, 0, Some(0)), None, "{problem:?}");
        }
    }
}
