//! Signing in with a password or a passkey, and making an account with an invite. What fails is answered in one way,
//! whatever the reason. (`issued` is about signing in by an issuer.)

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::ApiError;
use super::views::Error;
use super::views::credential::{PasskeyAnswer, PasskeyChallenge, PasswordSignIn, Redemption, SignedIn};
use crate::app::{App, SharedApp};
use crate::auth::{
    CookieOf, Identity, LONGEST_SIGN_IN, NAME_RULE, PasskeyError, PasswordError, device, has_authorization,
    identify_browser, is_lately, is_user_name, new_secret,
};
use crate::limits::{Limited, Who};
use crate::previews;
use crate::store::{Ceremony, CurrentUser, Deed, NewSignIn, Outcome, Redeemed};

/// How long a browser may take to sign with a passkey.
pub(super) const CHALLENGE: Duration = Duration::from_secs(5 * 60);

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
        return refused(&app, By::Password).await;
    };
    sign_in(&app, &headers, user, By::Password).await
}

/// What a browser is to sign with a passkey in order to sign in.
#[utoipa::path(post, path = "/api/v1/sign-in/passkey/begin", responses(
    (status = 200, body = PasskeyChallenge), (status = 403, body = Error), (status = 501, body = Error)
))]
pub async fn begin_passkey(State(app): State<SharedApp>) -> Result<Json<PasskeyChallenge>, ApiError> {
    let (options, state) = app.passkeys.begin_signing_in()?;
    let id = new_secret();
    app.store.put_challenge(&id, Ceremony::SignIn, state, CHALLENGE).await?;
    Ok(Json(PasskeyChallenge { id, options }))
}

/// Signs in with a passkey, or proves again who is signed in.
#[utoipa::path(post, path = "/api/v1/sign-in/passkey", request_body = PasskeyAnswer, responses(
    (status = 200, body = SignedIn), (status = 400, body = Error), (status = 403, body = Error),
    (status = 501, body = Error)
))]
pub async fn passkey(
    State(app): State<SharedApp>,
    headers: HeaderMap,
    body: Result<Json<PasskeyAnswer>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(PasskeyAnswer { id, credential }) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    match whose_passkey(&app, &id, credential).await {
        Ok(user) => sign_in(&app, &headers, user, By::Passkey).await,
        Err(error) if error.kind() == ApiError::sign_in_failed().kind() => refused(&app, By::Passkey).await,
        Err(error) => Err(error),
    }
}

/// Whose passkey has answered a challenge, once.
async fn whose_passkey(app: &SharedApp, id: &str, credential: Value) -> Result<CurrentUser, ApiError> {
    let answer = serde_json::from_value(credential).map_err(|_| ApiError::sign_in_failed())?;
    let state = app.store.take_challenge(id, Ceremony::SignIn).await?.ok_or_else(ApiError::sign_in_failed)?;
    let found = app.store.passkey_by_credential(app.passkeys.credential_of(&answer)?).await?;
    let (user, known) = found.ok_or_else(ApiError::sign_in_failed)?;
    let credential = app.passkeys.finish_signing_in(&answer, &state, &user.id, &known)?;
    if !app.store.passkey_used(known, credential).await? {
        return Err(ApiError::sign_in_failed());
    }
    Ok(user)
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
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_name", NAME_RULE));
    }
    let hash = match password {
        Some(password) => Some(app.passwords.hash(password, name.clone()).await?),
        None => None,
    };
    let (token, new) = new_sign_in(&headers);
    match app.store.redeem_invite(&code, name, hash, new).await? {
        Redeemed::Made(user, invite) => {
            tracing::info!(user = %user.id, %invite, "account made with an invite");
            let detail = json!({ "name": user.name, "invite": invite, "device": device(&headers) });
            app.store.note(Deed::new("invite_redeemed", Outcome::Done, detail).by(user.id.clone())).await?;
            app.metrics.sign_ins.inc();
            Ok(signed_in(&app, &headers, user, &token).await)
        }
        Redeemed::NameTaken => {
            Err(ApiError::new(StatusCode::CONFLICT, "name_taken", "somebody has that name: choose another"))
        }
        Redeemed::Invalid => Err(ApiError::invite_invalid()),
    }
}

