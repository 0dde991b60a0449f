//! Commands on a box, without a terminal: streamed, bounded, and on the audit record.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use berth_protocol::control::{Exec, ExecExit, ExecLine, NDJSON};
use berth_protocol::ids::RequestId;
use futures_util::Stream;
use http::header::CONTENT_TYPE;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::ApiError;
use super::commands::{box_of, invalid, refused};
use super::policy::{Allowed, InWorkspace};
use super::views::Error;
use super::views::control::{ExecLine as Line, NewExec};
use crate::app::SharedApp;
use crate::boxes::ExecOutput;
use crate::caller::Caller;
use crate::store::{AuditNote, CurrentUser};

/// Lines that wait for the client; when it is slow, the command waits.
const LINES_WAITING: usize = 4;

/// How much longer than the command may run its end is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Words of a command on the record ...
const RECORDED_WORDS: usize = 32;

/// ... and characters of each.
const RECORDED_CHARS: usize = 256;

/// Runs a command as the user of the box's terminals. The answer is a stream of lines, each a JSON object: pieces
/// of output as they come, and last how it ended. The command ends when the client goes.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/exec", params(("workspace" = String, Path)),
    request_body = NewExec,
    responses(
        (status = 200, content_type = "application/x-ndjson", body = Line), (status = 400, body = Error),
        (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error),
        (status = 413, body = Error), (status = 422, body = Error), (status = 429, body = Error),
        (status = 501, body = Error), (status = 502, body = Error), (status = 503, body = Error)
    )
)]
pub async fn run(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(allowed): Extension<Allowed>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    body: Result<Json<NewExec>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(body) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let exec = Exec::from(body);
    exec.check().map_err(|broken| invalid("invalid_exec", &broken))?;
    let handle = box_of(&app, &workspace.id)?;

    let note = |action, detail| AuditNote {
        workspace: workspace.id.clone(),
        user: user.id.clone(),
        request_id: request_id.clone(),
        action,
        detail,
    };
    // On the record before the box hears of it: what ran is there whatever happens next.
    app.store.note(note("exec_started", started(&exec))).await?;
    let output = match handle.exec(&exec, &request_id).await {
        Ok(output) => output,
        Err(error) => {
            let error = refused(&error);
            app.store.note(note("exec_finished", json!({ "refused": error.kind() }))).await?;
            return Err(error);
        }
    };
    let limit = Duration::from_secs(exec.timeout_seconds.into()) + PATIENCE;
    let retirement = handle.retirement().clone();
    let running = Running { output, allowed, limit, retirement, begun: Instant::now(), bytes: 0 };
    let (sender, receiver) = mpsc::channel(LINES_WAITING);
    // A task, because a client that goes takes the answer's body with it, and the record must be written.
    let running = running.run(app.clone(), sender, note("exec_finished", Value::Null));
    app.tasks.spawn(Caller::keep(running).in_current_span());
    Ok(([(CONTENT_TYPE, NDJSON)], Body::from_stream(stream(receiver))).into_response())
}

/// A command that runs.
struct Running {
    output: ExecOutput,
    allowed: Allowed,
    limit: Duration,
    /// Cancelled when the box is the workspace's no more, or the gateway stops.
    retirement: CancellationToken,
    begun: Instant,
    bytes: usize,
}

/// What became of a command, as far as the gateway knows.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// It has ended, or nobody knows.
    Exit(ExecExit),
    /// The client has gone.
    Disconnected,
    /// The client was signed out, or may not do that any more.
    Revoked,
}

