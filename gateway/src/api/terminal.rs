//! Terminals: a ticket, then a WebSocket.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Request, State};
use axum::response::IntoResponse;
use axum::response::Response;
use axum::{Extension, Json};
use berth_protocol::door::Role;
use berth_protocol::ids::{ClientId, RequestId, SessionId};
use http::header::SEC_WEBSOCKET_VERSION;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use tracing::Instrument;

use super::ApiError;
use super::policy::{InSession, Watching};
use super::views::Error;
use super::views::access::{NewTicket, Ticket};
use crate::app::SharedApp;
use crate::auth::{device, new_secret};
use crate::caller::Caller;
use crate::relay::{HandshakeError, check_upgrade};
use crate::store::TicketFor;
use crate::terminals::{Attachment, BrowserUpgrade, serve};

/// How long a ticket works.
const TICKET_LIFETIME: Duration = Duration::from_secs(30);

/// Gives a right to attach to the session's terminal, once, soon. A body is not needed: without one the terminal
/// is a new client's, with every right that the caller has.
#[utoipa::path(
    post, path = "/api/v1/sessions/{session}/ticket", params(("session" = String, Path)),
    request_body = Option<NewTicket>,
    responses(
        (status = 200, body = Ticket), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 503, body = Error)
    )
)]
pub async fn ticket(
    State(app): State<SharedApp>,
    Extension(watching): Extension<Watching>,
    InSession(session): InSession,
    headers: HeaderMap,
    body: Result<Option<Json<NewTicket>>, JsonRejection>,
) -> Result<Json<Ticket>, ApiError> {
    let body = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let NewTicket { client, watch } = body.map(|Json(body)| body).unwrap_or_default();
    // Here a page can read the reason; a WebSocket that is refused has none.
    let handle = app.boxes.of(&session.workspace).ok_or_else(ApiError::box_offline)?;
    if !handle.answers().await {
        return Err(ApiError::box_offline());
    }
    let ticket = new_secret();
    let what = TicketFor {
        session: session.id,
        holder: watching.holder,
        name: watching.name,
        device: device(&headers),
        role: if watch { Role::Viewer } else { watching.role },
        client: client.unwrap_or_else(ClientId::random),
    };
    let role = what.role;
    app.store.put_ticket(&ticket, what, TICKET_LIFETIME).await?;
    Ok(Json(Ticket { ticket, expires_in_seconds: TICKET_LIFETIME.as_secs(), role: role.into() }))
}

/// The terminal: a WebSocket with the subprotocols `berth.v1` and `ticket.<ticket>`, or `tty` alone, with the
/// ticket as `AuthToken` of the first message.
#[utoipa::path(
    get, path = "/api/v1/sessions/{session}/terminal", params(("session" = String, Path)),
    responses(
        (status = 101), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 426, body = Error),
        (status = 503, body = Error)
    )
)]
pub async fn attach(
    State(app): State<SharedApp>,
    Extension(request_id): Extension<RequestId>,
    session: Result<Path<SessionId>, axum::extract::rejection::PathRejection>,
    mut request: Request,
) -> Result<Response, ApiError> {
    let Path(session) = session.map_err(|_| ApiError::session_not_found())?;
    let upgrade = match check_upgrade(request.headers()) {
        Ok(upgrade) => upgrade,
        Err(error) => return Ok(refused(error)),
    };
    let on_upgrade = request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or_else(|| ApiError::new(StatusCode::BAD_REQUEST, "not_a_websocket", "not an upgrade"))?;
    let attachment = match &upgrade.ticket {
        Some(ticket) => {
            let opened = Attachment::open(&app, ticket, &session, upgrade.mode, &request_id);
            Some(Box::new(Box::pin(opened).await?))
        }
        None => None,
    };
    let browser = BrowserUpgrade { on_upgrade, session, request_id };
    let span = tracing::Span::current();
    app.tasks.spawn(Caller::keep(serve(app.clone(), browser, attachment)).instrument(span));
    Ok(upgrade.response())
}

fn refused(error: HandshakeError) -> Response {
    let status = match error {
        HandshakeError::Version => StatusCode::UPGRADE_REQUIRED,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response = ApiError::new(status, "not_a_websocket", error.to_string()).into_response();
    if status == StatusCode::UPGRADE_REQUIRED {
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}
