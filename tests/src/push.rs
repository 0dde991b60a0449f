//! A browser's subscription to a push service: the keys that only the browser has, and what it reads with them.

use data_encoding::BASE64URL_NOPAD;
use p256::{PublicKey, SecretKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::receiver::Received;

/// The browser's side of a subscription.
pub struct Subscription {
    secret: SecretKey,
    auth: [u8; 16],
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Subscription {
    /// One with keys of its own, which differ by `seed`.
    ///
    /// # Panics
    /// When the seed makes no key, as 0 does.
    #[must_use]
    pub fn new(seed: u8) -> Self {
        let secret = SecretKey::from_slice(&[seed; 32]).expect("a key");
        Self { secret, auth: [seed; 16] }
    }

    /// What the page sends to the gateway.
    #[must_use]
    pub fn target(&self, endpoint: &str) -> Value {
        json!({
            "kind": "web_push", "endpoint": endpoint,
            "p256dh": BASE64URL_NOPAD.encode(&self.secret.public_key().to_sec1_bytes()),
            "auth": BASE64URL_NOPAD.encode(&self.auth),
        })
    }

    /// Reads a message as the browser does, by RFC 8291.
    ///
    /// # Panics
    /// When it is not for this browser, or was changed.
    #[must_use]
    pub fn read(&self, received: &Received) -> Value {
        assert_eq!(received.headers["content-encoding"], "aes128gcm");
        let (salt, rest) = received.body.split_at(16);
        let (size, rest) = rest.split_at(4);
        assert!(u32::from_be_bytes(size.try_into().expect("4 bytes")) >= 18);
        let (key, sealed) = rest[1..].split_at(usize::from(rest[0]));
        let theirs = PublicKey::from_sec1_bytes(key).expect("a point");
        let shared = self.secret.diffie_hellman(&theirs);
        let ours = self.secret.public_key().to_sec1_bytes();
        let info = [b"WebPush: info\0".as_slice(), &ours, key];
        let input = derive(&self.auth, shared.raw_secret_bytes(), &info, 32);
        let key = derive(salt, &input, &[b"Content-Encoding: aes128gcm\0"], 16);
        let nonce = derive(salt, &input, &[b"Content-Encoding: nonce\0"], 12);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).expect("a key"));
        let nonce = Nonce::try_assume_unique_for_key(&nonce).expect("a nonce");
        let mut sealed = sealed.to_vec();
        let plain = key.open_in_place(nonce, Aad::empty(), &mut sealed).expect("it is for this browser");
        let (last, plain) = plain.split_last().expect("a delimiter");
        assert_eq!(*last, 2, "the last record");
        serde_json::from_slice(plain).expect("JSON")
    }
}

/// Checks who has sent a message, by RFC 8292, and returns what the sender claims.
///
/// # Panics
/// When the signature is not that of `public_key`.
#[must_use]
pub fn vapid_claims(received: &Received, public_key: &str) -> Value {
    let header = &received.headers["authorization"];
    let (token, key) = header.strip_prefix("vapid t=").expect("VAPID").split_once(", k=").expect("a key");
    assert_eq!(key, public_key, "signed with another key than browsers were told");
    let (signed, signature) = token.rsplit_once('.').expect("a signature");
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).expect("base64url");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(key))
        .verify(signed.as_bytes(), &decode(signature))
        .expect("the signature is good");
    serde_json::from_slice(&decode(signed.split_once('.').expect("claims").1)).expect("JSON")
}

fn derive(salt: &[u8], secret: &[u8], info: &[&[u8]], length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    let prk = Salt::new(HKDF_SHA256, salt).extract(secret);
    prk.expand(info, Length(length)).expect("a length").fill(&mut out).expect("the length");
    out
}
