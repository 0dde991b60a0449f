//! Sign-in by an issuer: somebody else says who somebody is, in tokens that its public keys prove.
//!
//! ```text
//!  page ─ "Sign in with …" ─▶ front: /sign-in/issuer ─▶ the issuer ─▶ /sign-in/issuer/callback ─┐ a code
//!  page, program ─ a token ─▶ api: POST /sign-in/token,  auth: Authorization: Bearer             │
//!                                     │                                                          ▼
//!                                     └──────▶ verify ◀── ID token ── exchange (PKCE) ◀──────── flow
//!                                                │   keys: kept, asked for again, never by a token's word
//!                                                ▼
//!                                             people: (issuer, subject) ─▶ user, by the settings' policy
//! ```
//!
//! | file | what |
//! |---|---|
//! | `keys`, `ring` | public keys, and how a token is opened with them |
//! | `claims` | what a token says, and whether that lets somebody in |
//! | `cache` | when keys are asked for, and how long they serve |
//! | `discovery`, `http` | what the issuer is asked, and within which bounds |
//! | `flow` | the sign-in of a browser that is sent to the issuer and comes back |
//! | `people` | whose account it is |
//! | `refused` | why somebody is not let in |

mod cache;
mod claims;
mod discovery;
mod flow;
mod http;
mod keys;
mod people;
mod refused;
mod ring;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use crate::settings::IssuerSettings;
use crate::store::now_ms;

use cache::Cache;
pub use claims::{Claims, Way};
use discovery::{Discovery, Document};
use flow::Client;
pub use flow::{Begun, FLOW};
use http::{AskError, Http};
use keys::{Keys, Token};
pub use people::account;
pub use refused::Refused;

/// Name of the credential that takes the place of the secret's file.
const SECRET: &str = "issuer.secret";

/// Where systemd puts what the unit was given by `LoadCredential=`.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Why an issuer can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The secret can't be read.
    #[error("failed to read the secret of issuer.client_id from {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// Others may read it.
    #[error("others may read the secret of issuer.client_id in {0}: make it the gateway's own (chmod 600)")]
    Exposed(PathBuf),
    /// There is nothing in it.
    #[error("there is no secret in {0}")]
    Empty(PathBuf),
}

/// The issuer of the settings.
pub struct Issuer {
    settings: IssuerSettings,
    cache: Cache,
    asked: Arc<Asked>,
    client: Option<Client>,
}

/// What is asked of the issuer over the network.
struct Asked {
    settings: IssuerSettings,
    discovery: Discovery,
    http: Http,
}

/// A token that was found good.
#[derive(Debug, Clone)]
pub struct Verified {
    /// What it says.
    pub claims: Claims,
    /// Until when it is good, milliseconds since 1970.
    pub expires_at_ms: i64,
    /// When somebody last proved to the issuer who they are, if it says so; milliseconds since 1970.
    pub proved_at_ms: Option<i64>,
}

