//! Signing in by an issuer: a page exchanges a token of its for a sign-in of ours, which lasts longer than a minute and
//! which WebSockets can be opened with. (`front/issuer` is the way of those who are sent to the issuer.)

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::ApiError;
use super::sign_in::{By, answer, begin};
use super::views::Error;
use super::views::credential::{SignInWays, SignedIn, WayOfIssuer};
use crate::app::SharedApp;
use crate::auth::{device, identify_browser, issued, new_secret};
use crate::front::ISSUER_PATH;
use crate::issuer::{self, Issuer, Refused, Verified, Way};
use crate::store::{CurrentUser, Deed, NewSignIn, Outcome};

/// The ways in which one can sign in here, beside those that are always there.
#[utoipa::path(get, path = "/api/v1/sign-in/ways", responses((status = 200, body = SignInWays)))]
pub async fn ways(State(app): State<SharedApp>) -> Json<SignInWays> {
    let issuer = app.issuer.as_ref().filter(|issuer| issuer.has_button());
    let issuer = issuer.map(|issuer| WayOfIssuer { name: issuer.name(), url: ISSUER_PATH.to_owned() });
    Json(SignInWays { issuer })
}

/// Signs in with the issuer's token in `Authorization: Bearer`. In a browser where that user is signed in already, it
/// proves again who they are, if the issuer says that they have lately.
#[utoipa::path(post, path = "/api/v1/sign-in/token", responses(
    (status = 200, body = SignedIn), (status = 403, body = Error), (status = 501, body = Error),
    (status = 503, body = Error)
))]
pub async fn token(State(app): State<SharedApp>, headers: HeaderMap) -> Result<Response, ApiError> {
    let issuer = app.issuer.as_ref().filter(|issuer| issuer.takes_tokens()).ok_or_else(|| {
        let message = "tokens of an issuer are not taken here: issuer.audiences or issuer.authorized_parties is not set";
        ApiError::new(StatusCode::NOT_IMPLEMENTED, "no_issuer", message)
    })?;
    let verified = match issued(&headers) {
        Some(token) => issuer.verify(token, Way::Brought).await,
        None => Err(Refused::Malformed),
    };
    let proved_at_ms = verified.as_ref().ok().and_then(|verified| verified.proved_at_ms).unwrap_or_default();
    match enter(&app, &headers, issuer, verified, proved_at_ms).await? {
        Ok((user, token)) => Ok(answer(&app, &headers, user, token).await),
        Err(why) => Err(why.into()),
    }
}

/// Signs in whom a token is about, and tells what the browser's cookie is to hold: nothing new, where they are signed in
/// already. What is refused is on the record, with the reason, which is not told.
///
/// # Errors
/// When the store fails.
pub(crate) async fn enter(
    app: &SharedApp,
    headers: &HeaderMap,
    issuer: &Issuer,
    verified: Result<Verified, Refused>,
    proved_at_ms: i64,
) -> Result<Result<(CurrentUser, Option<String>), Refused>, ApiError> {
    let user = match verified {
        Ok(verified) => issuer::account(app, issuer, &verified.claims).await?,
        Err(why) => Err(why),
    };
    let user = match user {
        Ok(user) => user,
        Err(why) => {
            tracing::warn!(reason = why.kind(), error = %why, "sign-in by the issuer refused");
            let detail = json!({ "by": By::Issuer.word(), "reason": why.kind() });
            app.store.note(Deed::new("signed_in", Outcome::Refused, detail)).await?;
            return Ok(Err(why));
        }
    };
    let longest = issuer.settings().longest_sign_in();
    let new = NewSignIn { longest, proved_at_ms, ..NewSignIn::proved(new_secret(), device(headers)) };
    let here = identify_browser(app, headers).await?;
    let token = begin(app, headers, here, &user, By::Issuer, new).await?;
    Ok(Ok((user, token)))
}

impl From<Refused> for ApiError {
    fn from(why: Refused) -> Self {
        match why {
            Refused::Unavailable => {
                let message = "the issuer does not answer: try again in a moment, or sign in in another way";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "issuer_unavailable", message)
            }
            // The issuer knows them; nothing is told that they don't know.
            Refused::NoAccount => {
                let message = "there is no account for you here: ask the operator for one";
                Self::new(StatusCode::FORBIDDEN, "no_account", message)
            }
            _ => Self::sign_in_failed(),
        }
    }
}
