//! What one link is told of the CAs and of its certificate's end, and when.

use std::time::Duration;

use berth_protocol::link::Trust;
use berth_protocol::standing::Standing;
use tokio::time::{Instant, sleep_until};

use super::listener::now_secs;
use crate::store::Shown;
use crate::trust::{Rules, State};

/// The longest time between two looks at the clock, which somebody may set.
const LOOK: Duration = Duration::from_secs(600);

/// What a box is told, and what it has acknowledged.
pub(super) struct Trusting {
    standing: Standing,
    /// The generation that the box holds; nothing of an agent that knows none.
    held: Option<u64>,
    /// What it was told over this link: the generation, and whether to renew.
    told: Option<(u64, bool)>,
    /// The box's place among all that have to renew.
    jitter: f64,
    /// The CA that signs, and since when that is known here.
    signing: Option<(String, Instant)>,
    /// When to look again.
    look_at: Instant,
}

impl Trusting {
    /// Of a box that shows this certificate and holds this generation.
    pub(super) fn new(standing: Standing, held: Option<u64>) -> Self {
        let jitter = fastrand::f64();
        Self { standing, held, told: None, jitter, signing: None, look_at: Instant::now() }
    }

    /// What the store remembers of it.
    pub(super) fn shown(&self) -> Shown {
        let until_ms = i64::try_from(self.standing.not_after.saturating_mul(1000)).unwrap_or(i64::MAX);
        Shown { ca: self.standing.ca_sha256.clone(), until_ms, trust: self.held }
    }

    /// The CA of the box's certificate, by fingerprint.
    pub(super) fn ca(&self) -> &str {
        &self.standing.ca_sha256
    }

    /// Whether a box that says it has stored this generation says something new that it can know: what it was told over this
    /// link. By any other number it could keep its CA from being removed, or be taken for one that knows a CA.
    pub(super) fn can_acknowledge(&self, generation: u64) -> bool {
        self.told.is_some_and(|(told, _)| told == generation) && self.held != Some(generation)
    }

    /// The box has stored whom to believe.
    pub(super) fn acknowledged(&mut self, generation: u64) {
        self.held = Some(generation);
    }

    /// What the box must be told now, if anything.
    pub(super) fn news(&mut self, trusted: &State, rules: Rules) -> Option<Trust> {
        let signing = &trusted.signing().fingerprint;
        if self.signing.as_ref().is_none_or(|(known, _)| known != signing) {
            self.signing = Some((signing.clone(), Instant::now()));
        }
        let since = self.signing.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed());
        let wait = rules.renewal_in(&self.standing, signing, since, now_secs(), self.jitter);
        self.look_at = Instant::now() + wait.min(LOOK);
        let now = (trusted.generation(), wait.is_zero());
        let knows = self.held == Some(now.0) && !now.1;
        if knows || self.told == Some(now) {
            return None;
        }
        self.told = Some(now);
        Some(Trust { generation: now.0, ca_pem: trusted.ca_pem(), renew: now.1 })
    }

    /// Waits until there may be news because time has passed. Cancel-safe.
    pub(super) async fn due(&self) {
        match self.told {
            Some((_, true)) => std::future::pending().await,
            _ => sleep_until(self.look_at).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::InstanceId;

    use super::*;
    use crate::trust::tests::Fixture;

    #[test]
    fn a_box_acknowledges_what_it_was_told_and_nothing_else() {
        let fixture = Fixture::new(2);
        let trusted = fixture.trust.now();
        let credentials = fixture.box_credentials(&InstanceId::random(), 0);
        let standing = trusted.standing(&credentials.chain[0]).unwrap();
        let mut trusting = Trusting::new(standing, Some(1));
        assert!(!trusting.can_acknowledge(2), "it was told nothing");
        assert_eq!(trusting.news(&trusted, fixture.trust.rules()).unwrap().generation, 2);
        for other in [0, 1, 3, u64::MAX] {
            assert!(!trusting.can_acknowledge(other), "{other}");
        }
        assert!(trusting.can_acknowledge(2));
        trusting.acknowledged(2);
        assert!(!trusting.can_acknowledge(2), "it is known");
    }
}
