//! What holds for the headers of any request, whoever sends it: asked by the property tests and by the fuzz targets
//! (`gateway/fuzz`). Each function takes bytes, and panics when a rule is broken.

use std::net::{IpAddr, Ipv4Addr};

use berth_protocol::ids::{InstallationId, PreviewId, SessionId};
use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::Proxies;
use crate::auth::{CookieOf, Origin, Shown, device};

/// Lines of `name: value`, as many as are headers.
fn headers(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// Nothing but exactly our own counts, and what counts stands in the request.
///
/// # Panics
/// When a rule is broken.
pub fn request(bytes: &[u8]) {
    let headers = headers(bytes);
    let origin = Origin::new(&Url::parse("https://berth.example:8443").expect("a constant"));
    let sent =
        |name: &HeaderName| headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    if origin.is_origin(&headers) {
        assert_eq!(sent(&ORIGIN), [origin.as_str().as_bytes()]);
    }
    if origin.is_host(&headers) {
        let [host] = sent(&HOST)[..] else { panic!("of several hosts one is taken for ours") };
        assert!(host.eq_ignore_ascii_case(b"berth.example:8443"));
    }
    let (installation, session, preview) =
        (InstallationId::random(), SessionId::random(), PreviewId::random());
    for cookie in [
        CookieOf::User(&installation),
        CookieOf::Guest(&session),
        CookieOf::PreviewGuest(&preview),
        CookieOf::Return(&installation),
        CookieOf::Issuer(&installation),
        CookieOf::Preview(Shown::Window),
        CookieOf::Preview(Shown::Frame),
    ] {
        if let Some(token) = cookie.read(&headers, &origin) {
            assert!(!token.contains(';'));
            let pair = |header: &[u8]| String::from_utf8_lossy(header).contains(&format!("={token}"));
            assert!(sent(&COOKIE).into_iter().any(pair), "a token that nobody sent");
        }
    }
    if let Some(token) = crate::auth::bearer(&headers) {
        let [value] = sent(&AUTHORIZATION)[..] else { panic!("of several tokens one is taken") };
        assert!(value.ends_with(token.as_bytes()) && token.starts_with("berth_"));
    }
    if let Some(token) = crate::auth::issued(&headers) {
        let [value] = sent(&AUTHORIZATION)[..] else { panic!("of several tokens one is taken") };
        assert!(value.ends_with(token.as_bytes()) && !token.starts_with("berth_"));
    }
    let words = device(&headers);
    assert!(words.len() < 40 && words.is_ascii(), "a client's own words are repeated: {words}");
    let stranger = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
    assert_eq!(Proxies::new(&[]).client(stranger, &headers), stranger, "nobody is believed");
    let proxy = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let client = Proxies::new(&["127.0.0.1".parse().expect("a constant")]).client(proxy, &headers);
    assert!(client == proxy || headers.contains_key("x-forwarded-for"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines that come close.
    fn line() -> impl Strategy<Value = String> {
        let name =
            prop_oneof!["cookie", "origin", "host", "authorization", "x-forwarded-for", "[a-z-]{1,12}"];
        let value = prop_oneof![
            Just("https://berth.example:8443".to_owned()),
            Just("berth.example:8443".to_owned()),
            Just("Bearer berth_abc".to_owned()),
            Just("Bearer a.b.c".to_owned()),
            Just("__Host-berth-preview=abc; a=b".to_owned()),
            Just("203.0.113.7, 127.0.0.1".to_owned()),
            "[ -~]{0,60}",
        ];
        (name, value).prop_map(|(name, value)| format!("{name}: {value}"))
    }

    proptest! {
        #[test]
        fn only_what_was_sent_and_is_exactly_ours_counts(lines in prop::collection::vec(line(), 0..8)) {
            request(lines.join("\n").as_bytes());
        }

        #[test]
        fn no_bytes_break_a_rule(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            request(&bytes);
        }
    }
}
