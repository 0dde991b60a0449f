//! Secrets that are handed out once and stored as hashes.

use data_encoding::BASE64URL_NOPAD;

/// 256 random bits, in characters that are safe in a URL, a cookie and a WebSocket subprotocol.
///
/// # Panics
/// When the operating system has no randomness to give; nothing can be done safely then.
#[must_use]
pub fn new_secret() -> String {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    BASE64URL_NOPAD.encode(&bytes)
}