/// Signs a user in who has proved who they are.
async fn sign_in(
    app: &SharedApp,
    headers: &HeaderMap,
    user: CurrentUser,
    by: By,
) -> Result<Response, ApiError> {
    let (_, new) = new_sign_in(headers);
    // What says `Authorization` is no browser that could be signed in.
    let here = if has_authorization(headers) { None } else { identify_browser(app, headers).await? };
    let token = begin(app, headers, here, &user, by, new).await?;
    Ok(answer(app, headers, user, token).await)
}

/// Begins the sign-in of a user who has proved who they are, and tells what the browser's cookie is to hold. `None`: they
/// are signed in `here` already, and have proved it anew.
///
/// # Errors
/// When they are blocked, or the store fails.
pub(crate) async fn begin(
    app: &SharedApp,
    headers: &HeaderMap,
    here: Option<Identity>,
    user: &CurrentUser,
    by: By,
    new: NewSignIn,
) -> Result<Option<String>, ApiError> {
    if let Some(known) = here.filter(|known| known.user.id == user.id) {
        // An issuer may say that it was long ago: then nothing is proved anew.
        if is_lately(new.proved_at_ms) {
            app.store.prove(known.sign_in, new.proved_at_ms).await?;
            app.store.note(by.deed("proved", headers).by(user.id.clone())).await?;
        }
        return Ok(None);
    }
    let token = new.token.clone();
    if !app.store.begin_sign_in(user.id.clone(), new).await? {
        return Err(ApiError::sign_in_failed());
    }
    tracing::info!(user = %user.id, "signed in");
    app.store.note(by.deed("signed_in", headers).by(user.id.clone())).await?;
    app.metrics.sign_ins.inc();
    Ok(Some(token))
}

/// What somebody is answered who has signed in, or proved who they are.
pub(super) async fn answer(
    app: &SharedApp,
    headers: &HeaderMap,
    user: CurrentUser,
    token: Option<String>,
) -> Response {
    match token {
        Some(token) => signed_in(app, headers, user, &token).await,
        None => Json(SignedIn { user: user.into(), next: "/".to_owned() }).into_response(),
    }
}

/// Nobody was signed in. The audit record knows by what it was tried.
async fn refused(app: &SharedApp, by: By) -> Result<Response, ApiError> {
    app.store.note(Deed::new("signed_in", Outcome::Refused, json!({ "by": by.word() }))).await?;
    Err(ApiError::sign_in_failed())
}

/// With what somebody proves who they are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    Password,
    Passkey,
    /// The issuer's word.
    Issuer,
}

impl By {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Passkey => "passkey",
            Self::Issuer => "issuer",
        }
    }

    fn deed(self, action: &'static str, headers: &HeaderMap) -> Deed {
        Deed::new(action, Outcome::Done, json!({ "by": self.word(), "device": device(headers) }))
    }
}

fn new_sign_in(headers: &HeaderMap) -> (String, NewSignIn) {
    let token = new_secret();
    (token.clone(), NewSignIn::proved(token, device(headers)))
}

async fn signed_in(app: &SharedApp, headers: &HeaderMap, user: CurrentUser, token: &str) -> Response {
    let next = previews::way_back(app, headers, &user.id).await.unwrap_or_else(|| "/".to_owned());
    let mut response = Json(SignedIn { user: user.into(), next }).into_response();
    set_cookies(app, headers, Some(token), &mut response);
    response
}

/// Gives a browser its sign-in, if that is new, and takes back where it had wanted to go.
pub(crate) fn set_cookies(app: &App, asked: &HeaderMap, token: Option<&str>, response: &mut Response) {
    let headers = response.headers_mut();
    if let Some(token) = token {
        let cookie = CookieOf::User(&app.installation.id).set(&app.origin, token, LONGEST_SIGN_IN);
        headers.append(SET_COOKIE, cookie);
    }
    let used = CookieOf::Return(&app.installation.id);
    if used.read(asked, &app.origin).is_some() {
        headers.append(SET_COOKIE, used.clear(&app.origin));
    }
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

impl From<PasskeyError> for ApiError {
    fn from(error: PasskeyError) -> Self {
        match &error {
            PasskeyError::Unavailable => {
                Self::new(StatusCode::NOT_IMPLEMENTED, "passkeys_unavailable", error.to_string())
            }
            PasskeyError::Refused(why) => {
                tracing::info!(error = %why, "passkey refused");
                Self::sign_in_failed()
            }
            PasskeyError::Damaged(why) => {
                tracing::error!(error = %why, "a stored passkey is damaged");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
            }
        }
    }
}
