//! What is to be done about the identity, and what people are told of it: pure.

use std::time::Duration;

use berth_protocol::link::Trust;
use berth_protocol::standing::Standing;

/// What the gateway said last of CAs and of the certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Asked {
    /// Nothing that is not done.
    #[default]
    Nothing,
    /// Whom to believe, and perhaps to renew.
    Trust(Trust),
    /// The certificate has expired, and nothing goes before it is renewed.
    Expired,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed<'a> {
    /// Nothing.
    Nothing,
    /// To believe these.
    Believe(&'a Trust),
    /// To get a newer certificate.
    Renew,
}

/// What is to be done next, holding this generation of trust. The gateway's clock decides when a certificate is renewed: this
/// machine's may be wrong.
#[must_use]
pub fn next(asked: &Asked, held: u64) -> Deed<'_> {
    match asked {
        Asked::Nothing => Deed::Nothing,
        // Any other generation: a gateway that was restored from a copy is behind.
        Asked::Trust(trust) if trust.generation != held => Deed::Believe(trust),
        Asked::Trust(trust) if trust.renew => Deed::Renew,
        Asked::Trust(_) => Deed::Nothing,
        Asked::Expired => Deed::Renew,
    }
}

/// Whether a certificate should have been renewed long ago, by this machine's clock: after five sixths of its life. Gateways
/// begin at two thirds.
#[must_use]
pub fn is_overdue(standing: &Standing, now: u64) -> bool {
    now.saturating_add(standing.life_secs() / 6) > standing.not_after
}

/// When a certificate ends, in words.
#[must_use]
pub fn end(standing: &Standing, now: u64) -> String {
    if standing.not_after >= now {
        format!("certificate expires in {}", span(standing.not_after - now))
    } else {
        format!("certificate expired {} ago", span(now - standing.not_after))
    }
}

/// How often to look whether a certificate is overdue.
#[must_use]
pub fn look_interval(standing: Option<&Standing>) -> Duration {
    let life = standing.map_or(u64::MAX, Standing::life_secs);
    Duration::from_secs((life / 20).clamp(1, 3600))
}

fn span(secs: u64) -> String {
    let (count, unit) = match secs {
        0..120 => (secs, "second"),
        120..7_200 => (secs / 60, "minute"),
        7_200..172_800 => (secs / 3600, "hour"),
        _ => (secs / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(generation: u64, renew: bool) -> Asked {
        Asked::Trust(Trust { generation, ca_pem: "c".into(), renew })
    }

    #[test]
    fn first_the_cas_are_believed_and_then_the_certificate_is_renewed() {
        assert_eq!(next(&Asked::Nothing, 0), Deed::Nothing);
        assert!(matches!(next(&trust(2, true), 1), Deed::Believe(_)));
        assert_eq!(next(&trust(2, true), 2), Deed::Renew);
        assert_eq!(next(&trust(2, false), 2), Deed::Nothing);
        assert!(matches!(next(&trust(1, false), 2), Deed::Believe(_)), "a restored gateway is behind");
        assert_eq!(next(&Asked::Expired, 2), Deed::Renew);
    }

    #[test]
    fn people_are_told_when_a_certificate_ends() {
        let day = 86_400;
        let standing = Standing { ca_sha256: "a".into(), not_before: 1000 * day, not_after: 1090 * day };
        assert_eq!(end(&standing, 1078 * day), "certificate expires in 12 days");
        assert_eq!(end(&standing, 1090 * day - 7_200), "certificate expires in 2 hours");
        assert_eq!(end(&standing, 1090 * day - 1), "certificate expires in 1 second");
        assert_eq!(end(&standing, 1090 * day + 180), "certificate expired 3 minutes ago");
        assert!(!is_overdue(&standing, 1075 * day) && is_overdue(&standing, 1075 * day + 1));
        assert_eq!(look_interval(Some(&standing)), Duration::from_secs(3600));
        let short = Standing { not_after: 1000 * day + 10, ..standing };
        assert_eq!(look_interval(Some(&short)), Duration::from_secs(1));
    }
}
