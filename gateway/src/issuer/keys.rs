//! An issuer's public keys, and how a token is opened with them. Pure.
//!
//! What a key is used for is settled when it is read: by what it says itself, and by what the settings allow. What a
//! token's head says is compared with that and decides nothing.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

use super::Refused;
use super::claims::Claims;

/// Keys that are looked at.
const MOST_KEYS: usize = 64;

/// The longest token, bytes.
const MOST_TOKEN: usize = 16 * 1024;

/// Types that tokens may say they are of, in small letters.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// One key.
#[derive(Clone)]
pub(super) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The keys. Never empty.
pub(super) struct Keys(Vec<Key>);

/// A document of keys without one that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's keys are not understood, or none of them is of an allowed kind")]
pub(super) struct NoKeys;

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl Keys {
    /// The keys of a document that can be used. A key of a kind that is not known leaves the others alone.
    pub(super) fn read(json: &[u8], allowed: &[Algorithm]) -> Result<Self, NoKeys> {
        let document: Document = serde_json::from_slice(json).map_err(|_| NoKeys)?;
        let keys = document.keys.into_iter().take(MOST_KEYS).filter_map(|key| Key::read(key, allowed));
        let keys: Vec<Key> = keys.collect();
        if keys.is_empty() { Err(NoKeys) } else { Ok(Self(keys)) }
    }

    /// The key of this name. A token that names none is signed with the only one there is.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&Key> {
        match (id, &self.0[..]) {
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

impl Key {
    fn read(key: Value, allowed: &[Algorithm]) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        if jwk.common.public_key_use.as_ref().is_some_and(|what| *what != PublicKeyUse::Signature) {
            return None;
        }
        let said = jwk.common.key_algorithm;
        let algorithm = allowed.iter().copied().find(|one| {
            fits(&jwk.algorithm, *one) && said.is_none_or(|said| said == KeyAlgorithm::from(*one))
        })?;
        Some(Self { algorithm, key: DecodingKey::from_jwk(&jwk).ok()?, id: jwk.common.key_id })
    }
}

/// Whether a key can be for an algorithm. A shared secret is for none.
fn fits(key: &AlgorithmParameters, algorithm: Algorithm) -> bool {
    match key {
        AlgorithmParameters::RSA(_) => matches!(
            algorithm,
            Algorithm::RS256
                | Algorithm::RS384
                | Algorithm::RS512
                | Algorithm::PS256
                | Algorithm::PS384
                | Algorithm::PS512
        ),
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => algorithm == Algorithm::ES256,
            EllipticCurve::P384 => algorithm == Algorithm::ES384,
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(pair) => {
            pair.curve == EllipticCurve::Ed25519 && algorithm == Algorithm::EdDSA
        }
        _ => false,
    }
}

/// A token whose head was read, and nothing else.
pub(super) struct Token<'a> {
    text: &'a str,
    head: Header,
}

impl<'a> Token<'a> {
    /// Reads the head. Without a signature (`alg` of `none`) it is no token.
    pub(super) fn read(text: &'a str) -> Result<Self, Refused> {
        if text.len() > MOST_TOKEN {
            return Err(Refused::Malformed);
        }
        let head = decode_header(text).map_err(|_| Refused::Malformed)?;
        let known = head.typ.as_ref().is_none_or(|kind| TYPES.contains(&kind.to_ascii_lowercase().as_str()));
        // What must be understood, by its own word, is not.
        if !known || head.crit.is_some() {
            return Err(Refused::Malformed);
        }
        Ok(Self { text, head })
    }

    /// The name of its key.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.head.kid.as_deref()
    }

    /// What it says, if it was signed with that key. Whether that lets anybody in is another question.
    pub(super) fn open(&self, key: &Key) -> Result<Claims, Refused> {
        if self.head.alg != key.algorithm {
            return Err(Refused::Algorithm);
        }
        let mut validation = Validation::new(key.algorithm);
        // `Claims::check` looks at them all, with the time and the leeway given.
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_aud) = (false, false);
        let opened = decode::<Claims>(self.text, &key.key, &validation);
        opened.map(|opened| opened.claims).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            match error.kind() {
                ErrorKind::InvalidSignature => Refused::Signature,
                ErrorKind::InvalidAlgorithm | ErrorKind::InvalidKeyFormat => Refused::Algorithm,
                _ => Refused::Malformed,
            }
        })
    }
}

#[cfg(test)]
mod tests;
