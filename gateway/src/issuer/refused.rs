//! Why somebody is not let in by what an issuer says.

/// The reason. People are told little of it; the log and the audit record have its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no token, or not of a kind that is taken.
    #[error("this is no token of the issuer")]
    Malformed,
    /// It is signed in another way than its key is for.
    #[error("the token is signed in a way that its key is not for")]
    Algorithm,
    /// The issuer has no key of that name.
    #[error("the issuer has no such key")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("the token was not signed by the issuer")]
    Signature,
    /// Another issuer's (`iss`).
    #[error("the token is another issuer's")]
    Issuer,
    /// It has no subject, or one that is too long.
    #[error("the token does not say whose it is")]
    Subject,
    /// Its time is over (`exp`).
    #[error("the token has expired")]
    Expired,
    /// Its time has not begun (`nbf`, `iat`).
    #[error("the token is not good yet: are the clocks right?")]
    NotYet,
    /// It is for others (`aud`).
    #[error("the token is for another audience")]
    Audience,
    /// It was given to others (`azp`).
    #[error("the token was given to another party")]
    Party,
    /// It names no session, or one that is pending (`sid`, `sts`).
    #[error("the token is not of a session in which somebody has signed in")]
    Session,
    /// It answers another question (`nonce`).
    #[error("the token answers another sign-in")]
    Nonce,
    /// The sign-in was not begun in this browser, was begun too long ago, or was finished already.
    #[error("the sign-in was not begun in this browser, or long ago")]
    State,
    /// The issuer has not signed anybody in.
    #[error("the issuer has not signed anybody in")]
    Denied,
    /// The issuer does not take the code, or not from us.
    #[error("the issuer gives nothing for the code")]
    Code,
    /// The issuer does not answer, or nothing that can be used.
    #[error("the issuer does not answer")]
    Unavailable,
    /// The issuer knows them, and there is no account for them.
    #[error("there is no account for this user of the issuer")]
    NoAccount,
    /// The operator has blocked the account.
    #[error("the account is blocked")]
    Blocked,
}

impl Refused {
    /// Its stable word.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Subject => "subject",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Audience => "audience",
            Self::Party => "authorized_party",
            Self::Session => "session",
            Self::Nonce => "nonce",
            Self::State => "state",
            Self::Denied => "denied",
            Self::Code => "code",
            Self::Unavailable => "issuer_unavailable",
            Self::NoAccount => "no_account",
            Self::Blocked => "blocked",
        }
    }
}
