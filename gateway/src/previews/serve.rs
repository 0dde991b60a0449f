//! One request to a preview's host, or through the API's own route.

use std::net::IpAddr;

use axum::extract::Request;
use axum::response::Response;
use berth_protocol::ids::RequestId;
use http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, HOST, LOCATION, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use tokio::time::Instant;
use tracing::Instrument;

use super::memory::Access;
use super::side::{Side, is_framing, is_navigation};
use super::{cors, enter};
use crate::app::{App, SharedApp};
use crate::auth::{CookieOf, Shown};
use crate::front::Peer;
use crate::limits::{Limited, Who};
use crate::preview::{Asked, Form, Named, Names, Passage, Target, Trouble, check};
use crate::store::{BrowserSession, Grant, Granted, Preview, StoreError, Viewer, Visibility};

/// Answers a request to a preview's host.
///
/// # Errors
/// With the request itself, when it is to another host.
pub async fn route(app: &SharedApp, request: Request) -> Result<Response, Request> {
    let named = app.previews.names.as_ref().and_then(|names| {
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = hosts.next().filter(|_| hosts.next().is_none())?.to_str().ok()?;
        Some((names, names.of_authority(host)?))
    });
    let Some((names, named)) = named else { return Err(request) };
    let request_id = RequestId::random();
    let method = request.method().clone();
    // The path alone, as everywhere.
    let path = request.uri().path();
    let span = tracing::info_span!("preview", %request_id, preview = %named.preview, %method, path);
    let work = async {
        // Of the headers no more is kept: a copy of them all would cost as much as reading them.
        let form = Form::wanted(request.headers());
        let side = Side::of(names, &named, &method, request.headers(), Asked::Answer);
        let response = match serve(app, names, &named, request, &request_id).await {
            Ok(response) => response,
            Err(trouble) => {
                app.previews.proxy.failed(trouble);
                let mut response = trouble.answer(form, request_id, app.origin.as_str());
                // A page of another preview may read why.
                if let Side::Sibling(origin) = side {
                    cors::allow(response.headers_mut(), &origin);
                }
                response
            }
        };
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    };
    Ok(work.instrument(span).await)
}

async fn serve(
    app: &SharedApp,
    names: &Names,
    named: &Named,
    request: Request,
    request_id: &RequestId,
) -> Result<Response, Trouble> {
    let (parts, body) = request.into_parts();
    let authority = names.authority(named);
    let asked = check(&parts, &authority).map_err(Trouble::Unsound)?;
    let (preview, grant) = access(app, named, &parts.headers).await?;
    let framing = is_framing(&parts.method, &parts.headers);
    let shown = if framing { Shown::Frame } else { Shown::Window };
    if parts.uri.path() == enter::ENTER_PATH {
        return Box::pin(enter::enter(app, names, named, &parts.headers, &parts.uri, shown)).await;
    }
    let side = Side::of(names, named, &parts.method, &parts.headers, asked);
    if let Side::Sibling(origin) = &side
        && cors::is_preflight(&parts.method, &parts.headers)
    {
        return Ok(cors::agree(&parts.headers, origin));
    }
    let grant = grant.filter(|_| side.may_use_cookie());
    if asked == Asked::WebSocket && (grant.is_some() || preview.visibility == Visibility::Public) {
        count(app, &parts, grant.as_ref())?;
    }
    if preview.visibility == Visibility::Private && grant.is_none() {
        let navigates = is_navigation(&parts.method, &parts.headers) || framing && side == Side::Console;
        return if asked == Asked::Answer && navigates {
            Ok(enter::begin(app, named, &parts.headers, &parts.uri, shown))
        } else {
            Err(Trouble::Private)
        };
    }
    // A right that is not needed ends nothing when it ends.
    let viewer = match (preview.visibility, grant) {
        (Visibility::Private, Some(granted)) => Viewer::Granted(granted.grant),
        _ => Viewer::Anybody,
    };
    let request = Request::from_parts(parts, body);
    let origin = names.origin_of(&authority);
    let passing = Passing {
        app,
        preview: &preview,
        authority: &authority,
        origin: &origin,
        scheme: names.scheme(),
        request_id,
    };
    let mut response = passing.pass(asked, request, viewer).await?;
    if let Side::Sibling(origin) = &side {
        cors::allow(response.headers_mut(), origin);
    }
    Ok(response)
}

/// Counts a WebSocket that may be opened, by address and, where it is known, by account.
fn count(app: &App, parts: &Parts, granted: Option<&Granted>) -> Result<(), Trouble> {
    let address = parts.extensions.get::<Peer>().map(|peer| Who::from(peer.0));
    let account = granted.and_then(|granted| granted.user.clone()).map(Who::User);
    for who in [address, account].into_iter().flatten() {
        app.limits.count(Limited::PreviewSocket, who).map_err(|error| Trouble::TooMany(error.seconds()))?;
    }
    Ok(())
}

