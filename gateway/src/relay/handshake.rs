//! The browser's side of the upgrade: what is asked for, whether it is sound, and the answer.
//!
//! Pure. The router has seen to method, path and `Origin`; here the WebSocket headers are checked to the
//! letter, because a request that only looks like an upgrade is how bytes are smuggled past a proxy.

use std::fmt;

use berth_protocol::terminal::{SUBPROTOCOL_BERTH, SUBPROTOCOL_TTY, TICKET_PREFIX};
use data_encoding::BASE64;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{Response, StatusCode};
use sha1::{Digest, Sha1};

/// RFC 6455's constant that proves that the peer understood the key as a WebSocket's.
const ACCEPT_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Which protocol the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `berth.v1`: ttyd's binary messages, and text messages with our JSON.
    Berth,
    /// `tty`: ttyd's messages alone, as its stock client speaks them.
    Tty,
}

impl Mode {
    /// The subprotocol that stands for it.
    #[must_use]
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Berth => SUBPROTOCOL_BERTH,
            Self::Tty => SUBPROTOCOL_TTY,
        }
    }
}

/// The single-use secret that names user, session and role. It does not show in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket(String);

impl Ticket {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}

/// A sound upgrade request.
#[derive(Debug)]
pub struct Upgrade {
    /// What will be spoken.
    pub mode: Mode,
    /// The ticket of a `berth.v1` client; a `tty` client sends it in its first message.
    pub ticket: Option<Ticket>,
    accept: HeaderValue,
}

impl Upgrade {
    /// The answer that agrees to the upgrade.
    #[must_use]
    pub fn response<B: Default>(&self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().extend([
            (CONNECTION, HeaderValue::from_static("Upgrade")),
            (UPGRADE, HeaderValue::from_static("websocket")),
            (SEC_WEBSOCKET_ACCEPT, self.accept.clone()),
            (SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(self.mode.subprotocol())),
        ]);
        response
    }
}

/// Why a request is not an upgrade that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Not a WebSocket upgrade, or another upgrade as well.
    #[error("not a WebSocket upgrade")]
    NotUpgrade,
    /// An upgrade has no body; what follows it would be taken for frames.
    #[error("an upgrade has no body")]
    Body,
    /// Any version but 13; to be answered with 426.
    #[error("only WebSocket version 13 is spoken")]
    Version,
    /// The key is missing, repeated or not 16 bytes of base64.
    #[error("Sec-WebSocket-Key is not valid")]
    Key,
    /// Neither `berth.v1` with one ticket nor `tty` was offered.
    #[error("offer the subprotocol {SUBPROTOCOL_BERTH} with one ticket, or {SUBPROTOCOL_TTY}")]
    Subprotocol,
}

/// Checks the headers of a browser's upgrade request.
///
/// # Errors
/// When they do not ask for a terminal in a way that leaves no doubt.
pub fn check_upgrade(headers: &HeaderMap) -> Result<Upgrade, HandshakeError> {
    let upgrade = single(headers, &UPGRADE).ok_or(HandshakeError::NotUpgrade)?;
    if !upgrade.eq_ignore_ascii_case("websocket") || !has_token(headers, &CONNECTION, "upgrade") {
        return Err(HandshakeError::NotUpgrade);
    }
    let empty = headers.get_all(CONTENT_LENGTH).iter().all(|length| length == "0");
    if !empty || headers.contains_key(TRANSFER_ENCODING) {
        return Err(HandshakeError::Body);
    }
    if single(headers, &SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(HandshakeError::Version);
    }
    let key = single(headers, &SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?;
    if BASE64.decode(key.as_bytes()).map_or(true, |key| key.len() != 16) {
        return Err(HandshakeError::Key);
    }
    let (mode, ticket) = choose_subprotocol(headers)?;
    let accept = HeaderValue::try_from(accept_value(key)).map_err(|_| HandshakeError::Key)?;
    Ok(Upgrade { mode, ticket, accept })
}

/// The value of `Sec-WebSocket-Accept` that answers `key`.
pub(crate) fn accept_value(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_SALT).finalize();
    BASE64.encode(&digest)
}

