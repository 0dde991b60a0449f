//! One-time sign-in links: the code is exchanged at once for a cookie and leaves the address bar.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

use crate::api::ApiError;
use crate::app::SharedApp;
use crate::auth::{BROWSER_SESSION, CookieOf, new_secret};

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
    query: Result<Query<SignInQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|rejection| ApiError::malformed_query(&rejection))?;
    let token = new_secret();
    let signed_in = app.store.sign_in(&query.code, &token, BROWSER_SESSION).await?;
    Ok(match signed_in {
        Some(user) => {
            tracing::info!(%user, "signed in");
            app.metrics.sign_ins.inc();
            let cookie = CookieOf::User(&app.installation.id).set(&app.origin, &token, BROWSER_SESSION);
            redirect("/", Some((SET_COOKIE, cookie)))
        }
        None => {
            tracing::warn!("sign-in link refused: unknown, used or expired");
            redirect(FAILED, None)
        }
    })
}

fn redirect(to: &'static str, header: Option<(HeaderName, HeaderValue)>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static(to));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(header);
    response
}
