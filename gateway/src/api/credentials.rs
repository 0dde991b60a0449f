//! What the caller proves with who they are: a password, passkeys.

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use berth_protocol::ids::PasskeyId;
use http::StatusCode;
use serde_json::json;

use super::ApiError;
use super::account::signed_out;
use super::sessions::checked_name;
use super::sign_in::CHALLENGE;
use super::views::Error;
use super::views::credential::{Credentials, NewPasskey, NewPassword, Passkey, PasskeyChallenge};
use crate::app::SharedApp;
use crate::auth::new_secret;
use crate::store::{BrowserSession, Ceremony, CurrentUser, Deed, Outcome};

/// What the caller can prove with who they are.
#[utoipa::path(get, path = "/api/v1/credentials", responses(
    (status = 200, body = Credentials), (status = 401, body = Error), (status = 403, body = Error)
))]
pub async fn list(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
) -> Result<Json<Credentials>, ApiError> {
    let password = app.store.has_password(user.id.clone()).await?;
    let passkeys = app.store.passkeys_of(user.id).await?.into_iter().map(Passkey::from).collect();
    Ok(Json(Credentials { password, passkeys, passkeys_available: app.passkeys.are_available() }))
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

/// What a browser is to make a passkey of.
#[utoipa::path(post, path = "/api/v1/credentials/passkeys/begin", responses(
    (status = 200, body = PasskeyChallenge), (status = 401, body = Error), (status = 403, body = Error),
    (status = 501, body = Error)
))]
pub async fn begin_passkey(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
) -> Result<Json<PasskeyChallenge>, ApiError> {
    let known = app.store.passkeys_of(user.id.clone()).await?;
    let (options, state) = app.passkeys.begin_registering(&user, &known)?;
    let id = new_secret();
    app.store.put_challenge(&id, Ceremony::Register(user.id), state, CHALLENGE).await?;
    Ok(Json(PasskeyChallenge { id, options }))
}

/// Takes a passkey that a browser has made.
#[utoipa::path(post, path = "/api/v1/credentials/passkeys", request_body = NewPasskey, responses(
    (status = 201, body = Passkey), (status = 400, body = Error), (status = 401, body = Error),
    (status = 403, body = Error), (status = 409, body = Error), (status = 422, body = Error),
    (status = 501, body = Error)
))]
pub async fn add_passkey(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    body: Result<Json<NewPasskey>, JsonRejection>,
) -> Result<(StatusCode, Json<Passkey>), ApiError> {
    let Json(NewPasskey { id, name, credential }) =
        body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let name = checked_name(&name)?;
    let answer = serde_json::from_value(credential).map_err(|_| ApiError::sign_in_failed())?;
    let state = app.store.take_challenge(&id, Ceremony::Register(user.id.clone())).await?;
    let new = app.passkeys.finish_registering(&answer, &state.ok_or_else(ApiError::sign_in_failed)?)?;
    let added = app.store.add_passkey(user.id.clone(), name, new.credential_id, new.credential).await?;
    tracing::info!(user = %user.id, passkey = %added.id, "passkey added");
    let detail = json!({ "passkey": added.id, "name": added.name });
    app.store.note(Deed::new("passkey_added", Outcome::Done, detail).by(user.id)).await?;
    Ok((StatusCode::CREATED, Json(added.into())))
}

/// Removes one of the caller's passkeys.
#[utoipa::path(
    delete, path = "/api/v1/credentials/passkeys/{passkey}", params(("passkey" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn remove_passkey(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    path: Result<Path<PasskeyId>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let not_found = || ApiError::new(StatusCode::NOT_FOUND, "passkey_not_found", "there is no such passkey");
    let Path(id) = path.map_err(|_| not_found())?;
    if !app.store.remove_passkey(user.id.clone(), id.clone()).await? {
        return Err(not_found());
    }
    tracing::info!(user = %user.id, passkey = %id, "passkey removed");
    app.store.note(Deed::new("passkey_removed", Outcome::Done, json!({ "passkey": id })).by(user.id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
