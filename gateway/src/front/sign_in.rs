//! One-time sign-in links: the code is exchanged at once for a cookie and leaves the address bar. Whoever wanted to see
//! a preview is sent on to it.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use berth_protocol::ids::UserId;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::Peer;
use crate::api::{ApiError, set_cookies};
use crate::app::SharedApp;
use crate::auth::{device, new_secret};
use crate::limits::Limited;
use crate::previews;
use crate::store::{Deed, NewSignIn, Outcome};

/// Path of sign-in links.
pub const SIGN_IN_PATH: &str = "/sign-in";

/// Where a used or expired link leads; the page says so.
const FAILED: &str = "/?sign_in=failed";

/// The query of a sign-in link.
#[derive(Deserialize)]
pub struct SignInQuery {
    #[serde(default)]
    code: String,
}

/// Takes the code and redirects: with a cookie when the code was good.
pub async fn exchange(
    State(app): State<SharedApp>,
    Extension(Peer(address)): Extension<Peer>,
    headers: HeaderMap,
    query: Result<Query<SignInQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|rejection| ApiError::malformed_query(&rejection))?;
    app.limits.count(Limited::SignIn, address)?;
    let token = new_secret();
    let new = NewSignIn::proved(token.clone(), device(&headers));
    Ok(match app.store.sign_in(&query.code, new).await? {
        Some(user) => {
            tracing::info!(%user, "signed in");
            let deed =
                Deed::new("signed_in", Outcome::Done, json!({ "by": "link", "device": device(&headers) }));
            app.store.note(deed.by(user.clone())).await?;
            app.metrics.sign_ins.inc();
            signed_in(&app, &headers, &user, Some(&token)).await
        }
        None => {
            tracing::warn!("sign-in link refused: unknown, used or expired");
            app.store.note(Deed::new("signed_in", Outcome::Refused, json!({ "by": "link" }))).await?;
            redirect(FAILED)
        }
    })
}

/// Redirects somebody who has signed in to where they wanted to go, with the cookie if it is a new one.
pub(super) async fn signed_in(
    app: &SharedApp,
    headers: &HeaderMap,
    user: &UserId,
    token: Option<&str>,
) -> Response {
    let back = previews::way_back(app, headers, user).await;
    let mut response = redirect(back.as_deref().unwrap_or("/"));
    set_cookies(app, headers, token, &mut response);
    response
}

pub(super) fn redirect(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    // Paths of previews may hold what a header can't; nobody is sent there.
    headers.insert(LOCATION, HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/")));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
