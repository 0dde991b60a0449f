//! Who we are to push services: a key of P-256 and tokens signed with it, RFC 8292.

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;
use url::Url;

use crate::sealing::{Sealer, SealingError};
use crate::store::{Store, StoreError};

/// How long a token is good, seconds: half of what is allowed.
const LIFETIME_SECS: i64 = 12 * 3600;

/// What the private key is sealed for.
const PURPOSE: &str = "push-key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum VapidError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key can't be opened.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// It is no key, or the operating system has no randomness to give.
    #[error("the key for push services can't be used")]
    Unusable,
}

/// The key.
pub struct Vapid {
    key: EcdsaKeyPair,
    public: String,
    /// How push services reach whoever runs this gateway.
    contact: String,
}

impl Vapid {
    /// The installation's key, which is made at first use.
    ///
    /// # Errors
    /// [`VapidError`].
    pub async fn open(store: &Store, sealer: &Sealer, contact: String) -> Result<Self, VapidError> {
        if store.push_key().await?.is_none() {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
            let pkcs8 = pkcs8.map_err(|_| VapidError::Unusable)?;
            let new = Self::of(pkcs8.as_ref(), String::new())?;
            store.put_first_push_key(new.public, sealer.seal(PURPOSE, pkcs8.as_ref())).await?;
        }
        let (_, sealed) = store.push_key().await?.ok_or(VapidError::Unusable)?;
        Self::of(&sealer.unseal(PURPOSE, &sealed)?, contact)
    }

    fn of(pkcs8: &[u8], contact: String) -> Result<Self, VapidError> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new());
        let key = key.map_err(|_| VapidError::Unusable)?;
        let public = BASE64URL_NOPAD.encode(key.public_key().as_ref());
        Ok(Self { key, public, contact })
    }

    /// The public key, as browsers want it when they subscribe: base64url.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The value of `Authorization` for a push service.
    ///
    /// # Errors
    /// [`VapidError::Unusable`] when it can't be signed.
    pub fn authorization(&self, endpoint: &Url, now_ms: i64) -> Result<String, VapidError> {
        let encode = |value: serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let head = encode(json!({ "typ": "JWT", "alg": "ES256" }));
        let claims = encode(json!({
            "aud": endpoint.origin().ascii_serialization(),
            "exp": now_ms / 1_000 + LIFETIME_SECS,
            "sub": self.contact,
        }));
        let signed = format!("{head}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = BASE64URL_NOPAD.encode(signature.map_err(|_| VapidError::Unusable)?.as_ref());
        Ok(format!("vapid t={signed}.{signature}, k={}", self.public))
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;
    use crate::settings::SealingSettings;

    #[tokio::test]
    async fn the_key_is_made_once_and_its_tokens_are_for_one_service() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("gateway.db")).unwrap();
        let sealer = Sealer::open(&SealingSettings::default(), dir.path(), true).unwrap();
        let first = Vapid::open(&store, &sealer, "mailto:a@example.com".into()).await.unwrap();
        let vapid = Vapid::open(&store, &sealer, "mailto:a@example.com".into()).await.unwrap();
        assert_eq!(first.public(), vapid.public());
        let endpoint = Url::parse("https://push.example:8443/send/secret").unwrap();
        let header = vapid.authorization(&endpoint, 1_000_000).unwrap();
        let (token, key) = header.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let key = BASE64URL_NOPAD.decode(key.as_bytes()).unwrap();
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(signed.as_bytes(), &signature).unwrap();
        let claims = BASE64URL_NOPAD.decode(signed.split_once('.').unwrap().1.as_bytes()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["aud"], "https://push.example:8443");
        assert_eq!(claims["exp"], 1_000 + LIFETIME_SECS);
    }
}
