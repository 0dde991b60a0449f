//! Files for a session's directory: passed on as they come, and on the audit record.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use berth_protocol::control::files::{
    FileName, KIND_DIRECTORY_GONE, KIND_DIRECTORY_NOT_WRITABLE, KIND_FILE_NAMES_TAKEN, KIND_FILE_TOO_LARGE,
    KIND_LENGTH_REQUIRED, KIND_NO_SPACE, KIND_UPLOAD_BUSY, KIND_UPLOAD_INCOMPLETE, MAX_UPLOAD,
    UPLOAD_STALL_SECONDS, Uploaded,
};
use berth_protocol::ids::RequestId;
use futures_util::StreamExt;
use http::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::Instrument;

use super::ApiError;
use super::commands::{box_of, refused};
use super::exec::shortened;
use super::policy::{Allowed, InSession};
use super::views::Error;
use super::views::control::{UploadQuery, UploadedFile};
use crate::app::{App, SharedApp};
use crate::boxes::{Broken, DoorError, Upload};
use crate::store::{AuditNote, CurrentUser, Session};

/// How long the client's next bytes are waited for.
const STALL: Duration = Duration::from_secs(UPLOAD_STALL_SECONDS);

/// Bytes that are read and thrown away for an answer's sake. A client that still sends when its connection is
/// closed may never see why.
const SWALLOWED: u64 = 2 * MAX_UPLOAD;

/// How long a client that is about to be answered may pause while it sends.
const LINGER: Duration = Duration::from_secs(2);

/// Writes the request's body to a new file in the session's directory. Nothing that is there is replaced: a name
/// that is taken gets a number. What does not come whole leaves nothing.
#[utoipa::path(
    post, path = "/api/v1/sessions/{session}/files", params(("session" = String, Path), UploadQuery),
    request_body(content_type = "application/octet-stream", description = "The file: at most 25 MiB."),
    responses(
        (status = 201, body = UploadedFile), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 409, body = Error),
        (status = 411, body = Error), (status = 413, body = Error), (status = 422, body = Error),
        (status = 429, body = Error), (status = 501, body = Error), (status = 502, body = Error),
        (status = 503, body = Error), (status = 507, body = Error)
    )
)]
pub async fn store(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(allowed): Extension<Allowed>,
    Extension(request_id): Extension<RequestId>,
    InSession(session): InSession,
    query: Result<Query<UploadQuery>, QueryRejection>,
    body: Body,
) -> Result<(StatusCode, Json<UploadedFile>), ApiError> {
    let length = body.size_hint().exact();
    let source = Source { data: body.into_data_stream() };
    let (name, length) = match asked(query, length) {
        Ok(asked) => asked,
        Err(error) => {
            source.swallow().await;
            return Err(error);
        }
    };
    let deed = Deed { session, name, length, user, allowed, request_id };
    // A task, because a client that goes takes the answer with it, and the record must be written.
    let done = app.tasks.spawn(deed.run(app.clone(), source).in_current_span()).await;
    let file = done.map_err(|_| internal())??;
    Ok((StatusCode::CREATED, Json(file.into())))
}

/// What is to be written, if it can be.
fn asked(
    query: Result<Query<UploadQuery>, QueryRejection>,
    length: Option<u64>,
) -> Result<(FileName, u64), ApiError> {
    let Query(UploadQuery { name }) = query.map_err(|rejection| ApiError::malformed_query(&rejection))?;
    let name = FileName::parse(&name).map_err(|error| {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_file_name", error.to_string())
    })?;
    let length = length.ok_or_else(|| {
        let message = "the request does not say how long the file is (Content-Length)";
        ApiError::new(StatusCode::LENGTH_REQUIRED, KIND_LENGTH_REQUIRED, message)
    })?;
    if length > MAX_UPLOAD { Err(too_large()) } else { Ok((name, length)) }
}

/// An upload that is to be made.
struct Deed {
    session: Session,
    name: FileName,
    length: u64,
    user: CurrentUser,
    allowed: Allowed,
    request_id: RequestId,
}

impl Deed {
    async fn run(self, app: SharedApp, source: Source) -> Result<Uploaded, ApiError> {
        // On the record before the box hears of it: what was written is there whatever happens next.
        app.store.note(self.note("upload_started", Value::Null)).await?;
        let outcome = tokio::select! {
            // Cancel-safe, all: what is dropped breaks the upload off, and the box writes nothing.
            outcome = self.pass_on(&app, source) => outcome,
            () = self.allowed.ended() => Err(ApiError::right_ended()),
            () = app.stopping.cancelled() => Err(stopping()),
        };
        let said = match &outcome {
            Ok(file) => json!({ "path": shortened(&file.path) }),
            Err(error) => json!({ "refused": error.kind() }),
        };
        app.store.note(self.note("file_uploaded", said)).await?;
        outcome
    }