impl Issuer {
    /// The issuer, if the settings name one. It is not asked anything yet, so the gateway starts without it, too.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn new(settings: &IssuerSettings) -> Result<Option<Self>, IssuerError> {
        if settings.url.is_none() {
            return Ok(None);
        }
        ring::install();
        let client =
            settings.client_id.clone().map(|id| Ok(Client::new(id, secret(settings)?))).transpose()?;
        Ok(Some(Self {
            cache: Cache::new(settings),
            asked: Arc::new(Asked {
                settings: settings.clone(),
                discovery: Discovery::default(),
                http: Http::default(),
            }),
            client,
            settings: settings.clone(),
        }))
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> String {
        let host = || Url::parse(self.id()).ok().and_then(|url| url.host_str().map(str::to_owned));
        self.settings.name.clone().or_else(host).unwrap_or_default()
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> &str {
        self.settings.url.as_deref().unwrap_or_default()
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &IssuerSettings {
        &self.settings
    }

    /// Whether browsers can be sent to it.
    #[must_use]
    pub fn has_button(&self) -> bool {
        self.client.is_some()
    }

    /// Whether tokens that pages and programs bring may be taken at all.
    #[must_use]
    pub fn takes_tokens(&self) -> bool {
        !self.settings.audiences.is_empty() || !self.settings.authorized_parties.is_empty()
    }

    /// Whether a token is good.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn verify(&self, token: &str, way: Way<'_>) -> Result<Verified, Refused> {
        let token = Token::read(token)?;
        let key = self.cache.key(token.key_id(), self.asked.clone().keys()).await?;
        let claims = token.open(&key)?;
        let now = seconds(now_ms());
        claims.check(&self.settings, way, now)?;
        let proved_at_ms = claims.proved_at(&self.settings, now).map(millis);
        Ok(Verified { expires_at_ms: millis(claims.exp), proved_at_ms, claims })
    }
}

impl Asked {
    /// The issuer's document, which is read on when whoever asked goes away.
    async fn document(self: &Arc<Self>) -> Result<Arc<Document>, AskError> {
        let asked = self.clone();
        let reading =
            tokio::spawn(async move { asked.discovery.document(&asked.http, &asked.settings).await });
        let not_read = |_| AskError::NotUnderstood(self.settings.url.clone().unwrap_or_default());
        reading.await.map_err(not_read)?
    }

    /// The keys, from the issuer itself.
    async fn keys(self: Arc<Self>) -> Option<Keys> {
        match self.read_keys().await {
            Ok(keys) => Some(keys),
            Err(error) => {
                tracing::warn!(error = %berth_daemon::exit::chain(&error), "the issuer's keys could not be read");
                None
            }
        }
    }

    async fn read_keys(self: &Arc<Self>) -> Result<Keys, AskError> {
        let url = match &self.settings.jwks_url {
            Some(url) => url.clone(),
            None => self.document().await?.jwks_uri.clone(),
        };
        let json = self.http.get(&url).await?;
        let keys = Keys::read(&json, &self.settings.algorithms);
        keys.map_err(|error| AskError::NotUnderstood(format!("{url}: {error}")))
    }
}

fn secret(settings: &IssuerSettings) -> Result<Option<String>, IssuerError> {
    let credential = std::env::var_os(CREDENTIALS).map(|directory| PathBuf::from(directory).join(SECRET));
    let (path, ours) = match (&settings.client_secret_file, credential.filter(|path| path.exists())) {
        (Some(path), _) => (path.clone(), true),
        (None, Some(path)) => (path, false),
        (None, None) => return Ok(None),
    };
    let unreadable = |source| IssuerError::Unreadable { path: path.clone(), source };
    // systemd guards what is its own by the directory.
    if ours && fs::metadata(&path).map_err(unreadable)?.mode() & 0o077 != 0 {
        return Err(IssuerError::Exposed(path));
    }
    let text = fs::read_to_string(&path).map_err(unreadable)?;
    let secret = text.trim();
    if secret.is_empty() { Err(IssuerError::Empty(path)) } else { Ok(Some(secret.to_owned())) }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// What does not fit is for ever.
fn millis(secs: f64) -> i64 {
    (secs * 1000.0) as i64
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_read_from_a_file_that_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let issuer = || {
            Issuer::new(&IssuerSettings {
                url: Some("https://issuer.example".into()),
                client_id: Some("berth".into()),
                client_secret_file: Some(path.clone()),
                ..IssuerSettings::default()
            })
        };
        assert!(matches!(issuer(), Err(IssuerError::Unreadable { .. })));
        fs::write(&path, "s3cret\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(issuer(), Err(IssuerError::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let known = issuer().unwrap().unwrap();
        assert_eq!(
            (known.name().as_str(), known.has_button(), known.takes_tokens()),
            ("issuer.example", true, false)
        );
        fs::write(&path, "\n").unwrap();
        assert!(matches!(issuer(), Err(IssuerError::Empty(_))));
        assert!(Issuer::new(&IssuerSettings::default()).unwrap().is_none());
    }
}
