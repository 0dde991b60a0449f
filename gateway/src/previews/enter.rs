//! How a browser is let in to a private preview: nonce, code, cookie.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use berth_protocol::ids::PreviewId;
use http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::Deserialize;

use crate::api::{ApiError, usable_preview};
use crate::app::{App, SharedApp};
use crate::auth::{BROWSER_SESSION, CookieOf, new_secret};
use crate::preview::{Named, Names, Trouble};
use crate::store::Store;

/// The console's path where a browser gets a code.
pub const OPEN_PATH: &str = "/preview/open";

/// The path on each preview's host where the code is exchanged. No dev server is asked for it.
pub const ENTER_PATH: &str = "/.berth/enter";

/// How long a code works.
const CODE_LIFETIME: Duration = Duration::from_secs(30);

/// How long a browser may take for the way to the console and back, signing in included.
const NONCE_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The longest path that is come back to, bytes.
const MAX_PATH: usize = 2048;

/// What the console is asked.
#[derive(Deserialize)]
pub struct OpenQuery {
    preview: String,
    /// The hash of the nonce; whoever sees it can't make a cookie of it.
    nonce: String,
    to: String,
}

/// What the preview's host is asked.
#[derive(Deserialize)]
struct EnterQuery {
    code: String,
    to: String,
}

/// Sends a browser that was not let in yet to the console.
pub fn begin(app: &App, named: &Named, headers: &HeaderMap, uri: &Uri) -> Response {
    // Two tabs that are opened at once share it.
    let known = CookieOf::PreviewNonce.read(headers, &app.origin).filter(|nonce| !nonce.is_empty());
    let nonce = known.unwrap_or_else(new_secret);
    let to = uri.path_and_query().map_or("/", |path| path.as_str());
    let query = encoded(&[
        ("preview", named.preview.as_str()),
        ("nonce", &Store::nonce_hash(&nonce)),
        ("to", checked(to)),
    ]);
    let mut response = redirect(&format!("{}{OPEN_PATH}?{query}", app.origin.as_str()));
    let cookie = CookieOf::PreviewNonce.set(&app.origin, &nonce, NONCE_LIFETIME);
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

/// Gives a signed-in browser a code for a preview that its user may see, and sends it back there.
pub async fn open(
    State(app): State<SharedApp>,
    headers: HeaderMap,
    query: Result<Query<OpenQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|rejection| ApiError::malformed_query(&rejection))?;
    let names = app.previews.names.as_ref().ok_or_else(ApiError::preview_not_found)?;
    let id: PreviewId = query.preview.parse().map_err(|_| ApiError::preview_not_found())?;
    let (preview, browser) = match usable_preview(&app, &headers, id).await {
        Ok(found) => found,
        // The console's page lets its user sign in; the preview is opened again from there.
        Err(error) if error.kind() == "not_signed_in" => return Ok(redirect("/")),
        Err(error) => return Err(error),
    };
    let code = new_secret();
    app.store.put_preview_code(&code, preview.id.clone(), query.nonce, browser, CODE_LIFETIME).await?;
    let named = Named { preview: preview.id, workspace: preview.workspace };
    let back = encoded(&[("code", code.as_str()), ("to", checked(&query.to))]);
    Ok(redirect(&format!("{}{ENTER_PATH}?{back}", names.origin(&named))))
}

/// Exchanges a code for the cookie of the preview's host.
pub async fn enter(
    app: &App,
    names: &Names,
    named: &Named,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Response, Trouble> {
    let Query(query) = Query::<EnterQuery>::try_from_uri(uri).map_err(|_| Trouble::NotLetIn)?;
    let nonce = CookieOf::PreviewNonce.read(headers, &app.origin).ok_or(Trouble::NotLetIn)?;
    let token = new_secret();
    let entered = app.store.enter_preview(&query.code, named.preview.clone(), &nonce, &token).await;
    let entered = entered.map_err(|error| {
        tracing::error!(error = %berth_daemon::exit::chain(&error), "store failed");
        Trouble::Internal
    })?;
    if !entered {
        tracing::warn!(preview = %named.preview, "code for a preview refused: unknown, used, late or not this browser's");
        return Err(Trouble::NotLetIn);
    }
    let mut response = redirect(&format!("{}{}", names.origin(named), checked(&query.to)));
    let cookie = CookieOf::Preview.set(&app.origin, &token, BROWSER_SESSION);
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// A path of the same host; the root for everything that could lead elsewhere.
fn checked(path: &str) -> &str {
    let same_host = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains(['\\', '\r', '\n', '\t'])
        && !path.starts_with(ENTER_PATH);
    if same_host && path.len() <= MAX_PATH { path } else { "/" }
}

fn encoded(query: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish()
}

fn redirect(to: &str) -> Response {
    let Ok(to) = HeaderValue::from_str(to) else { return StatusCode::BAD_REQUEST.into_response() };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(LOCATION, to);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_to_the_same_host() {
        for path in ["/", "/a?b=c", "/a//b"] {
            assert_eq!(checked(path), path);
        }
        let long = format!("/{}", "a".repeat(MAX_PATH));
        for path in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "a",
            "/a\r\nx",
            "/.berth/enter?code=x",
            &long,
        ] {
            assert_eq!(checked(path), "/", "{path}");
        }
    }
}