impl Running {
    async fn run(mut self, app: SharedApp, client: mpsc::Sender<Bytes>, note: AuditNote) {
        let (limit, allowed, retirement) = (self.limit, self.allowed.clone(), self.retirement.clone());
        let outcome = tokio::select! {
            // Cancel-safe, all: after any of them nothing more is read.
            biased;
            // First: the answer breaks off with it, too.
            () = allowed.ended() => Outcome::Revoked,
            outcome = self.forward(&client) => outcome,
            () = client.closed() => Outcome::Disconnected,
            () = retirement.cancelled() => Outcome::Exit(ExecExit::LOST),
            () = tokio::time::sleep(limit) => Outcome::Exit(ExecExit::LOST),
        };
        let Self { output, begun, bytes, .. } = self;
        // The command ends here, if it has not: its connection goes.
        drop(output);
        let detail = finished(outcome, bytes, begun.elapsed());
        tracing::info!(%detail, "exec has ended");
        if let Err(error) = app.store.note(AuditNote { detail, ..note }).await {
            tracing::error!(error = %berth_daemon::exit::chain(&error), "the end of an exec is not on the record");
        }
        let exit = if let Outcome::Exit(exit) = outcome { exit } else { ExecExit::LOST };
        // A failure means that the client has gone, which is fine.
        let _ = client.send(ExecLine::Exit { exit }.to_line().into()).await;
    }

    async fn forward(&mut self, client: &mpsc::Sender<Bytes>) -> Outcome {
        loop {
            let line = self.output.next().await;
            match &line {
                ExecLine::Exit { exit } => return Outcome::Exit(*exit),
                ExecLine::Output { data, .. } => self.bytes += data.len(),
            }
            if client.send(line.to_line().into()).await.is_err() {
                return Outcome::Disconnected;
            }
        }
    }
}

fn stream(receiver: mpsc::Receiver<Bytes>) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    futures_util::stream::unfold(receiver, async |mut receiver| {
        let line = receiver.recv().await?;
        Some((Ok(line), receiver))
    })
}

/// What the record says of a command: bounded, and without what may be secret, the values of variables and
/// what it reads.
fn started(exec: &Exec) -> Value {
    let argv: Vec<String> = exec.argv.iter().take(RECORDED_WORDS).map(|word| shortened(word)).collect();
    json!({
        "argv": argv,
        "words": exec.argv.len(),
        "cwd": exec.cwd.as_deref().map(shortened),
        "env": exec.env.keys().map(|name| shortened(name)).collect::<Vec<_>>(),
        "stdin_bytes": exec.stdin.as_ref().map(String::len),
        "timeout_seconds": exec.timeout_seconds,
    })
}

pub(super) fn shortened(word: &str) -> String {
    match word.char_indices().nth(RECORDED_CHARS) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_owned(),
    }
}

fn finished(outcome: Outcome, bytes: usize, took: Duration) -> Value {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Outcome::Exit(exit) => json!({ "exit": exit, "output_bytes": bytes, "millis": millis }),
        Outcome::Disconnected => json!({ "disconnected": true, "output_bytes": bytes, "millis": millis }),
        Outcome::Revoked => json!({ "revoked": true, "output_bytes": bytes, "millis": millis }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_bounded_and_keeps_secrets_out() {
        let mut argv = vec!["x".repeat(1000); 100];
        argv[1] = "ü".repeat(257);
        let exec = Exec {
            argv,
            cwd: Some("projects".into()),
            env: [("TOKEN".to_owned(), "hush".to_owned())].into(),
            stdin: Some("hush".into()),
            timeout_seconds: 60,
        };
        let detail = started(&exec);
        assert_eq!((detail["argv"].as_array().unwrap().len(), &detail["words"]), (32, &json!(100)));
        assert_eq!(detail["argv"][1], format!("{}…", "ü".repeat(256)));
        assert_eq!((&detail["env"], &detail["stdin_bytes"]), (&json!(["TOKEN"]), &json!(4)));
        assert!(!detail.to_string().contains("hush"));
    }

    #[test]
    fn the_record_says_how_it_ended() {
        let took = Duration::from_millis(5);
        let ended = finished(Outcome::Exit(ExecExit::ended(Some(3), None)), 7, took);
        assert_eq!(ended, json!({ "exit": { "code": 3 }, "output_bytes": 7, "millis": 5 }));
        assert_eq!(finished(Outcome::Disconnected, 0, took)["disconnected"], true);
        assert_eq!(finished(Outcome::Revoked, 0, took)["revoked"], true);
    }
}
