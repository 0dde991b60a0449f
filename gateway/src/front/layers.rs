//! What surrounds every request of the front.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use berth_protocol::ids::RequestId;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};
use tracing::Instrument;

use super::listener::Peer;
use crate::api::{ApiError, PREFIX};
use crate::app::{App, SharedApp};
use crate::caller::{Caller, Source};

/// Header that names the request, for people who report a problem.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Scripts only from our own files. Styles may be inline because the terminal draws its colours with them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

/// Gives each request an id, which its log lines, its answer and the box's log lines carry, and writes the
/// body of errors, which name it.
pub async fn name_request(State(app): State<SharedApp>, mut request: Request, next: Next) -> Response {
    let request_id = RequestId::random();
    // The path alone: a query may hold a code.
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", %request_id, %method, path);
    let reads = matches!(method, Method::GET | Method::HEAD);
    request.extensions_mut().insert(request_id.clone());
    let begun = Instant::now();
    let source = request.extensions().get::<Peer>().map_or(Source::Gateway, |peer| Source::Address(peer.0));
    let caller = Caller { source, request_id: Some(request_id.clone()) };
    let mut response = caller.run(next.run(request)).instrument(span.clone()).await;
    app.metrics.requests.inc();
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let body = error.body(request_id.clone());
        *response.body_mut() = Body::from(serde_json::to_vec(&body).unwrap_or_default());
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
    }
    let status = response.status();
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), millis, "answered");
        } else if status.is_client_error() || !reads {
            tracing::info!(status = status.as_u16(), millis, "answered");
        } else {
            // Pages and programs read again and again.
            tracing::debug!(status = status.as_u16(), millis, "answered");
        }
    });
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Refuses names that lead here but are not ours: a rebound DNS name, or a typing slip such as `localhost`
/// for `127.0.0.1`, where no cookie would ever arrive.
pub async fn only_our_host(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    if app.origin.is_host(request.headers()) {
        return next.run(request).await;
    }
    let message = format!("this gateway is reached at {}", app.origin.as_str());
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", message).into_response()
}

/// Headers that keep the console's pages to themselves.
pub async fn security_headers(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    let api = request.uri().path().starts_with(PREFIX);
    let mut response = next.run(request).await;
    let html =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    headers.insert(opener, HeaderValue::from_static("same-origin"));
    let resource = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(resource, HeaderValue::from_static("same-origin"));
    // Browsers apply it to every port of the host, so a loopback host keeps its freedom.
    if app.origin.is_secure() && !app.origin.is_loopback() {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    // What a preview says through the API is html too, and has a stricter policy already.
    if html && !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.extend(policy(&app).map(|policy| (CONTENT_SECURITY_POLICY, policy)));
    }
    if api && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// What a page of ours may load: in frames previews alone, which come there by way of the console itself.
fn policy(app: &App) -> Option<HeaderValue> {
    match &app.previews.names {
        Some(names) => HeaderValue::from_str(&format!("{POLICY}; frame-src 'self' {}", names.source())).ok(),
        None => Some(HeaderValue::from_static(POLICY)),
    }
}
