//! How a browser is let in to a preview that is not public: nonce, code, cookie.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use berth_protocol::ids::{PreviewId, UserId};
use data_encoding::BASE64URL_NOPAD;
use http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde::Deserialize;

use super::code::Code;
use super::side::is_framing;
use crate::api::{ApiError, usable_preview};
use crate::app::{App, SharedApp};
use crate::auth::{BROWSER_SESSION, CookieOf, SIGN_IN_LINK, Shown, has_authorization, identify, new_secret};
use crate::preview::{Named, Names, Trouble};
use crate::store::{Entrant, Preview, Store};

/// The console's path where a browser gets a code.
pub const OPEN_PATH: &str = "/preview/open";

/// The path on each preview's host where the code is exchanged. No dev server is asked for it.
pub const ENTER_PATH: &str = "/.berth/enter";

/// How long a code works.
const CODE_LIFETIME: Duration = Duration::from_secs(30);

/// How long a browser may take for the way to the console and back, signing in included.
const NONCE_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Where the console's page says how to sign in, and that a preview comes after that.
const SIGN_IN_FIRST: &str = "/?to=preview";

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
pub fn begin(app: &App, named: &Named, headers: &HeaderMap, uri: &Uri, shown: Shown) -> Response {
    // Two tabs that are opened at once share it.
    let known = CookieOf::PreviewNonce(shown).read(headers, &app.origin).filter(|nonce| !nonce.is_empty());
    let nonce = known.unwrap_or_else(new_secret);
    let to = uri.path_and_query().map_or("/", |path| path.as_str());
    let query = encoded(&[
        ("preview", named.preview.as_str()),
        ("nonce", &Store::nonce_hash(&nonce)),
        ("to", checked(to)),
    ]);
    let mut response = redirect(&format!("{}{OPEN_PATH}?{query}", app.origin.as_str()), shown);
    let cookie = CookieOf::PreviewNonce(shown).set(&app.origin, &nonce, NONCE_LIFETIME);
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

/// Gives a browser a code for a preview that its user, or whoever has a link, may see, and sends it back there.
pub async fn open(
    State(app): State<SharedApp>,
    method: Method,
    headers: HeaderMap,
    query: Result<Query<OpenQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|rejection| ApiError::malformed_query(&rejection))?;
    let names = app.previews.names.as_ref().ok_or_else(ApiError::preview_not_found)?;
    let id: PreviewId = query.preview.parse().map_err(|_| ApiError::preview_not_found())?;
    let shown = if is_framing(&method, &headers) { Shown::Frame } else { Shown::Window };
    let (preview, entrant) = match entrant(&app, &headers, &id).await {
        Ok(found) => found,
        // The console's page says how to sign in; who has done that is sent on to the preview.
        Err(error) if error.kind() == "not_signed_in" => {
            let mut response = redirect(SIGN_IN_FIRST, shown);
            let way = format!("{id}.{}", BASE64URL_NOPAD.encode(checked(&query.to).as_bytes()));
            let cookie = CookieOf::Return(&app.installation.id).set(&app.origin, &way, SIGN_IN_LINK);
            response.headers_mut().append(SET_COOKIE, cookie);
            return Ok(response);
        }
        Err(error) => return Err(error),
    };
    let code = new_secret();
    app.store.put_preview_code(&code, preview.id.clone(), query.nonce, entrant, CODE_LIFETIME).await?;
    let named = Named { preview: preview.id, workspace: preview.workspace };
    let back = encoded(&[("code", code.as_str()), ("to", checked(&query.to))]);
    Ok(redirect(&format!("{}{ENTER_PATH}?{back}", names.origin(&named)), shown))
}

/// By which right a browser asks: as its user, or else by a link that was opened in it.
async fn entrant(
    app: &SharedApp,
    headers: &HeaderMap,
    id: &PreviewId,
) -> Result<(Preview, Entrant), ApiError> {
    // Programs are let in nowhere: they get the bytes.
    let user = if has_authorization(headers) { None } else { identify(app, headers).await? };
    let refused = match user {
        Some(identity) => match usable_preview(app, &identity.user.id, id.clone()).await {
            Ok(preview) => return Ok((preview, Entrant::SignedIn(identity.sign_in))),
            Err(error) if error.is_temporary() => return Err(error),
            Err(error) => error,
        },
        None => ApiError::not_signed_in(),
    };
    let guest = CookieOf::PreviewGuest(id).read(headers, &app.origin);
    let Some(link) = guest.and_then(|code| Code::Guest.verify(&app.sealer, &code)) else {
        return Err(refused);
    };
    let link = app.store.link(link).await?.filter(|link| link.preview == *id);
    match (link, app.store.preview(id.clone()).await?) {
        (Some(link), Some(preview)) => Ok((preview, Entrant::Linked(link.id))),
        _ => Err(refused),
    }
}

/// Where a browser in which a user has just signed in wanted to go: to a preview that this user may see.
pub async fn way_back(app: &SharedApp, headers: &HeaderMap, user: &UserId) -> Option<String> {
    let names = app.previews.names.as_ref()?;
    let way = CookieOf::Return(&app.installation.id).read(headers, &app.origin)?;
    let (id, path) = way.split_once('.')?;
    let path = String::from_utf8(BASE64URL_NOPAD.decode(path.as_bytes()).ok()?).ok()?;
    let preview = usable_preview(app, user, id.parse().ok()?).await.ok()?;
    let named = Named { preview: preview.id, workspace: preview.workspace };
    Some(format!("{}{}", names.origin(&named), checked(&path)))
}

/// Exchanges a code for the cookie of the preview's host.
pub async fn enter(
    app: &App,
    names: &Names,
    named: &Named,
    headers: &HeaderMap,
    uri: &Uri,
    shown: Shown,
) -> Result<Response, Trouble> {
    let Query(query) = Query::<EnterQuery>::try_from_uri(uri).map_err(|_| Trouble::NotLetIn)?;
    let nonce = CookieOf::PreviewNonce(shown).read(headers, &app.origin).ok_or(Trouble::NotLetIn)?;
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
    let mut response = redirect(&format!("{}{}", names.origin(named), checked(&query.to)), shown);
    let cookie = CookieOf::Preview(shown).set(&app.origin, &token, BROWSER_SESSION);
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

/// Sends a browser elsewhere. In a frame it goes on saying that the console shows it, and no more than that.
fn redirect(to: &str, shown: Shown) -> Response {
    let Ok(to) = HeaderValue::from_str(to) else { return StatusCode::BAD_REQUEST.into_response() };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(LOCATION, to);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let referrer = if shown == Shown::Frame { "origin" } else { "no-referrer" };
    headers.insert(REFERRER_POLICY, HeaderValue::from_static(referrer));
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
