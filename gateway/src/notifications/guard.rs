//! Which addresses a user's channel may lead to: public ones, unless the operator allows more.
//!
//! The check is made on what a name resolves to, for each connection, so that a name which changes its mind gains
//! nothing. Redirects are not followed, and proxies of the environment are not used: they would resolve by themselves.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};

/// A range of addresses, such as `10.1.0.0/16`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpRange {
    first: IpAddr,
    bits: u8,
}

/// A text that is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a range of addresses: use the form 10.1.0.0/16, or one address")]
pub struct InvalidRange(String);

/// The host's addresses are not to be reached from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is not a public one")]
pub struct NotPublic;

/// The rule.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Arc<[IpRange]>,
}

impl IpRange {
    /// The addresses whose first `bits` bits are those of `first`.
    #[must_use]
    pub const fn new(first: IpAddr, bits: u8) -> Self {
        Self { first, bits }
    }

    /// Whether an address is in the range.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.first, ip) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                same_head(u128::from(first.to_bits()) << 96, u128::from(ip.to_bits()) << 96, self.bits)
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => same_head(first.to_bits(), ip.to_bits(), self.bits),
            _ => false,
        }
    }
}

/// Whether the first `bits` bits are the same.
fn same_head(a: u128, b: u128, bits: u8) -> bool {
    bits == 0 || (a ^ b) >> (128 - u32::from(bits)) == 0
}

impl FromStr for IpRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let invalid = || InvalidRange(text.to_owned());
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let first: IpAddr = ip.parse().map_err(|_| invalid())?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| invalid()))?;
        if bits > most {
            return Err(invalid());
        }
        Ok(Self { first, bits })
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl TryFrom<String> for IpRange {
    type Error = InvalidRange;

    fn try_from(text: String) -> Result<Self, InvalidRange> {
        text.parse()
    }
}

impl From<IpRange> for String {
    fn from(range: IpRange) -> Self {
        range.to_string()
    }
}

impl Guard {
    /// A guard that lets through public addresses and these.
    #[must_use]
    pub fn new(allowed: &[IpRange]) -> Self {
        Self { allowed: allowed.into() }
    }

    /// Whether a connection may be made to an address. Without TLS only the operator's word counts.
    #[must_use]
    pub fn admits(&self, ip: IpAddr, tls: bool) -> bool {
        let ip = ip.to_canonical();
        self.allowed.iter().any(|range| range.contains(ip)) || tls && is_public(ip)
    }

    /// Whether anything can be reached without TLS.
    #[must_use]
    pub fn allows_plain(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// A resolver that knows no other addresses.
    #[must_use]
    pub fn resolver(&self, tls: bool) -> Arc<GuardedResolver> {
        Arc::new(GuardedResolver { guard: self.clone(), tls })
    }
}

/// Resolves names to addresses that the guard admits.
pub struct GuardedResolver {
    guard: Guard,
    tls: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, tls) = (self.guard.clone(), self.tls);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let admitted: Vec<SocketAddr> = found.filter(|address| guard.admits(address.ip(), tls)).collect();
            if admitted.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// All but what IANA's registry of special-purpose addresses keeps for something else.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let special = matches!(
        ip.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18..=19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [224..=255, ..]
    );
    !special
}

/// Global unicast, without what leads to an address of the other kind (6to4, Teredo; NAT64 is no global unicast) and
/// what is for documentation.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let global = segments[0] & 0xe000 == 0x2000;
    let special = matches!(segments, [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..])
        || segments[0] == 0x3fff && segments[1] < 0x1000;
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn public_addresses_pass_with_tls_and_no_other_do() {
        let guard = Guard::default();
        for public in ["1.1.1.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111"] {
            assert!(guard.admits(ip(public), true), "{public}");
            assert!(!guard.admits(ip(public), false), "{public} without TLS");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            // An IPv4 address in each of its disguises.
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2001:0:1::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
        ] {
            assert!(!guard.admits(ip(private), true), "{private} passed");
        }
        assert!(guard.admits(ip("::ffff:1.1.1.1"), true));
    }

    #[test]
    fn what_the_operator_allows_passes_and_nothing_beside_it() {
        let ranges = ["10.1.0.0/16", "fd00::/8", "127.0.0.1"].map(|text| text.parse().unwrap());
        let guard = Guard::new(&ranges);
        for allowed in ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "127.0.0.1"] {
            assert!(guard.admits(ip(allowed), false), "{allowed}");
        }
        for other in ["10.2.0.1", "127.0.0.2", "fc00::1", "169.254.169.254"] {
            assert!(!guard.admits(ip(other), true), "{other}");
        }
        let all: IpRange = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(ip("255.1.1.1")) && !all.contains(ip("::1")));
        for nonsense in ["", "10.0.0.0/33", "10.0.0.0/-1", "localhost", "::/129", "10.0.0.0/8/8"] {
            assert!(nonsense.parse::<IpRange>().is_err(), "{nonsense}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_home_leads_nowhere() {
        let name = || "localhost".parse::<Name>().unwrap();
        let refused = Guard::default().resolver(true).resolve(name()).await.err().unwrap();
        assert!(refused.downcast_ref::<NotPublic>().is_some(), "{refused}");
        let ranges = ["127.0.0.0/8", "::1"].map(|text| text.parse().unwrap());
        let found = Guard::new(&ranges).resolver(false).resolve(name()).await.unwrap();
        assert!(found.count() > 0);
    }
}
