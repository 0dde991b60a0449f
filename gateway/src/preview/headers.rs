//! What of a request reaches a dev server, and what of its answer reaches the browser. Pure.
//!
//! Dev servers guard themselves by `Host` and `Origin`, each in its own way; the policy below is what Vite and Next
//! take without being configured. Nothing that a client says of proxies before us is believed or passed on, and
//! nothing of ours, cookies above all, leaves the gateway.

use std::net::IpAddr;
use std::{fmt, str};

use http::header::{
    ALT_SVC, CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, HeaderName, LOCATION, ORIGIN, SET_COOKIE, TE,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue};

use super::hop::strip_hop_by_hop;

/// What our cookies' names begin with, here and at the console.
const OUR_COOKIES: [&str; 2] = ["berth-", "__Host-berth-"];

/// How a dev server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As `localhost`; `Origin` too, where Next demands it.
    Standard,
    /// As `localhost` in everything.
    Localhost,
    /// As the preview's own host.
    Transparent,
}

/// A text that is not a mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a mode: expected standard, localhost or transparent")]
pub struct InvalidMode;

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "standard",
            Self::Localhost => "localhost",
            Self::Transparent => "transparent",
        })
    }
}

impl str::FromStr for Mode {
    type Err = InvalidMode;

    fn from_str(text: &str) -> Result<Self, InvalidMode> {
        match text {
            "standard" => Ok(Self::Standard),
            "localhost" => Ok(Self::Localhost),
            "transparent" => Ok(Self::Transparent),
            _ => Err(InvalidMode),
        }
    }
}

/// Between which names a message passes.
#[derive(Debug, Clone, Copy)]
pub struct Passage<'a> {
    /// How the dev server is spoken to.
    pub mode: Mode,
    /// The port that it listens on.
    pub port: u16,
    /// `host` or `host:port` of the preview.
    pub authority: &'a str,
    /// The preview's origin.
    pub origin: &'a str,
    /// `http` or `https`, as the browser speaks.
    pub scheme: &'static str,
    /// Who speaks to the gateway.
    pub peer: Option<IpAddr>,
}

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Makes a request's headers fit for the dev server. `path` decides nothing but what Next wants of `Origin`.
pub fn inward(headers: &mut HeaderMap, passage: &Passage<'_>, path: &str, upgrade: bool) {
    let trailers = super::hop::has_token(headers, &TE, "trailers");
    strip_hop_by_hop(headers);
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
    // The gateway itself asks for the body, at once.
    headers.remove(EXPECT);
    keep_foreign_cookies(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    let ours = headers.get(ORIGIN).is_some_and(|origin| origin == passage.origin);
    if ours && speaks_as_localhost(passage.mode, path, upgrade) {
        set(headers, ORIGIN, format!("http://localhost:{}", passage.port));
    }
    let local = format!("localhost:{}", passage.port);
    set(headers, HOST, if passage.mode == Mode::Transparent { passage.authority.to_owned() } else { local });
    if passage.mode != Mode::Localhost {
        set(headers, FORWARDED_HOST, passage.authority.to_owned());
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(passage.scheme));
    if let Some(peer) = passage.peer {
        set(headers, FORWARDED_FOR, peer.to_string());
    }
    if upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
}

fn speaks_as_localhost(mode: Mode, path: &str, upgrade: bool) -> bool {
    match mode {
        Mode::Standard => upgrade || path.contains("/_next") || path.contains("/__nextjs"),
        Mode::Localhost => true,
        Mode::Transparent => false,
    }
}

/// Makes an answer's headers fit for the browser.
pub fn outward(headers: &mut HeaderMap, passage: &Passage<'_>) {
    strip_hop_by_hop(headers);
    // It would lead the browser past the gateway.
    headers.remove(ALT_SVC);
    if let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok())
        && let Some(adjusted) = from_localhost(location, passage)
    {
        set(headers, LOCATION, adjusted);
    }
    let cookies: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().filter_map(without_domain).collect();
    headers.remove(SET_COOKIE);
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
}

/// Whether a header says what only the gateway may say: of proxies on the way, and of Berth. Programs that take
/// names from an environment see `_` and `-` as one.
fn is_claim(name: &str) -> bool {
    let same = |(ours, theirs): (u8, u8)| ours == theirs || ours == b'-' && theirs == b'_';
    let begins = |claim: &str| name.len() >= claim.len() && claim.bytes().zip(name.bytes()).all(same);
    let is = |claim: &str| name.len() == claim.len() && begins(claim);
    begins("x-forwarded-")
        || begins("berth-")
        || is(FORWARDED.as_str())
        || is("x-real-ip")
        || is("x-original-host")
        || is("x-original-url")
        || is("x-rewrite-url")
}

/// Keeps the dev server's own cookies.
fn keep_foreign_cookies(headers: &mut HeaderMap) {
    let kept: Vec<Vec<u8>> = headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty() && !is_ours(pair))
        .map(<[u8]>::to_vec)
        .collect();
    headers.remove(COOKIE);
    if !kept.is_empty()
        && let Ok(value) = HeaderValue::from_bytes(&kept.join(&b"; "[..]))
    {
        headers.insert(COOKIE, value);
    }
}

fn is_ours(pair: &[u8]) -> bool {
    OUR_COOKIES.iter().any(|prefix| {
        pair.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    })
}

/// A cookie for the preview's own host only; nothing for one that pretends to be ours.
fn without_domain(cookie: &HeaderValue) -> Option<HeaderValue> {
    if is_ours(cookie.as_bytes().trim_ascii()) {
        return None;
    }
    let is_domain = |part: &[u8]| {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"domain")
    };
    let mut parts = cookie.as_bytes().split(|byte| *byte == b';');
    // The first part is name and value, and may be called "domain".
    let mut kept = parts.next()?.to_vec();
    for part in parts.filter(|part| !is_domain(part)) {
        kept.push(b';');
        kept.extend_from_slice(part);
    }
    HeaderValue::from_bytes(&kept).ok()
}

/// Where a redirection to the dev server's own address leads in the browser.
fn from_localhost(location: &str, passage: &Passage<'_>) -> Option<String> {
    let rest = location.strip_prefix("http://").or_else(|| location.strip_prefix("https://"))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = authority.rsplit_once(':')?;
    let local = matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0" | "[::1]");
    (local && port.parse() == Ok(passage.port)).then(|| format!("{}{path}", passage.origin))
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: String) {
    // Hosts, origins and addresses are plain; a value that is not takes the header away.
    match HeaderValue::try_from(value) {
        Ok(value) => headers.insert(name, value),
        Err(_) => headers.remove(name),
    };
}

#[cfg(test)]
mod tests;
