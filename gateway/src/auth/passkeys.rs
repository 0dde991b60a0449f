//! Passkeys: what a browser is asked to sign, and whether it did.
//!
//! A passkey names its user itself, so that nobody has to be asked for a name, and whoever has none is told nothing.
//! Browsers make them for hosts with a name only, and where nobody on the way can change the page.

use berth_protocol::ids::UserId;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use crate::store::{CurrentUser, StoredPasskey};

/// Why a passkey is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// The installation has none.
    #[error("passkeys need https and a host name, and this console has no such address")]
    Unavailable,
    /// The answer does not fit what was asked.
    #[error("the passkey was not taken")]
    Refused(#[from] WebauthnError),
    /// What was stored can't be read.
    #[error("what is known of the passkey is damaged")]
    Damaged(#[from] serde_json::Error),
}

/// A passkey that a browser has made.
#[derive(Debug)]
pub struct NewPasskey {
    /// What the authenticator calls it.
    pub credential_id: String,
    /// What is remembered of it, JSON.
    pub credential: String,
}

/// What checks passkeys for one origin.
#[derive(Debug)]
pub struct Passkeys(Option<Webauthn>);

impl Passkeys {
    /// For the console at `url`.
    #[must_use]
    pub fn new(url: &Url) -> Self {
        let safe = url.scheme() == "https" || url.domain() == Some("localhost");
        let webauthn = url.domain().filter(|_| safe).and_then(|host| {
            let built = WebauthnBuilder::new(host, url).and_then(|builder| builder.rp_name("Berth").build());
            built.inspect_err(|error| tracing::warn!(%error, "no passkeys")).ok()
        });
        Self(webauthn)
    }

    /// Whether there are any.
    #[must_use]
    pub fn are_available(&self) -> bool {
        self.0.is_some()
    }

    fn webauthn(&self) -> Result<&Webauthn, PasskeyError> {
        self.0.as_ref().ok_or(PasskeyError::Unavailable)
    }

    /// What a browser is asked for a new passkey, and what is to be remembered of that.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn begin_registering(
        &self,
        user: &CurrentUser,
        known: &[StoredPasskey],
    ) -> Result<(Value, String), PasskeyError> {
        let known: Vec<Passkey> =
            known.iter().map(|one| serde_json::from_str(&one.credential)).collect::<Result<_, _>>()?;
        let exclude = known.iter().map(|passkey| passkey.cred_id().clone()).collect();
        let (options, state) = self.webauthn()?.start_passkey_registration(
            uuid(&user.id),
            &user.name,
            &user.name,
            Some(exclude),
        )?;
        let mut options = serde_json::to_value(options)?;
        // The authenticator has to know by itself whose it is: nobody is asked for a name at sign-in.
        let selection = &mut options["publicKey"]["authenticatorSelection"];
        selection["residentKey"] = json!("required");
        selection["requireResidentKey"] = json!(true);
        Ok((options, serde_json::to_string(&state)?))
    }

    /// Checks what a browser has made.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn finish_registering(
        &self,
        answer: &RegisterPublicKeyCredential,
        state: &str,
    ) -> Result<NewPasskey, PasskeyError> {
        let state: PasskeyRegistration = serde_json::from_str(state)?;
        let passkey = self.webauthn()?.finish_passkey_registration(answer, &state)?;
        Ok(NewPasskey {
            credential_id: BASE64URL_NOPAD.encode(passkey.cred_id()),
            credential: serde_json::to_string(&passkey)?,
        })
    }

    /// What a browser is asked when somebody signs in, and what is to be remembered of that.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn begin_signing_in(&self) -> Result<(Value, String), PasskeyError> {
        let (mut options, state) = self.webauthn()?.start_discoverable_authentication()?;
        // Somebody has pressed a button for it.
        options.mediation = None;
        Ok((serde_json::to_value(options)?, serde_json::to_string(&state)?))
    }

    /// Which credential a browser has answered with.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn credential_of(&self, answer: &PublicKeyCredential) -> Result<String, PasskeyError> {
        let (_, id) = self.webauthn()?.identify_discoverable_authentication(answer)?;
        Ok(BASE64URL_NOPAD.encode(id))
    }

    /// Checks a browser's answer by what is known of the passkey, of which this is what is known from then on.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn finish_signing_in(
        &self,
        answer: &PublicKeyCredential,
        state: &str,
        user: &UserId,
        known: &StoredPasskey,
    ) -> Result<String, PasskeyError> {
        let webauthn = self.webauthn()?;
        let state: DiscoverableAuthentication = serde_json::from_str(state)?;
        let mut passkey: Passkey = serde_json::from_str(&known.credential)?;
        let (said, _) = webauthn.identify_discoverable_authentication(answer)?;
        if said != uuid(user) {
            return Err(WebauthnError::InvalidUserUniqueId.into());
        }
        let result = webauthn.finish_discoverable_authentication_v2(answer, state, &passkey)?;
        passkey.update_credential(&result);
        Ok(serde_json::to_string(&passkey)?)
    }
}

/// The user as authenticators know them: the random part of the identifier.
fn uuid(user: &UserId) -> Uuid {
    let random = user.as_str().rsplit('-').next().unwrap_or_default().to_ascii_uppercase();
    // Identifiers are made of 16 bytes.
    let bytes = BASE32_NOPAD.decode(random.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    Uuid::from_bytes(bytes.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_are_there_for_hosts_that_browsers_make_them_for() {
        let available = |url: &str| Passkeys::new(&Url::parse(url).unwrap()).are_available();
        assert!(available("https://berth.example") && available("https://berth.example:8443"));
        assert!(available("http://localhost:1"));
        for url in ["http://127.0.0.1:1", "https://127.0.0.1", "http://[::1]:1", "http://berth.example"] {
            assert!(!available(url), "{url}");
        }
    }

    #[test]
    fn each_user_is_another_to_authenticators() {
        let (one, other) = (UserId::random(), UserId::random());
        assert_eq!(uuid(&one), uuid(&one));
        assert_ne!(uuid(&one), uuid(&other));
        assert_ne!(uuid(&one), Uuid::nil());
    }
}
