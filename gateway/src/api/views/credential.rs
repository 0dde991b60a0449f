//! Signing in, accounts, and what people prove with who they are.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::User;

/// A name and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordSignIn {
    /// The user's name.
    pub name: String,
    /// The password.
    pub password: String,
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

/// An invite to be used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Redemption {
    /// The invite's code.
    pub code: String,
    /// The name of the account to be: 2 to 32 characters of a-z, 0-9, ., _ and -, beginning with a letter.
    pub name: String,
    /// Its password.
    pub password: String,
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
}
