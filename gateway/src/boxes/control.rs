//! Commands through a door: screen, input, exec.

use std::time::Duration;

use berth_protocol::attention::{Answer, answer_path};
use berth_protocol::backup::{BACKUP_PATH, MAX_LOOK_ANSWER};
use berth_protocol::control::{
    EXEC_PATH, Exec, ExecExit, ExecLine, Input, MAX_EXEC_OUTPUT, MAX_SCREEN_BYTES, PaneAddress, input_path,
    screen_path,
};
use berth_protocol::door::HEADER_REQUEST_ID;
use berth_protocol::ids::{RequestId, SessionId};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, HOST};
use hyper::{Method, Request, Response};
use serde::Serialize;

use super::door::{DoorError, read, refusal, whole};
use super::exchange::{DoorBody, DoorConnection, Exchange};
use super::lines::Lines;

/// How long a box may take to begin an answer. It starts with the first byte of the request, which may be large.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a box may take to answer what it has to ask the repository for.
const BACKUP_TIMEOUT: Duration = Duration::from_secs(150);

/// A command, as often as it has to be asked.
#[derive(Debug)]
pub(super) struct Command {
    method: Method,
    path: String,
    request_id: RequestId,
    body: Bytes,
}

impl Command {
    pub(super) fn screen(session: &SessionId, address: PaneAddress, request_id: &RequestId) -> Self {
        let path = screen_path(session, address);
        Self { method: Method::GET, path, request_id: request_id.clone(), body: Bytes::new() }
    }

    pub(super) fn input(session: &SessionId, input: &Input, request_id: &RequestId) -> Self {
        Self::post(input_path(session), input, request_id)
    }

    pub(super) fn answer(session: &SessionId, answer: &Answer, request_id: &RequestId) -> Self {
        Self::post(answer_path(session), answer, request_id)
    }

    pub(super) fn exec(exec: &Exec, request_id: &RequestId) -> Self {
        Self::post(EXEC_PATH.to_owned(), exec, request_id)
    }

    pub(super) fn backup_read(what: &str, request_id: &RequestId) -> Self {
        let path = format!("{BACKUP_PATH}{what}");
        Self { method: Method::GET, path, request_id: request_id.clone(), body: Bytes::new() }
    }

    pub(super) fn backup(what: &str, body: &impl Serialize, request_id: &RequestId) -> Self {
        Self::post(format!("{BACKUP_PATH}{what}"), body, request_id)
    }

    fn post(path: String, body: &impl Serialize, request_id: &RequestId) -> Self {
        // Plain data: it always serialises.
        let body = serde_json::to_vec(body).unwrap_or_default().into();
        Self { method: Method::POST, path, request_id: request_id.clone(), body }
    }

    fn request(&self) -> http::Result<Request<DoorBody>> {
        Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header(HOST, "box")
            .header(HEADER_REQUEST_ID, self.request_id.as_str())
            .body(whole(self.body.clone()))
    }
}

/// What a door has answered, and the connection if it can be used again.
pub(super) type Asked = (Result<Bytes, DoorError>, Option<DoorConnection>);

/// Asks a command whose answer comes as a whole.
pub(super) async fn ask(door: DoorConnection, command: &Command) -> Asked {
    ask_within(door, command, ANSWER_TIMEOUT, MAX_SCREEN_BYTES).await
}

/// Asks something of backups, whose answer comes as a whole and may take as long as the repository does.
pub(super) async fn ask_backup(door: DoorConnection, command: &Command) -> Asked {
    ask_within(door, command, BACKUP_TIMEOUT, MAX_LOOK_ANSWER).await
}

async fn ask_within(door: DoorConnection, command: &Command, limit: Duration, most: usize) -> Asked {
    let mut exchange = match door.begin().await {
        Ok(exchange) => exchange,
        Err(error) => return (Err(error.into()), None),
    };
    let answer = match accepted(&mut exchange, command, limit).await {
        Ok(response) => read(response, most).await,
        Err(error) => Err(error),
    };
    let whole = matches!(answer, Ok(_) | Err(DoorError::Refused { .. } | DoorError::SessionUnknown));
    let connection = if whole { exchange.into_connection().await } else { None };
    (answer, connection)
}

/// Asks for a file of a backup, or an archive of all.
pub(super) async fn backup_file(door: DoorConnection, command: &Command) -> Result<BackupFile, DoorError> {
    let mut exchange = door.begin().await?;
    let response = accepted(&mut exchange, command, BACKUP_TIMEOUT).await?;
    let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    Ok(BackupFile { length, body: response.into_body(), _exchange: exchange })
}

/// A file of a backup, or an archive, on its way. Dropped, nobody reads it any more.
#[derive(Debug)]
pub struct BackupFile {
    /// How long it is, if that is known. One that ends sooner is not whole; one whose length is not known breaks off then.
    pub length: Option<u64>,
    body: Incoming,
    _exchange: Exchange,
}

impl BackupFile {
    /// The next piece; `None` at its end.
    ///
    /// # Errors
    /// [`DoorError`] when it broke off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DoorError> {
        loop {
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(None),
            }
        }
    }
}

/// Starts a command whose answer goes on.
pub(super) async fn exec(door: DoorConnection, command: &Command) -> Result<ExecOutput, DoorError> {
    let mut exchange = door.begin().await?;
    let body = accepted(&mut exchange, command, ANSWER_TIMEOUT).await?.into_body();
    Ok(ExecOutput { body, lines: Lines::default(), left: MAX_EXEC_OUTPUT, _exchange: exchange })
}

async fn accepted(
    exchange: &mut Exchange,
    command: &Command,
    limit: Duration,
) -> Result<Response<Incoming>, DoorError> {
    let response = exchange.send(command.request(), limit).await?;
    if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
}

/// What a command says. Dropping it ends the command: the connection goes, and the box notices.
#[derive(Debug)]
pub struct ExecOutput {
    body: Incoming,
    lines: Lines,
    left: usize,
    _exchange: Exchange,
}

impl ExecOutput {
    /// The next line. After an [`ExecLine::Exit`] there is none.
    pub async fn next(&mut self) -> ExecLine {
        let lost = ExecLine::Exit { exit: ExecExit::LOST };
        loop {
            match self.lines.next() {
                Ok(Some(line)) => match serde_json::from_slice(&line) {
                    Ok(line) => return self.bounded(line),
                    Err(error) => {
                        tracing::warn!(%error, "a box said something that is no line of an exec's answer");
                        return lost;
                    }
                },
                Ok(None) => {}
                Err(_) => return lost,
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.lines.push(data);
                    }
                }
                Some(Err(_)) | None => return lost,
            }
        }
    }

    /// A box keeps to the bound by itself; one that does not is not believed.
    fn bounded(&mut self, line: ExecLine) -> ExecLine {
        if let ExecLine::Output { data, .. } = &line {
            let Some(left) = self.left.checked_sub(data.len()) else {
                return ExecLine::Exit { exit: ExecExit::TRUNCATED };
            };
            self.left = left;
        }
        line
    }
}