    async fn pass_on(&self, app: &App, source: Source) -> Result<Uploaded, ApiError> {
        let handle = match box_of(app, &self.session.workspace) {
            Ok(handle) => handle,
            Err(error) => {
                source.swallow().await;
                return Err(error);
            }
        };
        // One piece waits while the one before is on its way; when the box is slow, the client waits.
        let (sender, pieces) = mpsc::channel(1);
        let upload = Upload {
            session: self.session.id.clone(),
            name: self.name.clone(),
            length: self.length,
            pieces,
            request_id: self.request_id.clone(),
        };
        let (outcome, ()) = tokio::join!(handle.upload(upload), source.pump(sender));
        outcome.map_err(|error| not_written(&error))
    }

    fn note(&self, action: &'static str, outcome: Value) -> AuditNote {
        let mut detail =
            json!({ "session": self.session.id.as_str(), "name": self.name.as_str(), "bytes": self.length });
        if let (Some(detail), Value::Object(outcome)) = (detail.as_object_mut(), outcome) {
            detail.extend(outcome);
        }
        AuditNote {
            workspace: self.session.workspace.clone(),
            user: self.user.id.clone(),
            request_id: self.request_id.clone(),
            action,
            detail,
        }
    }
}

/// A file as it comes from the client.
struct Source {
    data: BodyDataStream,
}

impl Source {
    /// Passes pieces on for as long as they are wanted, and reads the rest for the answer's sake.
    async fn pump(mut self, pieces: mpsc::Sender<Result<Bytes, Broken>>) {
        loop {
            let piece = tokio::select! {
                // Cancel-safe, both: a piece that was not taken is the next one.
                piece = timeout(STALL, self.data.next()) => match piece {
                    Ok(Some(Ok(piece))) => Ok(piece),
                    Ok(Some(Err(_))) => Err(Broken::Gone),
                    Ok(None) => return,
                    Err(_) => Err(Broken::Stalled),
                },
                // The box has answered already, or is gone.
                () = pieces.closed() => return self.swallow().await,
            };
            let broken = piece.is_err();
            // A failure means what closing means.
            let _ = pieces.send(piece).await;
            if broken {
                return;
            }
        }
    }

    /// Reads what still comes.
    async fn swallow(mut self) {
        let mut left = SWALLOWED;
        while let Ok(Some(Ok(piece))) = timeout(LINGER, self.data.next()).await {
            let Some(rest) = left.checked_sub(piece.len() as u64) else { return };
            left = rest;
        }
    }
}

/// Why there is no file, in the API's words.
fn not_written(error: &DoorError) -> ApiError {
    if let Some(broken) = Broken::of(error) {
        tracing::info!(%broken, "an upload broke off");
        return incomplete();
    }
    let DoorError::Refused { kind, .. } = error else { return refused(error) };
    let conflict = |kind, message: &str| ApiError::new(StatusCode::CONFLICT, kind, message);
    match kind.as_str() {
        KIND_UPLOAD_INCOMPLETE => incomplete(),
        KIND_FILE_TOO_LARGE => too_large(),
        KIND_DIRECTORY_GONE => conflict(KIND_DIRECTORY_GONE, "the session's directory is not there any more"),
        KIND_DIRECTORY_NOT_WRITABLE => {
            conflict(KIND_DIRECTORY_NOT_WRITABLE, "the session's directory can't be written to")
        }
        KIND_FILE_NAMES_TAKEN => conflict(
            KIND_FILE_NAMES_TAKEN,
            "the name is taken, with every number that is tried: choose another",
        ),
        KIND_NO_SPACE => ApiError::new(
            StatusCode::INSUFFICIENT_STORAGE,
            KIND_NO_SPACE,
            "there is no room for the file on the box: delete something there first",
        ),
        KIND_UPLOAD_BUSY => ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            KIND_UPLOAD_BUSY,
            "as many uploads as may go on at a time do; try again when one has ended",
        ),
        _ => refused(error),
    }
}

fn too_large() -> ApiError {
    let message = format!("a file may have {} MiB at most", MAX_UPLOAD / (1024 * 1024));
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, KIND_FILE_TOO_LARGE, message)
}

/// Not 408, upon which browsers may send the file again by themselves.
fn incomplete() -> ApiError {
    let message = "the file did not come whole, and nothing of it was written; try again";
    ApiError::new(StatusCode::BAD_REQUEST, KIND_UPLOAD_INCOMPLETE, message)
}

fn stopping() -> ApiError {
    let message = "the gateway is about to stop, and nothing of the file was written; try again";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "gateway_stopping", message)
}

fn internal() -> ApiError {
    let message = "the gateway failed; its log says why under the request id";
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
}
