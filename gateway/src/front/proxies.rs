//! The proxies that are believed when they say for whom they ask. Of anybody else's word nothing is believed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use crate::notifications::IpRange;

/// Where proxies add, at the end, whom they got a request from.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Addresses of proxies.
#[derive(Debug, Clone)]
pub struct Proxies(Arc<[IpRange]>);

impl Proxies {
    /// These.
    #[must_use]
    pub fn new(ranges: &[IpRange]) -> Self {
        Self(ranges.into())
    }

    /// Whether an address is a proxy's.
    #[must_use]
    pub fn include(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(address))
    }

    /// Who asks, when a request comes from `peer`: the last who is no proxy of ours. What stands before that in the
    /// header may be made up.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let values = headers.get_all(FORWARDED_FOR).iter().collect::<Vec<_>>();
        let said = values.iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        for said in said {
            if !self.include(client) {
                break;
            }
            // A proxy that says nonsense is as far as one can see.
            let Some(address) = std::str::from_utf8(said).ok().and_then(address) else { break };
            client = address;
        }
        client
    }
}

/// An address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let found = text.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    found.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed_and_only_as_far_as_they_saw() {
        let proxies = Proxies::new(&["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
        let client = |peer: &str, said: &[&str]| {
            let headers = said.iter().map(|value| (FORWARDED_FOR, value.parse().unwrap())).collect();
            proxies.client(peer.parse().unwrap(), &headers).to_string()
        };
        // Nobody's word.
        assert_eq!(client("203.0.113.7", &["198.51.100.1"]), "203.0.113.7");
        assert_eq!(client("203.0.113.7", &["10.0.0.1"]), "203.0.113.7");
        // One proxy, two of them, and what a client has made up before.
        assert_eq!(client("10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(client("::1", &["203.0.113.7, 10.0.0.2"]), "203.0.113.7");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, 203.0.113.7"]), "203.0.113.7");
        assert_eq!(client("10.0.0.1", &["198.51.100.1", "203.0.113.7", "10.9.9.9"]), "203.0.113.7");
        // A proxy that does not say.
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.7, \u{20ac}"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.7, x, 10.0.0.2"]), "10.0.0.2");
        // Other shapes of the same.
        assert_eq!(client("::ffff:10.0.0.1", &["203.0.113.7:4711"]), "203.0.113.7");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }
}
