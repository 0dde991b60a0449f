//! Settings of sign-in by an issuer: Clerk, or any other that speaks OpenID Connect.

use std::path::PathBuf;
use std::time::Duration;

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use serde::{Deserialize, Serialize};
use url::Url;

use super::is_loopback;
use crate::auth::LONGEST_SIGN_IN;
use crate::store::MemberRole;

/// The most that clocks may differ, seconds.
const MOST_LEEWAY_SECS: u64 = 60;

/// The longest that keys may be kept, seconds: a week.
const MOST_KEPT_SECS: u64 = 7 * 24 * 3600;

/// Who else says who somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerSettings {
    /// The issuer's identifier, exactly as its tokens say it in `iss`. Without it nobody signs in by an issuer.
    pub url: Option<String>,
    /// What its tokens are like.
    pub kind: IssuerKind,
    /// What the button on the sign-in page calls it; its host when absent.
    pub name: Option<String>,
    /// What this console is called at the issuer. With it there is a button.
    pub client_id: Option<String>,
    /// A file with the secret of a client that is not public.
    pub client_secret_file: Option<PathBuf>,
    /// `aud` of the tokens that pages and programs bring.
    pub audiences: Vec<String>,
    /// `azp` of the tokens that pages and programs bring.
    pub authorized_parties: Vec<String>,
    /// Where its keys are; its discovery document says so when absent.
    pub jwks_url: Option<Url>,
    /// What it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// How much its clock and ours may differ, seconds.
    pub leeway_secs: u64,
    /// How long its keys are used without asking for them again, seconds.
    pub keys_secs: u64,
    /// How long they are used when it does not answer, seconds.
    pub keys_kept_secs: u64,
    /// The shortest time between two times that it is asked for keys, seconds.
    pub refetch_secs: u64,
    /// How long a sign-in by it lasts at most, hours.
    pub sign_in_hours: u64,
    /// What becomes of those who were never here.
    pub new_users: NewUsers,
    /// The domains of which their e-mail address must be, verified by the issuer; any, or none at all, when empty.
    pub email_domains: Vec<String>,
    /// The organisation that they become members of.
    pub organization: Option<String>,
    /// Their role there.
    pub role: MemberRole,
}

/// What an issuer's tokens are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerKind {
    /// As OpenID Connect has them.
    Oidc,
    /// Clerk's session tokens: they name a session (`sid`), which must not be pending (`sts`), and mostly no audience.
    Clerk,
}

/// What becomes of somebody whom the issuer knows, and we don't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewUsers {
    /// They are not let in: `gateway user link` says who they are.
    Refuse,
    /// They get an account.
    Create,
}

impl Default for IssuerSettings {
    fn default() -> Self {
        Self {
            url: None,
            kind: IssuerKind::Oidc,
            name: None,
            client_id: None,
            client_secret_file: None,
            audiences: Vec::new(),
            authorized_parties: Vec::new(),
            jwks_url: None,
            algorithms: vec![Algorithm::RS256, Algorithm::ES256],
            leeway_secs: 10,
            keys_secs: 600,
            keys_kept_secs: 24 * 3600,
            refetch_secs: 10,
            sign_in_hours: 7 * 24,
            new_users: NewUsers::Refuse,
            email_domains: Vec::new(),
            organization: None,
            role: MemberRole::Viewer,
        }
    }
}

impl IssuerSettings {
    /// How long a sign-in lasts at most.
    #[must_use]
    pub fn longest_sign_in(&self) -> Duration {
        Duration::from_secs(self.sign_in_hours * 3600)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let Some(url) = &self.url else {
            return if *self == Self::default() {
                Ok(())
            } else {
                Err("[issuer] says how people sign in by an issuer, and not by which: set issuer.url".into())
            };
        };
        let parsed = Url::parse(url)
            .map_err(|error| format!("issuer.url = \"{url}\" is no address of an issuer: {error}"))?;
        check_url("url", &parsed)?;
        if parsed.query().is_some() {
            return Err(format!("issuer.url = \"{url}\" has a query: use it as the tokens say it in `iss`"));
        }
        if let Some(url) = &self.jwks_url {
            check_url("jwks_url", url)?;
        }
        self.check_clients()?;
        self.check_keys()?;
        self.check_new_users()
    }

