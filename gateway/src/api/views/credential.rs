//! Signing in, accounts, and what people prove with who they are.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::User;
use crate::store;

/// A name and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordSignIn {
    /// The user's name.
    pub name: String,
    /// The password.
    pub password: String,
}

/// What a browser is to sign with a passkey.
#[derive(Debug, Serialize, ToSchema)]
pub struct PasskeyChallenge {
    /// To be sent back with the answer. It works once, for five minutes.
    pub id: String,
    /// What `navigator.credentials.create` or `get` takes, with binary fields in base64url.
    #[schema(value_type = Object)]
    pub options: Value,
}

/// A browser's answer to a challenge.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyAnswer {
    /// The challenge's.
    pub id: String,
    /// The credential, as its `toJSON` says it.
    #[schema(value_type = Object)]
    pub credential: Value,
}

/// A passkey that a browser has made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPasskey {
    /// The challenge's.
    pub id: String,
    /// What it is called: 1 to 64 characters.
    pub name: String,
    /// The credential, as its `toJSON` says it.
    #[schema(value_type = Object)]
    pub credential: Value,
}

/// Somebody is signed in now.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// Where they wanted to go.
    #[schema(example = "/")]
    pub next: String,
}

/// Ways to sign in that an installation may have.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignInWays {
    /// By an issuer, if there is one to which browsers are sent.
    pub issuer: Option<WayOfIssuer>,
}

/// Signing in by an issuer.
#[derive(Debug, Serialize, ToSchema)]
pub struct WayOfIssuer {
    /// What people call it.
    #[schema(example = "Clerk")]
    pub name: String,
    /// The path of this console that leads there. With `?again=true` whoever is signed in there has to prove it anew.
    #[schema(example = "/sign-in/issuer")]
    pub url: String,
}

/// An invite to be used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Redemption {
    /// The invite's code.
    pub code: String,
    /// The name of the account to be: 2 to 32 characters of a-z, 0-9, ., _ and -, beginning with a letter.
    pub name: String,
    /// Its password. Without one, a passkey is to be made next.
    #[serde(default)]
    pub password: Option<String>,
}

/// A password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The password.
    pub password: String,
}

/// What the user can prove with who they are.
#[derive(Debug, Serialize, ToSchema)]
pub struct Credentials {
    /// Whether there is a password.
    pub password: bool,
    /// Passkeys, oldest first.
    pub passkeys: Vec<Passkey>,
    /// Whether there can be passkeys here: the console has https and a host name.
    pub passkeys_available: bool,
}

/// A passkey.
#[derive(Debug, Serialize, ToSchema)]
pub struct Passkey {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, milliseconds since 1970.
    pub created_at_ms: i64,
    /// When it was last used.
    pub used_at_ms: Option<i64>,
}

impl From<store::StoredPasskey> for Passkey {
    fn from(passkey: store::StoredPasskey) -> Self {
        Self {
            id: passkey.id.into(),
            name: passkey.name,
            created_at_ms: passkey.created_at_ms,
            used_at_ms: passkey.used_at_ms,
        }
    }
}
