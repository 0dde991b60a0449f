//! Bounds on what callers may ask of a route, whatever the route: how often, how much, and how slowly.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Extension};
use http::Method;
use http::header::CONTENT_LENGTH;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::ApiError;
use super::policy::{Policy, Watching};
use crate::app::SharedApp;
use crate::front::Peer;
use crate::limits::{Limited, Who};
use crate::store::{CurrentUser, Holder};

/// The largest body of a request by which somebody is let in, bytes.
pub const MAX_STRANGERS_BODY: usize = 32 * 1024;

/// How long a request's body may take to arrive, unless the route has a rule of its own.
pub const BODY: Duration = Duration::from_secs(20);

/// What a route's callers may try only so often, unless the table says otherwise. Every route without an identity that changes something is one at which
/// a secret can be guessed, so a new one is limited, too.
pub fn limited(policy: Policy, method: &Method) -> Option<Limited> {
    match policy {
        Policy::Public if method != Method::GET => Some(Limited::SignIn),
        Policy::Ticket => Some(Limited::Terminal),
        Policy::Watch if method != Method::GET => Some(Limited::Terminal),
        _ => None,
    }
}

/// Behind a limited route's policy: counts the attempt, by address and, where it is known, by account.
pub async fn count(
    State(app): State<SharedApp>,
    Extension(what): Extension<Limited>,
    request: Request,
    next: Next,
) -> Response {
    let known = request.extensions();
    let address = known.get::<Peer>().map(|peer| Who::from(peer.0));
    let watching = known.get::<Watching>().and_then(|watching| match &watching.holder {
        Holder::User(user, _) => Some(user.clone()),
        Holder::Guest(_) => None,
    });
    let account = watching.or_else(|| Some(known.get::<CurrentUser>()?.id.clone())).map(Who::User);
    for who in [address, account].into_iter().flatten() {
        if let Err(error) = app.limits.count(what, who) {
            return ApiError::from(error).into_response();
        }
    }
    next.run(request).await
}

/// Before a route without an identity: refuses what says itself that it is too large, unread.
pub async fn brief(request: Request, next: Next) -> Response {
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_STRANGERS_BODY) {
        return ApiError::too_large().into_response();
    }
    next.run(request).await
}

/// Bounds the time that a request's body takes.
pub async fn hurry(request: Request, next: Next) -> Response {
    let limited = |body: Body| {
        let until = || Box::pin(tokio::time::sleep(BODY));
        if body.is_end_stream() { body } else { Body::new(Hurried { body, until: until() }) }
    };
    next.run(request.map(limited)).await
}

/// The body took too long.
#[derive(Debug, thiserror::Error)]
#[error("the request's body took too long to arrive")]
struct TooSlow;

struct Hurried {
    body: Body,
    until: Pin<Box<Sleep>>,
}

impl HttpBody for Hurried {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        self.until.as_mut().poll(context).map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