fn choose_subprotocol(headers: &HeaderMap) -> Result<(Mode, Option<Ticket>), HandshakeError> {
    let offered = || tokens(headers, &SEC_WEBSOCKET_PROTOCOL);
    if offered().any(|entry| entry == SUBPROTOCOL_BERTH) {
        let mut tickets = offered().filter_map(|entry| entry.strip_prefix(TICKET_PREFIX));
        return match (tickets.next(), tickets.next()) {
            (Some(ticket), None) if !ticket.is_empty() => {
                Ok((Mode::Berth, Some(Ticket::new(ticket.to_owned()))))
            }
            _ => Err(HandshakeError::Subprotocol),
        };
    }
    if offered().any(|entry| entry == SUBPROTOCOL_TTY) {
        return Ok((Mode::Tty, None));
    }
    Err(HandshakeError::Subprotocol)
}

/// A header's value if the header stands there exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(str::trim),
        _ => None,
    }
}

/// The entries of a header whose value is a list, over all its lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|entry| entry.eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: [(&str, &str); 5] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "berth.v1, ticket.abc"),
    ];

    fn headers<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
        let parse = |(name, value): (&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in entries.into_iter().map(parse) {
            let (name, value): (HeaderName, HeaderValue) = (name, value);
            headers.append(name, value);
        }
        headers
    }

    /// The sound request with one header replaced, or removed.
    fn changed(name: &str, value: Option<&str>) -> Result<Upgrade, HandshakeError> {
        let rest = SOUND.into_iter().filter(|(sound, _)| *sound != name);
        check_upgrade(&headers(rest.chain(value.map(|value| (name, value)))))
    }

    #[test]
    fn a_sound_request_is_answered_as_in_the_rfc() {
        let upgrade = check_upgrade(&headers(SOUND)).unwrap();
        assert_eq!(upgrade.mode, Mode::Berth);
        assert_eq!(upgrade.ticket.as_ref().unwrap().as_str(), "abc");
        assert!(!format!("{upgrade:?}").contains("abc"), "a ticket shows in logs");
        let response = upgrade.response::<()>();
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()["sec-websocket-protocol"], "berth.v1");
        assert!(!response.headers().contains_key("sec-websocket-extensions"));
    }

    #[test]
    fn every_doubt_is_refused() {
        use HandshakeError::{Body, Key, NotUpgrade, Subprotocol, Version};
        let cases = [
            ("connection", None, NotUpgrade),
            ("connection", Some("keep-alive"), NotUpgrade),
            ("upgrade", None, NotUpgrade),
            ("upgrade", Some("h2c"), NotUpgrade),
            ("upgrade", Some("websocket, h2c"), NotUpgrade),
            ("content-length", Some("5"), Body),
            ("transfer-encoding", Some("chunked"), Body),
            ("sec-websocket-version", None, Version),
            ("sec-websocket-version", Some("8"), Version),
            ("sec-websocket-key", None, Key),
            ("sec-websocket-key", Some("dG9vIHNob3J0"), Key),
            ("sec-websocket-key", Some("dGhlIHNhbXBsZSBub25jZQ"), Key),
            ("sec-websocket-protocol", None, Subprotocol),
            ("sec-websocket-protocol", Some("berth.v1"), Subprotocol),
            ("sec-websocket-protocol", Some("berth.v1, ticket."), Subprotocol),
            ("sec-websocket-protocol", Some("berth.v1, ticket.a, ticket.b"), Subprotocol),
            ("sec-websocket-protocol", Some("ticket.a, mqtt"), Subprotocol),
        ];
        for (name, value, expected) in cases {
            assert_eq!(changed(name, value).unwrap_err(), expected, "{name}: {value:?}");
        }
        let twice = SOUND.into_iter().chain([("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")]);
        assert_eq!(check_upgrade(&headers(twice)).unwrap_err(), Key);
    }

    #[test]
    fn a_stock_client_is_taken_without_a_ticket() {
        let upgrade = changed("sec-websocket-protocol", Some("tty")).unwrap();
        assert_eq!(upgrade.mode, Mode::Tty);
        assert_eq!(upgrade.ticket, None);
        assert_eq!(upgrade.response::<()>().headers()["sec-websocket-protocol"], "tty");
    }
}
