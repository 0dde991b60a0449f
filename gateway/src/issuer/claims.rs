//! What a token says, and whether that lets somebody in. Pure: the time is given.

use serde::Deserialize;

use super::Refused;
use crate::settings::{IssuerKind, IssuerSettings};

/// The longest subject, bytes: as OpenID Connect has it.
const MOST_SUBJECT: usize = 255;

/// What a token says. A claim that it says twice makes it no token.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Claims {
    /// Who has made it.
    pub iss: String,
    /// Whom it is about.
    pub sub: String,
    /// Until when it is good, seconds since 1970.
    pub exp: f64,
    /// From when on.
    pub nbf: Option<f64>,
    /// When it was made.
    pub iat: Option<f64>,
    /// For whom it is.
    pub aud: Option<Audience>,
    /// To whom it was given.
    pub azp: Option<String>,
    /// Clerk's session.
    pub sid: Option<String>,
    /// That session's state.
    pub sts: Option<String>,
    /// Minutes since somebody proved in it who they are, by the first and the second factor; -1: never.
    #[serde(default)]
    pub fva: Vec<i64>,
    /// When somebody proved to the issuer who they are.
    pub auth_time: Option<f64>,
    /// Which sign-in it answers.
    pub nonce: Option<String>,
    /// An e-mail address.
    pub email: Option<String>,
    /// Whether the issuer has verified that.
    pub email_verified: Option<Verified>,
    /// What they like to be called.
    pub preferred_username: Option<String>,
    /// What they are called.
    pub name: Option<String>,
}

/// One audience, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several, or none.
    Many(Vec<String>),
}

impl Audience {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Whether an address is verified. Some issuers say that in words.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Verified {
    /// As it should be said.
    Flag(bool),
    /// In words.
    Word(String),
}

impl Verified {
    fn is_verified(&self) -> bool {
        match self {
            Self::Flag(verified) => *verified,
            Self::Word(word) => word == "true",
        }
    }
}

/// How a token came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way<'a> {
    /// A page or a program brought it.
    Brought,
    /// The issuer gave it to us for a code, in the sign-in that this nonce stands for.
    Asked {
        /// The nonce.
        nonce: &'a str,
    },
}

impl Claims {
    /// Whether they let somebody in, at `now` (seconds since 1970).
    ///
    /// # Errors
    /// [`Refused`], for the first of them that does not.
    pub fn check(&self, settings: &IssuerSettings, way: Way<'_>, now: f64) -> Result<(), Refused> {
        if settings.url.as_deref() != Some(&self.iss) {
            return Err(Refused::Issuer);
        }
        if self.sub.trim().is_empty() || self.sub.len() > MOST_SUBJECT {
            return Err(Refused::Subject);
        }
        let leeway = leeway(settings);
        if self.exp + leeway <= now {
            return Err(Refused::Expired);
        }
        if [self.nbf, self.iat].into_iter().flatten().any(|from| from > now + leeway) {
            return Err(Refused::NotYet);
        }
        match way {
            Way::Brought => self.check_brought(settings),
            Way::Asked { nonce } => self.check_asked(settings, nonce),
        }
    }

    fn audiences(&self) -> &[String] {
        self.aud.as_ref().map_or(&[], Audience::all)
    }

    fn check_brought(&self, settings: &IssuerSettings) -> Result<(), Refused> {
        let (audiences, parties) = (&settings.audiences, &settings.authorized_parties);
        let said = self.audiences();
        // Who is not named among those whom a token is for must not take it; whom none is for, anybody may.
        let nobody_named = audiences.is_empty() && said.is_empty() && !parties.is_empty();
        if !nobody_named && !said.iter().any(|one| audiences.contains(one)) {
            return Err(Refused::Audience);
        }
        let clerk = settings.kind == IssuerKind::Clerk;
        let given_to_us = match &self.azp {
            _ if parties.is_empty() => true,
            Some(party) => parties.contains(party),
            // Clerk knows no page when the token was not asked for by one.
            None => clerk,
        };
        if !given_to_us {
            return Err(Refused::Party);
        }
        let named = self.sid.as_ref().is_some_and(|sid| !sid.is_empty());
        let pending = self.sts.as_ref().is_some_and(|state| state != "active");
        if clerk && (!named || pending) { Err(Refused::Session) } else { Ok(()) }
    }

    /// OpenID Connect Core 3.1.3.7.
    fn check_asked(&self, settings: &IssuerSettings, nonce: &str) -> Result<(), Refused> {
        let said = self.audiences();
        let Some(client) = settings.client_id.as_ref().filter(|client| said.contains(client)) else {
            return Err(Refused::Audience);
        };
        let given_to_us = self.azp.as_ref().map_or(said.len() == 1, |party| party == client);
        if !given_to_us {
            return Err(Refused::Party);
        }
        if self.nonce.as_deref() == Some(nonce) { Ok(()) } else { Err(Refused::Nonce) }
    }

    /// When somebody last proved to the issuer who they are, if it says so; seconds since 1970. Never later than `now`.
    #[must_use]
    pub fn proved_at(&self, settings: &IssuerSettings, now: f64) -> Option<f64> {
        let clerks = self.fva.first().filter(|minutes| settings.kind == IssuerKind::Clerk && **minutes >= 0);
        let clerks = clerks.zip(self.iat).map(|(minutes, iat)| iat - *minutes as f64 * 60.0);
        self.auth_time.or(clerks).filter(|at| *at <= now + leeway(settings)).map(|at| at.min(now))
    }

    /// The domain of their e-mail address, if the issuer has verified it.
    #[must_use]
    pub fn verified_domain(&self) -> Option<String> {
        self.email_verified.as_ref().filter(|verified| verified.is_verified())?;
        let (local, domain) = self.email.as_ref()?.rsplit_once('@')?;
        (!local.is_empty()).then(|| domain.to_ascii_lowercase())
    }
}

fn leeway(settings: &IssuerSettings) -> f64 {
    settings.leeway_secs as f64
}

#[cfg(test)]
mod tests;