    fn check_clients(&self) -> Result<(), String> {
        if self.client_id.is_none() && self.audiences.is_empty() && self.authorized_parties.is_empty() {
            return Err("issuer.url alone lets nobody in: set issuer.client_id for a button on the sign-in page, or \
                        issuer.audiences or issuer.authorized_parties for tokens that pages and programs bring"
                .into());
        }
        if self.client_id.is_none() && self.client_secret_file.is_some() {
            return Err("issuer.client_secret_file is the secret of issuer.client_id: set that, too".into());
        }
        let texts = self.audiences.iter().chain(&self.authorized_parties).chain(&self.client_id);
        if texts.chain(&self.name).any(|text| text.trim().is_empty()) {
            return Err("issuer: an empty client_id, audience, authorized party or name says nothing".into());
        }
        if self.kind == IssuerKind::Clerk {
            for party in &self.authorized_parties {
                let origin = Url::parse(party).map(|url| url.origin().ascii_serialization());
                if origin.as_deref() != Ok(party) {
                    return Err(format!(
                        "issuer.authorized_parties: \"{party}\" is no origin: use the form https://app.example"
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_keys(&self) -> Result<(), String> {
        if self.algorithms.is_empty() {
            return Err("issuer.algorithms = [] takes no token: use [\"RS256\"], for instance".into());
        }
        if let Some(shared) = self.algorithms.iter().find(|one| one.family() == AlgorithmFamily::Hmac) {
            return Err(format!(
                "issuer.algorithms: with {shared:?} whoever can check a token can make one: use RS256 or ES256"
            ));
        }
        if self.leeway_secs > MOST_LEEWAY_SECS {
            return Err(format!("issuer.leeway_secs = {}: use at most {MOST_LEEWAY_SECS}", self.leeway_secs));
        }
        if self.refetch_secs == 0 || self.keys_secs == 0 {
            return Err("issuer.refetch_secs and issuer.keys_secs must be 1 or more".into());
        }
        if self.keys_kept_secs < self.keys_secs || self.keys_kept_secs > MOST_KEPT_SECS {
            return Err(format!(
                "issuer.keys_kept_secs = {}: use issuer.keys_secs or more, and at most {MOST_KEPT_SECS}",
                self.keys_kept_secs
            ));
        }
        let most_hours = LONGEST_SIGN_IN.as_secs() / 3600;
        if !(1..=most_hours).contains(&self.sign_in_hours) {
            return Err(format!("issuer.sign_in_hours = {}: use 1 to {most_hours}", self.sign_in_hours));
        }
        Ok(())
    }

    fn check_new_users(&self) -> Result<(), String> {
        if self.new_users == NewUsers::Refuse && !self.email_domains.is_empty() {
            let message =
                "issuer.email_domains is about accounts that are made: set issuer.new_users = \"create\"";
            return Err(message.into());
        }
        let is_domain = |domain: &String| {
            domain.contains('.')
                && domain
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-'))
        };
        match self.email_domains.iter().find(|domain| !is_domain(domain)) {
            Some(domain) => Err(format!(
                "issuer.email_domains: \"{domain}\" is no domain: use the form example.com, in small letters"
            )),
            None => Ok(()),
        }
    }
}

/// Refuses an address where somebody on the way could answer in the issuer's place.
fn check_url(key: &str, url: &Url) -> Result<(), String> {
    if !is_fit(url) {
        return Err(format!("issuer.{key} = \"{url}\" could be answered by anybody: use https"));
    }
    Ok(())
}

/// Whether an issuer can be asked at an address: only it answers there, and nothing of ours is told.
#[must_use]
pub fn is_fit(url: &Url) -> bool {
    let safe = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    };
    safe && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}