/// The preview that a host names, and the right that a cookie gives. What is not of the workspace is not there.
async fn access(app: &App, named: &Named, headers: &HeaderMap) -> Result<Access, Trouble> {
    let cookie = |shown| CookieOf::Preview(shown).read(headers, &app.origin);
    let (window, frame) = (cookie(Shown::Window), cookie(Shown::Frame));
    let one = window.as_ref().or(frame.as_ref());
    let mut found = asked(app, named, one.map(|token| Grant::of_token(token))).await?;
    // Where the console is of the same site, its frames have both.
    if let (None, Some(_), Some(frame)) = (&found.1, &window, &frame) {
        found = asked(app, named, Some(Grant::of_token(frame))).await?;
    }
    Ok(found)
}

async fn asked(app: &App, named: &Named, grant: Option<Grant>) -> Result<Access, Trouble> {
    let found = app.previews.memory.access(&app.store, &named.preview, grant).await;
    let found = found.map_err(|error: StoreError| {
        tracing::error!(error = %berth_daemon::exit::chain(&error), "store failed");
        Trouble::Internal
    })?;
    found.filter(|(preview, _)| preview.workspace == named.workspace).ok_or(Trouble::Unknown)
}

struct Passing<'a> {
    app: &'a SharedApp,
    preview: &'a Preview,
    authority: &'a str,
    origin: &'a str,
    scheme: &'static str,
    request_id: &'a RequestId,
}

impl Passing<'_> {
    /// Passes a request on, and remembers it for whoever looks.
    async fn pass(&self, asked: Asked, request: Request, viewer: Viewer) -> Result<Response, Trouble> {
        let (method, uri, begun) = (request.method().clone(), request.uri().clone(), Instant::now());
        let outcome = self.exchange(asked, request, viewer).await;
        let status = outcome.as_ref().map_or_else(Trouble::status, Response::status);
        self.app.previews.recent.add(&self.preview.id, &method, &uri, status, begun);
        outcome
    }

    async fn exchange(&self, asked: Asked, request: Request, viewer: Viewer) -> Result<Response, Trouble> {
        let Self { app, preview, authority, origin, scheme, request_id } = *self;
        let handle = app.boxes.of(&preview.workspace).ok_or(Trouble::Offline)?;
        let cancel = app.previews.viewers.enter((preview.id.clone(), viewer), handle.retirement());
        let hold = app.previews.proxy.enter(&preview.id, cancel)?;
        let passage = Passage {
            mode: preview.mode,
            port: preview.port,
            authority,
            origin,
            scheme,
            peer: peer(&request),
        };
        let target = Target { handle, passage, request_id };
        app.previews.proxy.pass(&target, asked, request, hold).await
    }
}

/// Answers a program that is signed in at the console with what a preview says at `path`, from the console's own
/// origin: nothing of the answer may act there.
///
/// # Errors
/// [`Trouble`].
pub async fn bytes(
    app: &SharedApp,
    preview: &Preview,
    browser: BrowserSession,
    mut request: Request,
    prefix: &str,
    request_id: &RequestId,
) -> Result<Response, Trouble> {
    let names = app.previews.names.as_ref().ok_or(Trouble::Unknown)?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let path = path.strip_prefix(prefix).filter(|path| path.starts_with('/')).unwrap_or("/").to_owned();
    *request.uri_mut() = Uri::try_from(path).map_err(|_| Trouble::Unsound("the path is not one"))?;
    // It says who calls the gateway, if anything.
    request.headers_mut().remove(AUTHORIZATION);
    let named = Named { preview: preview.id.clone(), workspace: preview.workspace.clone() };
    let authority = names.authority(&named);
    let origin = names.origin_of(&authority);
    let passing =
        Passing { app, preview, authority: &authority, origin: &origin, scheme: names.scheme(), request_id };
    let mut response = passing.pass(Asked::Answer, request, Viewer::SignedIn(browser)).await?;
    let headers = response.headers_mut();
    headers.remove(SET_COOKIE);
    headers.remove("clear-site-data");
    headers.remove("service-worker-allowed");
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let here = headers.get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| {
        let same_host = to.starts_with('/') && !to.starts_with("//");
        HeaderValue::try_from(format!("{prefix}{to}")).ok().filter(|_| same_host)
    });
    if let Some(here) = here {
        headers.insert(LOCATION, here);
    }
    Ok(response)
}

fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.0)
}
