//! The sign-in of a browser that is sent to the issuer and comes back with a code, which leaves the address bar at once.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use http::HeaderMap;
use http::header::SET_COOKIE;
use serde::Deserialize;

use super::Peer;
use super::sign_in::{redirect, signed_in};
use crate::api::{ApiError, enter_by_issuer};
use crate::app::{App, SharedApp};
use crate::auth::CookieOf;
use crate::issuer::{FLOW, Issuer, Refused, Verified};
use crate::limits::Limited;

/// Path that leads to the issuer, ...
pub const ISSUER_PATH: &str = "/sign-in/issuer";

/// ... and the one by which browsers come back.
pub const CALLBACK_PATH: &str = "/sign-in/issuer/callback";

/// What a browser wants of the issuer.
#[derive(Deserialize)]
pub struct BeginQuery {
    /// Whether whoever is signed in there is to prove it anew.
    #[serde(default)]
    again: bool,
}

/// With what a browser comes back.
#[derive(Deserialize)]
pub struct BackQuery {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    iss: Option<String>,
    error: Option<String>,
}

/// Sends the browser to the issuer.
pub async fn begin(
    State(app): State<SharedApp>,
    Extension(Peer(address)): Extension<Peer>,
    query: Result<Query<BeginQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(BeginQuery { again }) = query.map_err(|rejection| ApiError::malformed_query(&rejection))?;
    let issuer = with_button(&app)?;
    app.limits.count(Limited::SignIn, address)?;
    let begun = match issuer.begin(&back(&app), again).await {
        Ok(begun) => begun,
        Err(why) => return Ok(redirect(&failed(why))),
    };
    app.store.put_issuer_flow(&begun.ticket, FLOW).await?;
    let mut response = redirect(begun.url.as_str());
    let cookie = CookieOf::Issuer(&app.installation.id).set(&app.origin, &begun.ticket, FLOW);
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// Takes the code, once, from the browser that was sent, and redirects: with a cookie when it was good.
pub async fn callback(
    State(app): State<SharedApp>,
    Extension(Peer(address)): Extension<Peer>,
    headers: HeaderMap,
    query: Result<Query<BackQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|rejection| ApiError::malformed_query(&rejection))?;
    let issuer = with_button(&app)?;
    app.limits.count(Limited::SignIn, address)?;
    let verified = come_back(&app, issuer, &headers, query).await?;
    // That it was asked to have them prove it anew says nothing: the question went through their browser.
    let said = verified.as_ref().ok().and_then(|verified| verified.proved_at_ms);
    let proved_at_ms = said.unwrap_or(0);
    let mut response = match enter_by_issuer(&app, &headers, issuer, verified, proved_at_ms).await? {
        Ok((user, token)) => signed_in(&app, &headers, &user.id, token.as_deref()).await,
        Err(why) => redirect(&failed(why)),
    };
    let used = CookieOf::Issuer(&app.installation.id).clear(&app.origin);
    response.headers_mut().append(SET_COOKIE, used);
    Ok(response)
}

/// What the issuer says of whoever comes back.
async fn come_back(
    app: &App,
    issuer: &Issuer,
    headers: &HeaderMap,
    query: BackQuery,
) -> Result<Result<Verified, Refused>, ApiError> {
    let ticket = CookieOf::Issuer(&app.installation.id).read(headers, &app.origin);
    let Some(ticket) = ticket.filter(|ticket| issuer.has_begun(ticket, &query.state, query.iss.as_deref()))
    else {
        return Ok(Err(Refused::State));
    };
    if !app.store.take_issuer_flow(&ticket).await? {
        return Ok(Err(Refused::State));
    }
    if query.error.is_some() || query.code.is_empty() {
        return Ok(Err(Refused::Denied));
    }
    Ok(issuer.finish(&back(app), &ticket, &query.code).await)
}

fn with_button(app: &App) -> Result<&Issuer, ApiError> {
    app.issuer.as_ref().filter(|issuer| issuer.has_button()).ok_or_else(ApiError::not_found)
}

fn back(app: &App) -> String {
    format!("{}{CALLBACK_PATH}", app.origin.as_str())
}

/// Where a sign-in leads that came to nothing; the page says so.
fn failed(why: Refused) -> String {
    let why = match why {
        Refused::Unavailable => "issuer_unavailable",
        Refused::NoAccount => "no_account",
        Refused::Denied => "issuer_denied",
        _ => "issuer_failed",
    };
    format!("/?sign_in={why}")
}
