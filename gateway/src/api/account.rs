//! Who is signed in, and signing out.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use http::header::SET_COOKIE;
use serde_json::json;

use super::ApiError;
use super::views::{Error, Me};
use crate::app::{App, SharedApp};
use crate::auth::CookieOf;
use crate::changes::Change;
use crate::store::{BrowserSession, CurrentUser, Deed, Outcome};

/// Who is signed in.
#[utoipa::path(get, path = "/api/v1/me", responses(
    (status = 200, body = Me), (status = 401, body = Error)
))]
pub async fn me(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
) -> Result<Json<Me>, ApiError> {
    Ok(Json(Me {
        installation_owner: app.store.is_owner(user.id.clone()).await?,
        user: user.into(),
        installation: app.installation.id.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }))
}

/// Signs this browser out: its terminals and event streams end at once.
#[utoipa::path(post, path = "/api/v1/sign-out", responses(
    (status = 204), (status = 401, body = Error), (status = 403, body = Error)
))]
pub async fn sign_out(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(browser): Extension<BrowserSession>,
) -> Result<Response, ApiError> {
    app.store.sign_out(browser.clone()).await?;
    app.store.note(Deed::new("signed_out", Outcome::Done, json!({})).by(user.id)).await?;
    signed_out(&app, browser);
    let cookie = CookieOf::User(&app.installation.id).clear(&app.origin);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}

/// What goes on in the name of a sign-in that was ended ends at once.
pub(super) fn signed_out(app: &App, sign_in: BrowserSession) {
    app.terminals.end_browser_session(&sign_in);
    app.previews.forget();
    app.changes.publish(Change::SignedOut(sign_in));
}
