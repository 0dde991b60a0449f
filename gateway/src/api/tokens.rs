//! API tokens: made, listed and revoked by people only.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use berth_protocol::ids::TokenId;
use http::StatusCode;
use serde_json::json;

use super::ApiError;
use super::account::signed_out;
use super::sessions::checked_name;
use super::views::Error;
use super::views::token::{CreatedToken, NewToken, Token, Tokens};
use crate::app::SharedApp;
use crate::auth::{TOKEN_DAYS, new_token};
use crate::store::{ApiToken, CurrentUser, Deed, Outcome, Scopes};

/// How long a token may last, seconds.
const LIFETIMES: std::ops::RangeInclusive<u64> = 60..=(*TOKEN_DAYS.end() as u64) * 24 * 3600;

/// Makes a token, whose secret is told here only.
#[utoipa::path(
    post, path = "/api/v1/tokens", request_body = NewToken,
    responses(
        (status = 201, body = CreatedToken), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 409, body = Error), (status = 413, body = Error),
        (status = 422, body = Error)
    )
)]
pub async fn create(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    body: Result<Json<NewToken>, JsonRejection>,
) -> Result<(StatusCode, Json<CreatedToken>), ApiError> {
    let Json(NewToken { name, scopes, expires_in_seconds }) =
        body.map_err(|rejection| ApiError::malformed(&rejection))?;
    if !LIFETIMES.contains(&expires_in_seconds) {
        let message = format!("a token lasts {} to {} seconds", LIFETIMES.start(), LIFETIMES.end());
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_lifetime", message));
    }
    if scopes.is_empty() {
        let message = "a token without a scope may do nothing: say all, read or previews";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "no_scope", message));
    }
    let (name, secret) = (checked_name(&name)?, new_token());
    let scopes = Scopes::new(scopes.into_iter().map(Into::into).collect());
    let lifetime = Duration::from_secs(expires_in_seconds);
    let token = app.store.create_token(user.id.clone(), name, scopes, &secret, lifetime).await?;
    tracing::info!(user = %user.id, token = %token.id, scopes = %token.scopes, "token created");
    app.store.note(token_created(&token).by(user.id)).await?;
    Ok((StatusCode::CREATED, Json(CreatedToken { token: token.into(), secret })))
}

/// The user's tokens.
#[utoipa::path(get, path = "/api/v1/tokens", responses(
    (status = 200, body = Tokens), (status = 401, body = Error), (status = 403, body = Error)
))]
pub async fn list(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
) -> Result<Json<Tokens>, ApiError> {
    let tokens = app.store.tokens_of(user.id).await?;
    Ok(Json(Tokens { tokens: tokens.into_iter().map(Token::from).collect() }))
}

/// Revokes a token: what goes on in its name ends at once.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{token}", params(("token" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn revoke(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    path: Result<Path<TokenId>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path(id) = path.map_err(|_| ApiError::token_not_found())?;
    let revoked = app.store.revoke_token(user.id.clone(), id.clone()).await?;
    let sign_in = revoked.ok_or_else(ApiError::token_not_found)?;
    tracing::info!(user = %user.id, token = %id, "token revoked");
    app.store.note(Deed::new("token_revoked", Outcome::Done, json!({ "token": id })).by(user.id)).await?;
    signed_out(&app, sign_in);
    Ok(StatusCode::NO_CONTENT)
}

/// What the audit record says of a new token.
pub fn token_created(token: &ApiToken) -> Deed {
    let scopes = token.scopes.to_string();
    let detail = json!({
        "token": token.id, "name": token.name, "scopes": scopes, "expires_at_ms": token.expires_at_ms,
    });
    Deed::new("token_created", Outcome::Done, detail)
}
