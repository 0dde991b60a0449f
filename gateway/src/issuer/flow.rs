//! The sign-in of a browser that is sent to the issuer and comes back with a code: OpenID Connect's authorization code
//! flow with PKCE.
//!
//! A random **ticket** lies in a cookie of the browser, and its hash in the store, once and for ten minutes. `state`, `nonce`
//! and PKCE's verifier are made of it, so that nothing else has to be kept: whoever comes back without the cookie, twice
//! or late has begun nothing here. The code is worth nothing without the verifier, which the issuer asks for.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;
use url::form_urlencoded::{self, Serializer};

use super::discovery::Document;
use super::http::AskError;
use super::{Issuer, Refused, Verified, Way};
use crate::auth::new_secret;

/// How long somebody may take at the issuer.
pub const FLOW: Duration = Duration::from_secs(10 * 60);

/// What the issuer is asked for.
const SCOPE: &str = "openid email profile";

/// This console, as the issuer knows it.
pub(super) struct Client {
    id: String,
    secret: Option<String>,
}

impl Client {
    pub(super) fn new(id: String, secret: Option<String>) -> Self {
        Self { id, secret }
    }

    /// What is asked for with a code, RFC 6749 4.1.3 and RFC 7636 4.5.
    fn form(&self, back: &str, ticket: &str, code: &str, secret: Option<&str>) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", back)
            .append_pair("client_id", &self.id)
            .append_pair("code_verifier", &derived("verifier", ticket));
        if let Some(secret) = secret {
            form.append_pair("client_secret", secret);
        }
        form.finish()
    }

    /// The value of `Authorization`, RFC 6749 2.3.1.
    fn authorization(&self, secret: &str) -> String {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!("Basic {}", BASE64.encode(format!("{}:{}", encoded(&self.id), encoded(secret)).as_bytes()))
    }
}

/// A sign-in that was begun.
pub struct Begun {
    /// For the browser's cookie.
    pub ticket: String,
    /// Where the browser is sent.
    pub url: Url,
}

/// What comes back from the token endpoint. There is more, which nobody needs.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// What is made of a ticket, for one purpose.
fn derived(purpose: &str, ticket: &str) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(format!("berth issuer {purpose} {ticket}").as_bytes()))
}

/// Whether a `state` belongs to a browser's ticket.
fn is_state(state: &str, ticket: &str) -> bool {
    // Compared by hashes, so that the time that it takes tells nothing.
    Sha256::digest(state.as_bytes()) == Sha256::digest(derived("state", ticket).as_bytes())
}

impl Issuer {
    /// Begins a sign-in that comes back to `back`. `again`: whoever is signed in at the issuer must prove it anew.
    ///
    /// # Errors
    /// [`Refused::Unavailable`], also when browsers can't be sent there.
    pub async fn begin(&self, back: &str, again: bool) -> Result<Begun, Refused> {
        let client = self.client.as_ref().ok_or(Refused::Unavailable)?;
        let mut url = self.endpoint(|document| document.authorization_endpoint.clone()).await?;
        let ticket = new_secret();
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(derived("verifier", &ticket).as_bytes()));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", back)
            .append_pair("scope", SCOPE)
            .append_pair("state", &derived("state", &ticket))
            .append_pair("nonce", &derived("nonce", &ticket))
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if again {
            url.query_pairs_mut().append_pair("prompt", "login").append_pair("max_age", "0");
        }
        Ok(Begun { ticket, url })
    }

    /// Whether a browser that comes back with `state`, and from `iss` if that is said (RFC 9207), is the one that has begun
    /// with this ticket.
    #[must_use]
    pub fn has_begun(&self, ticket: &str, state: &str, iss: Option<&str>) -> bool {
        is_state(state, ticket) && iss.is_none_or(|iss| iss == self.id())
    }

    /// Exchanges the code with which a browser came back to `back` for a token that says who it is.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn finish(&self, back: &str, ticket: &str, code: &str) -> Result<Verified, Refused> {
        let client = self.client.as_ref().ok_or(Refused::Unavailable)?;
        let url = self.endpoint(|document| document.token_endpoint.clone()).await?;
        let in_form = self.document().await?.wants_secret_in_form();
        let (in_form, in_head) =
            if in_form { (client.secret.as_deref(), None) } else { (None, client.secret.as_deref()) };
        let form = client.form(back, ticket, code, in_form);
        let by = in_head.map(|secret| client.authorization(secret));
        let answer = self.asked.http.post(&url, form, by).await.map_err(|error| {
            tracing::warn!(error = %berth_daemon::exit::chain(&error), "the issuer gave no token for a code");
            match error {
                AskError::Status { status, .. } if status.is_client_error() => Refused::Code,
                _ => Refused::Unavailable,
            }
        })?;
        let Tokens { id_token } = serde_json::from_slice(&answer).map_err(|_| Refused::Malformed)?;
        self.verify(&id_token, Way::Asked { nonce: &derived("nonce", ticket) }).await
    }

    async fn endpoint(&self, which: impl Fn(&Document) -> Option<Url>) -> Result<Url, Refused> {
        which(&*self.document().await?).ok_or_else(|| {
            tracing::warn!("the issuer's document names no endpoint for the sign-in of browsers");
            Refused::Unavailable
        })
    }

    async fn document(&self) -> Result<Arc<Document>, Refused> {
        self.asked.document().await.map_err(|error| {
            tracing::warn!(error = %berth_daemon::exit::chain(&error), "the issuer's document could not be read");
            Refused::Unavailable
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_nonce_and_verifier_are_a_tickets_own_and_tell_nothing_of_each_other() {
        let (one, other) = (new_secret(), new_secret());
        let made = |ticket: &str| ["state", "nonce", "verifier"].map(|purpose| derived(purpose, ticket));
        assert_eq!(made(&one), made(&one));
        let all: std::collections::HashSet<String> = made(&one).into_iter().chain(made(&other)).collect();
        assert_eq!(all.len(), 6);
        // What RFC 7636 wants of a verifier.
        assert!(all.iter().all(|text| text.len() == 43 && !text.contains(&one)));
        assert!(is_state(&derived("state", &one), &one));
        for wrong in ["", &one, &derived("nonce", &one), &derived("state", &other)] {
            assert!(!is_state(wrong, &one), "{wrong}");
        }
    }

    #[test]
    fn a_secret_with_any_letters_is_said_as_the_rfc_wants_it() {
        let client = Client::new("a:b".into(), Some("c d%".into()));
        let said = client.authorization("c d%");
        let decoded = BASE64.decode(said.strip_prefix("Basic ").unwrap().as_bytes()).unwrap();
        assert_eq!(String::from_utf8(decoded).unwrap(), "a%3Ab:c+d%25");
    }
}
