//! Signing in with a password, and making an account with an invite. What fails is answered in one way,
//! whatever the reason.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::ApiError;
use super::views::Error;
use super::views::credential::{PasswordSignIn, Redemption, SignedIn};
use crate::app::SharedApp;
use crate::auth::{
    BROWSER_SESSION, CookieOf, LONGEST_SIGN_IN, PasswordError, device, has_authorization, identify,
    is_user_name, new_secret,
};
use crate::limits::{Limited, Who};
use crate::previews;
use crate::store::{CurrentUser, Deed, NewSignIn, Outcome, Redeemed};

/// Signs in with a name and a password. In a browser where that user is signed in already, it proves again who they
/// are.
#[utoipa::path(post, path = "/api/v1/sign-in/password", request_body = PasswordSignIn, responses(
    (status = 200, body = SignedIn), (status = 400, body = Error), (status = 403, body = Error),
    (status = 503, body = Error)
))]
pub async fn password(
    State(app): State<SharedApp>,
    headers: HeaderMap,
    body: Result<Json<PasswordSignIn>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(PasswordSignIn { name, password }) =
        body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let name = name.trim().to_owned();
    // What is no name is nobody's, and is not kept.
    if is_user_name(&name) {
        app.limits.count(Limited::SignIn, Who::Name(name.clone()))?;
    }
    let (user, hash) = app.store.password_of(name).await?.unzip();
    let good = app.passwords.verify(password, hash).await?;
    let Some(user) = user.filter(|_| good) else {
        // Not the name: a password lands in its field now and then.
        app.store.note(Deed::new("signed_in", Outcome::Refused, json!({ "by": "password" }))).await?;
        return Err(ApiError::sign_in_failed());
    };
    sign_in(&app, &headers, user).await
}

/// Makes an account with an invite, and signs it in.
#[utoipa::path(post, path = "/api/v1/invites/redeem", request_body = Redemption, responses(
    (status = 200, body = SignedIn), (status = 400, body = Error), (status = 403, body = Error),
    (status = 409, body = Error), (status = 422, body = Error), (status = 503, body = Error)
))]
pub async fn redeem(
    State(app): State<SharedApp>,
    headers: HeaderMap,
    body: Result<Json<Redemption>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(Redemption { code, name, password }) =
        body.map_err(|rejection| ApiError::malformed(&rejection))?;
    // First: only whoever has an invite is told whether a name is taken, and has anything hashed.
    if !app.store.invite_is_good(&code).await? {
        return Err(ApiError::invite_invalid());
    }
    let name = name.trim().to_owned();
    if !is_user_name(&name) {
        let message = "a name has 2 to 32 characters of a-z, 0-9, ., _ and -, beginning with a letter";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_name", message));
    }
    let hash = app.passwords.hash(password, name.clone()).await?;
    let (token, new) = new_sign_in(&headers);
    match app.store.redeem_invite(&code, name, hash, new).await? {
        Redeemed::Made(user) => {
            tracing::info!(user = %user.id, "account made with an invite");
            let detail = json!({ "name": user.name, "device": device(&headers) });
            app.store.note(Deed::new("invite_redeemed", Outcome::Done, detail).by(user.id.clone())).await?;
            Ok(signed_in(&app, &headers, user, &token).await)
        }
        Redeemed::NameTaken => {
            Err(ApiError::new(StatusCode::CONFLICT, "name_taken", "somebody has that name: choose another"))
        }
        Redeemed::Invalid => Err(ApiError::invite_invalid()),
    }
}

/// Signs a user in who has proved who they are.
async fn sign_in(app: &SharedApp, headers: &HeaderMap, user: CurrentUser) -> Result<Response, ApiError> {
    let known = if has_authorization(headers) { None } else { identify(app, headers).await? };
    if let Some(known) = known.filter(|known| known.user.id == user.id) {
        app.store.prove(known.sign_in).await?;
        app.store.note(signed_in_by_password("proved", headers).by(user.id.clone())).await?;
        return Ok(Json(SignedIn { user: user.into(), next: "/".to_owned() }).into_response());
    }
    let (token, new) = new_sign_in(headers);
    if !app.store.begin_sign_in(user.id.clone(), new).await? {
        return Err(ApiError::sign_in_failed());
    }
    tracing::info!(user = %user.id, "signed in");
    app.store.note(signed_in_by_password("signed_in", headers).by(user.id.clone())).await?;
    Ok(signed_in(app, headers, user, &token).await)
}

fn signed_in_by_password(action: &'static str, headers: &HeaderMap) -> Deed {
    Deed::new(action, Outcome::Done, json!({ "by": "password", "device": device(headers) }))
}

fn new_sign_in(headers: &HeaderMap) -> (String, NewSignIn) {
    let token = new_secret();
    (token.clone(), NewSignIn { token, device: device(headers), idle: BROWSER_SESSION })
}

async fn signed_in(app: &SharedApp, headers: &HeaderMap, user: CurrentUser, token: &str) -> Response {
    app.metrics.sign_ins.inc();
    let next = previews::way_back(app, headers, &user.id).await.unwrap_or_else(|| "/".to_owned());
    let mut response = Json(SignedIn { user: user.into(), next }).into_response();
    let cookie = CookieOf::User(&app.installation.id).set(&app.origin, token, LONGEST_SIGN_IN);
    response.headers_mut().append(SET_COOKIE, cookie);
    let used = CookieOf::Return(&app.installation.id);
    if used.read(headers, &app.origin).is_some() {
        response.headers_mut().append(SET_COOKIE, used.clear(&app.origin));
    }
    response
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match &error {
            PasswordError::Weak(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "weak_password", error.to_string())
            }
            PasswordError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string()),
            PasswordError::Failed => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
            }
        }
    }
}
