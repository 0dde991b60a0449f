//! Headers that belong to one connection, and what a request asks of it. Pure.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};

use crate::relay::accept_value;

/// Headers that concern one connection, beside those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Headers that `Connection` can't take away: the message would mean something else.
const KEPT: [HeaderName; 2] = [HOST, CONTENT_LENGTH];

/// Takes away what concerns one connection only. `Trailer` stays, since trailers are passed on.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let goes_anyway = |token: &&str| HOP_BY_HOP.iter().any(|name| token.eq_ignore_ascii_case(name.as_str()));
    // Mostly none but those.
    let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
        .filter(|token| !goes_anyway(token))
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .filter(|name| !KEPT.contains(name))
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Whether a list header has a token.
pub fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// An answer.
    Answer,
    /// A WebSocket.
    WebSocket,
}

/// Looks at a request's head for what could be taken in two ways.
///
/// # Errors
/// With what is wrong, for people.
pub fn check(parts: &Parts, authority: &str) -> Result<Asked, &'static str> {
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err("a preview has no such method");
    }
    // A whole URL in the request line must lead where `Host` does.
    if parts.uri.authority().is_some_and(|named| !named.as_str().eq_ignore_ascii_case(authority)) {
        return Err("the request names two hosts");
    }
    if !parts.uri.path().starts_with('/') {
        return Err("the request has no path");
    }
    let headers = &parts.headers;
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    if lengths > 1 || lengths == 1 && headers.contains_key(TRANSFER_ENCODING) {
        return Err("the request has two lengths");
    }
    let mut upgrades = headers.get_all(UPGRADE).iter();
    let websocket = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    match (upgrades.next(), upgrades.next()) {
        (Some(upgrade), None) if websocket(upgrade) && has_token(headers, &CONNECTION, "upgrade") => {}
        // Other upgrades are optional by their nature, and are not taken.
        _ => return Ok(Asked::Answer),
    }
    let body = headers.contains_key(TRANSFER_ENCODING)
        || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    if body || parts.method != Method::GET || parts.version != http::Version::HTTP_11 {
        return Err("a WebSocket begins with a GET without a body");
    }
    let one = |name: &HeaderName| headers.get_all(name).iter().count() == 1;
    if !one(&SEC_WEBSOCKET_KEY) || headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err("a WebSocket needs one key, and version 13");
    }
    Ok(Asked::WebSocket)
}

/// Whether an answer agrees to the WebSocket whose key this is. Before that, nothing is tunnelled.
pub fn agrees(status: StatusCode, headers: &HeaderMap, key: &str) -> bool {
    let upgrade =
        headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    status == StatusCode::SWITCHING_PROTOCOLS
        && upgrade
        && has_token(headers, &CONNECTION, "upgrade")
        && headers.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|accept| *accept == *accept_value(key))
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;

    fn parts(method: &str, uri: &str, headers: &[(&'static str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const UPGRADING: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];

    fn upgrading(change: (&'static str, &str)) -> Result<Asked, &'static str> {
        let kept = UPGRADING.into_iter().filter(|(name, _)| *name != change.0);
        let headers: Vec<_> = kept.chain(Some(change).filter(|(_, value)| !value.is_empty())).collect();
        check(&parts("GET", "/", &headers), "preview.example")
    }

    #[test]
    fn what_could_be_taken_in_two_ways_is_refused() {
        let check = |method, uri, headers: &[_]| check(&parts(method, uri, headers), "preview.example");
        assert_eq!(check("GET", "/", &[]), Ok(Asked::Answer));
        assert_eq!(check("GET", "http://preview.example/", &[]), Ok(Asked::Answer));
        assert!(check("GET", "http://localhost:22/", &[]).is_err());
        assert!(check("CONNECT", "localhost:22", &[]).is_err());
        assert!(check("TRACE", "/", &[]).is_err());
        assert!(check("OPTIONS", "*", &[]).is_err());
        assert!(check("POST", "/", &[("content-length", "1"), ("transfer-encoding", "chunked")]).is_err());
        assert!(check("POST", "/", &[("content-length", "1"), ("content-length", "1")]).is_err());
    }

    #[test]
    fn only_a_sound_websocket_is_an_upgrade() {
        assert_eq!(upgrading(("x-other", "y")), Ok(Asked::WebSocket));
        for (name, value) in [("upgrade", "h2c"), ("upgrade", "websocket, h2c"), ("connection", "close")] {
            assert_eq!(upgrading((name, value)), Ok(Asked::Answer), "{name}: {value}");
        }
        for (name, value) in [
            ("sec-websocket-version", "12"),
            ("sec-websocket-key", ""),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
        ] {
            assert!(upgrading((name, value)).is_err(), "{name}: {value}");
        }
        assert!(check(&parts("POST", "/", &UPGRADING), "preview.example").is_err());
    }

    #[test]
    fn a_status_alone_is_no_agreement() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        assert!(!agrees(StatusCode::SWITCHING_PROTOCOLS, &headers, key), "without a proof");
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(agrees(StatusCode::SWITCHING_PROTOCOLS, &headers, key));
        assert!(!agrees(StatusCode::OK, &headers, key));
        assert!(!agrees(StatusCode::SWITCHING_PROTOCOLS, &headers, "AAAAAAAAAAAAAAAAAAAAAA=="));
        headers.insert(UPGRADE, HeaderValue::from_static("h2c"));
        assert!(!agrees(StatusCode::SWITCHING_PROTOCOLS, &headers, key));
    }

    #[test]
    fn what_connection_names_goes_but_not_what_frames_the_message() {
        let mut headers = parts(
            "GET",
            "/",
            &[
                ("connection", "close, X-Secret, host, content-length"),
                ("x-secret", "1"),
                ("host", "a"),
                ("content-length", "3"),
                ("keep-alive", "5"),
                ("http2-settings", "x"),
                ("upgrade", "h2c"),
                ("trailer", "x-sum"),
            ],
        )
        .headers;
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "host", "trailer"]);
    }
}
