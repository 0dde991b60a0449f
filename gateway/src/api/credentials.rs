//! What the caller proves with who they are: a password.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::{Extension, Json};
use http::StatusCode;
use serde_json::json;

use super::ApiError;
use super::account::signed_out;
use super::views::Error;
use super::views::credential::{Credentials, NewPassword};
use crate::app::SharedApp;
use crate::store::{BrowserSession, CurrentUser, Deed, Outcome};

/// What the caller can prove with who they are.
#[utoipa::path(get, path = "/api/v1/credentials", responses(
    (status = 200, body = Credentials), (status = 401, body = Error), (status = 403, body = Error)
))]
pub async fn list(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
) -> Result<Json<Credentials>, ApiError> {
    Ok(Json(Credentials { password: app.store.has_password(user.id).await? }))
}

/// Gives the caller another password, and signs them out in every other browser.
#[utoipa::path(put, path = "/api/v1/credentials/password", request_body = NewPassword, responses(
    (status = 204), (status = 400, body = Error), (status = 401, body = Error), (status = 403, body = Error),
    (status = 422, body = Error), (status = 503, body = Error)
))]
pub async fn set_password(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(here): Extension<BrowserSession>,
    body: Result<Json<NewPassword>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Json(NewPassword { password }) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let hash = app.passwords.hash(password, user.name).await?;
    let ended = app.store.set_password(user.id.clone(), hash, here).await?;
    ended.into_iter().for_each(|sign_in| signed_out(&app, sign_in));
    tracing::info!(user = %user.id, "password changed");
    app.store.note(Deed::new("password_changed", Outcome::Done, json!({})).by(user.id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
