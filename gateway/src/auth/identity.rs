//! Who makes a request: the one place where a cookie or a token becomes a user.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::{CookieOf, LATELY};
use crate::app::App;
use crate::store::{BrowserSession, CurrentUser, Scopes, StoreError, now_ms};

/// What tokens begin with, so that they are known wherever they turn up.
const TOKEN_PREFIX: &str = "berth_";

/// Who makes a request.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user.
    pub user: CurrentUser,
    /// The sign-in, a browser's or a token's: what the caller is given hangs on it.
    pub sign_in: BrowserSession,
    /// What the caller may do at most, if it is a program with a token.
    pub scopes: Option<Scopes>,
    /// Whether they have proved it lately, if a person can have done that: who made a token had.
    pub proved: bool,
}

/// A new API token's text.
#[must_use]
pub fn new_token() -> String {
    format!("{TOKEN_PREFIX}{}", super::new_secret())
}

/// Whether a request says `Authorization` at all. Then its cookies count for nothing: browsers send these by
/// themselves, and that never.
#[must_use]
pub fn has_authorization(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION)
}

/// Who makes a request. `None`: nobody that is known.
///
/// # Errors
/// When the store fails.
pub async fn identify(app: &App, headers: &HeaderMap) -> Result<Option<Identity>, StoreError> {
    if has_authorization(headers) {
        let Some(token) = bearer(headers) else { return Ok(None) };
        let found = app.store.use_token(token).await?;
        return Ok(found.map(|(user, token)| Identity {
            user,
            sign_in: token.sign_in,
            scopes: Some(token.scopes),
            proved: true,
        }));
    }
    let Some(cookie) = CookieOf::User(&app.installation.id).read(headers, &app.origin) else {
        return Ok(None);
    };
    let found = app.store.browser_session(&cookie).await?;
    Ok(found.map(|found| {
        let since_ms = now_ms().saturating_sub(found.proved_at_ms);
        let proved = u128::try_from(since_ms).is_ok_and(|since| since < LATELY.as_millis());
        Identity { user: found.user, sign_in: found.sign_in, scopes: None, proved }
    }))
}

/// The token of a request that says one, in the one way there is.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && token.starts_with(TOKEN_PREFIX)).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_said_in_one_way() {
        let said = |values: &[&str]| {
            let headers = values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap()));
            bearer(&headers.collect()).map(str::to_owned)
        };
        assert_eq!(said(&["Bearer berth_abc"]).as_deref(), Some("berth_abc"));
        assert_eq!(said(&["bearer  berth_abc"]).as_deref(), Some("berth_abc"));
        for wrong in [
            &[][..],
            &["berth_abc"],
            &["Basic berth_abc"],
            &["Bearer abc"],
            &["Bearer"],
            &["Bearer berth_abc", "Bearer berth_abc"],
        ] {
            assert_eq!(said(wrong), None, "{wrong:?}");
        }
        assert!(new_token().starts_with(TOKEN_PREFIX));
    }
}
