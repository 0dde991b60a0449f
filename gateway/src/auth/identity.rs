//! Who makes a request: the one place where a cookie or a token, ours or an issuer's, becomes a user.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::{CookieOf, LATELY};
use crate::app::App;
use crate::issuer::{self, Refused, Way};
use crate::store::{BrowserSession, CurrentUser, Scope, Scopes, StoreError, now_ms};

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
    if !has_authorization(headers) {
        return identify_browser(app, headers).await;
    }
    if let Some(token) = bearer(headers) {
        let found = app.store.use_token(token).await?;
        return Ok(found.map(|(user, token)| Identity {
            user,
            sign_in: token.sign_in,
            scopes: Some(token.scopes),
            proved: true,
        }));
    }
    match issued(headers) {
        Some(token) => identify_issued(app, token).await,
        None => Ok(None),
    }
}

/// Who makes a request, by its cookie alone.
///
/// # Errors
/// When the store fails.
pub async fn identify_browser(app: &App, headers: &HeaderMap) -> Result<Option<Identity>, StoreError> {
    let Some(cookie) = CookieOf::User(&app.installation.id).read(headers, &app.origin) else {
        return Ok(None);
    };
    let found = app.store.browser_session(&cookie).await?;
    Ok(found.map(|found| {
        let proved = is_lately(found.proved_at_ms);
        Identity { user: found.user, sign_in: found.sign_in, scopes: None, proved }
    }))
}

/// Who a program is that says a token of the issuer's: its user, as far as a token of ours with every scope reaches. What
/// only people do takes a browser that is signed in.
async fn identify_issued(app: &App, token: &str) -> Result<Option<Identity>, StoreError> {
    let Some(issuer) = app.issuer.as_ref().filter(|issuer| issuer.takes_tokens()) else { return Ok(None) };
    let refused = |why: Refused| {
        tracing::info!(reason = why.kind(), "a token of the issuer was refused");
        Ok(None)
    };
    let verified = match issuer.verify(token, Way::Brought).await {
        Ok(verified) => verified,
        Err(why) => return refused(why),
    };
    let user = match issuer::account(app, issuer, &verified.claims).await? {
        Ok(user) => user,
        Err(why) => return refused(why),
    };
    let sign_in = app.store.hold_bearer(user.id.clone(), token, verified.expires_at_ms).await?;
    Ok(sign_in.map(|sign_in| Identity {
        user,
        sign_in,
        scopes: Some(Scopes::new(vec![Scope::All])),
        proved: verified.proved_at_ms.is_some_and(is_lately),
    }))
}

/// Whether a proof is of the last minutes.
pub(crate) fn is_lately(proved_at_ms: i64) -> bool {
    let since_ms = now_ms().saturating_sub(proved_at_ms);
    u128::try_from(since_ms).is_ok_and(|since| since < LATELY.as_millis())
}

/// The token of ours of a request that says one.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    said(headers).filter(|token| token.starts_with(TOKEN_PREFIX))
}

/// The token of an issuer's of a request that says one.
pub(crate) fn issued(headers: &HeaderMap) -> Option<&str> {
    said(headers).filter(|token| !token.starts_with(TOKEN_PREFIX) && token.split('.').count() == 3)
}

/// What a request says in the one way there is.
fn said(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
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
        let with =
            |token: &str| HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
        assert_eq!(issued(&with("a.b.c")), Some("a.b.c"));
        assert_eq!(bearer(&with("a.b.c")), None);
        for ours_or_none in ["berth_a.b.c", "a.b", "a.b.c.d", "abc"] {
            assert_eq!(issued(&with(ours_or_none)), None, "{ours_or_none}");
        }
    }
}
