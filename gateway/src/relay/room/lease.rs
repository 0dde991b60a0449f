//! Whose screen decides the size of a session. Pure: it is told the time.
//!
//! ```text
//!   the first to come claims it ─▶ [desk]
//!   another takes it            ─▶ [desk, phone]     the last claim holds
//!   and gives it back           ─▶ [desk]
//!   whoever left for GRACE      ─▶ is taken out; a reconnect before that costs nothing
//! ```

use std::time::Duration;

use berth_protocol::ids::ClientId;
use tokio::time::Instant;

/// How long a claim outlives its client's connection.
pub const GRACE: Duration = Duration::from_secs(30);

/// The claims on one session's size, the last of which holds.
#[derive(Debug, Default)]
pub struct Lease(Vec<Claim>);

#[derive(Debug)]
struct Claim {
    client: ClientId,
    /// Since when its client is not there.
    left: Option<Instant>,
}

impl Lease {
    /// Whose screen decides.
    pub fn holder(&self) -> Option<&ClientId> {
        self.0.last().map(|claim| &claim.client)
    }

    /// A client that may decide has come, for the first time or again.
    pub fn joined(&mut self, client: &ClientId) {
        if let Some(claim) = self.0.iter_mut().find(|claim| claim.client == *client) {
            claim.left = None;
        } else if self.0.is_empty() {
            self.take(client);
        }
    }

    /// A client is not there any more.
    pub fn left(&mut self, client: &ClientId, now: Instant) {
        if let Some(claim) = self.0.iter_mut().find(|claim| claim.client == *client) {
            claim.left = Some(now);
        }
    }

    /// A client wants to decide.
    pub fn take(&mut self, client: &ClientId) {
        self.0.retain(|claim| claim.client != *client);
        self.0.push(Claim { client: client.clone(), left: None });
    }

    /// A client leaves it to the one before, if there is one.
    pub fn give_back(&mut self, client: &ClientId) {
        if self.0.len() > 1 {
            self.0.retain(|claim| claim.client != *client);
        }
    }

    /// Takes out claims of clients that have left for good. If none remains, `heir` decides.
    pub fn expire(&mut self, now: Instant, heir: Option<&ClientId>) {
        self.0.retain(|claim| claim.left.is_none_or(|left| now < left + GRACE));
        if let (true, Some(heir)) = (self.0.is_empty(), heir) {
            self.take(heir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients() -> (ClientId, ClientId, Lease) {
        (ClientId::random(), ClientId::random(), Lease::default())
    }

    #[test]
    fn the_first_decides_until_another_takes_it_and_again_when_that_gives_it_back() {
        let (desk, phone, mut lease) = clients();
        assert_eq!(lease.holder(), None);
        lease.joined(&desk);
        lease.joined(&phone);
        assert_eq!(lease.holder(), Some(&desk), "a phone shrank the desk by joining");
        lease.take(&phone);
        assert_eq!(lease.holder(), Some(&phone));
        lease.give_back(&phone);
        assert_eq!(lease.holder(), Some(&desk));
        lease.give_back(&desk);
        assert_eq!(lease.holder(), Some(&desk), "there is nobody to give it back to");
    }

    #[tokio::test]
    async fn a_reconnect_costs_nothing_and_leaving_reverts() {
        let (desk, phone, mut lease) = clients();
        let now = Instant::now();
        lease.joined(&desk);
        lease.take(&phone);
        lease.left(&phone, now);
        lease.expire(now + GRACE / 2, Some(&desk));
        assert_eq!(lease.holder(), Some(&phone));
        lease.joined(&phone);
        lease.expire(now + GRACE, Some(&desk));
        assert_eq!(lease.holder(), Some(&phone), "it came back in time");
        lease.left(&phone, now);
        lease.expire(now + GRACE, Some(&desk));
        assert_eq!(lease.holder(), Some(&desk));
    }

    #[tokio::test]
    async fn when_no_claim_remains_whoever_is_there_decides() {
        let (desk, phone, mut lease) = clients();
        let now = Instant::now();
        lease.joined(&desk);
        lease.left(&desk, now);
        lease.expire(now + GRACE, Some(&phone));
        assert_eq!(lease.holder(), Some(&phone));
        lease.left(&phone, now);
        lease.expire(now + GRACE, None);
        assert_eq!(lease.holder(), None);
    }
}
