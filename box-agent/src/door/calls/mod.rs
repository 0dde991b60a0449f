//! Commands that want an answer: screen, input, answers to questions, exec, upload. They run as the user of the terminals and reach nothing
//! that a terminal would not.
//!
//! | module | what |
//! |---|---|
//! | [`backup`] | backups: how they are, and what is in them |
//! | [`once`] | a request that is made again does not act again |
//! | [`exec`] | runs a command and streams what it says |
//! | [`suspend`] | lets the volume go |
//! | [`upload`] | passes a file on to the worker that writes it |

pub mod backup;
pub mod exec;
pub mod once;
pub mod suspend;
pub mod upload;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::attention::{Answer, KIND_CHOICE_UNKNOWN, KIND_QUESTION_GONE, MAX_ANSWER_TEXT};
use berth_protocol::control::{
    Exec, Input, KIND_COMMAND_NOT_FOUND, KIND_COMMAND_NOT_STARTED, KIND_CWD_UNKNOWN, KIND_EXEC_BUSY,
    KIND_INVALID, KIND_PANE_UNKNOWN, KIND_REQUEST_REPEATED, KIND_SCREEN_TOO_LARGE, MAX_EXEC_BODY,
    MAX_EXEC_OUTPUT, MAX_INPUT_BODY, MAX_SCREEN_BYTES, PaneAddress, Screen,
};
use berth_protocol::door::{KIND_SESSION_UNKNOWN, KIND_TERMINAL_UNAVAILABLE};
use berth_protocol::ids::{RequestId, SessionId};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::Instrument;

use self::exec::Limits;
use self::once::{Once, Repeated};
use self::upload::Uploads;
use super::request::Refusal;
use crate::environment::variables;
use crate::host::account::Account;
use crate::host::command::Invocation;
use crate::host::group::{Group, Pipes};
use crate::host::runtime::RuntimeDir;
use crate::notify::answer::{AnswerError, Answers};
use crate::terminal::panes::PaneError;
use crate::terminal::tmux::Tmux;
use crate::worker::environment::VARIABLES_FILE;

/// Commands at the same time.
const MAX_COMMANDS: usize = 8;

/// How long a request's body may take.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// The body of an answer, at most: each byte of its text may be written as six.
const MAX_ANSWER_BODY: usize = 6 * MAX_ANSWER_TEXT + 4096;

/// Lines of output that wait for the gateway; a command that says more waits too.
const LINES_WAITING: usize = 4;

/// What the commands act on.
pub struct Calls {
    tmux: Tmux,
    surroundings: Arc<Surroundings>,
    /// Where commands are started: their directory is on the volume.
    disk: Handle,
    places: Arc<Semaphore>,
    inputs: Once<Result<(), Refusal>>,
    answers: Answers,
    commands: Once<()>,
    /// Files for sessions.
    pub uploads: Arc<Uploads>,
}

/// What commands are started in.
struct Surroundings {
    account: Account,
    env: Vec<(OsString, OsString)>,
    /// The file with the variables of the workspace.
    variables: PathBuf,
}

impl Calls {
    /// Commands on this tmux server, as the user and with the environment of terminals. `agent` is this program,
    /// which also writes files; `disk` is where what may wait for the volume is done.
    #[must_use]
    pub fn new(
        tmux: Tmux,
        runtime: &RuntimeDir,
        account: Account,
        env: Vec<(OsString, OsString)>,
        agent: PathBuf,
        disk: Handle,
        answers: Answers,
    ) -> Self {
        let variables = runtime.secrets().join(VARIABLES_FILE);
        let places = Arc::new(Semaphore::new(MAX_COMMANDS));
        let uploads = Arc::new(Uploads::new(tmux.clone(), account.clone(), agent));
        Self {
            tmux,
            surroundings: Arc::new(Surroundings { account, env, variables }),
            disk,
            places,
            inputs: Once::default(),
            answers,
            commands: Once::default(),
            uploads,
        }
    }

    /// What panes of a session show, as JSON.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn screen(&self, session: &SessionId, address: PaneAddress) -> Result<Vec<u8>, Refusal> {
        let panes = self.tmux.screen(session, address).await?;
        let json = serde_json::to_vec(&Screen { panes }).unwrap_or_default();
        if json.len() > MAX_SCREEN_BYTES {
            return Err(too_large("the panes hold too much for one answer: name one pane"));
        }
        Ok(json)
    }

    /// Types into a pane, once for each request id.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn input(&self, id: RequestId, session: SessionId, body: Incoming) -> Result<(), Refusal> {
        let input: Input = read(body, MAX_INPUT_BODY).await?;
        input.check().map_err(invalid)?;
        let tmux = self.tmux.clone();
        // On its own: what has begun to be typed is typed to its end, whatever becomes of the connection.
        let typed = async move { tmux.input(&session, &input).await.map_err(Refusal::from) };
        match self.inputs.first(&id) {
            Ok(turn) => tokio::spawn(async move { turn.done(typed.await) }.in_current_span())
                .await
                .map_err(|_| internal())?,
            Err(Repeated(first)) => first.outcome().await.unwrap_or_else(|| Err(repeated())),
        }
    }

    /// Answers a question that a pane shows, once for each request id.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn answer(&self, id: RequestId, session: SessionId, body: Incoming) -> Result<(), Refusal> {
        let answer: Answer = read(body, MAX_ANSWER_BODY).await?;
        let answers = self.answers.clone();
        let given = async move { answers.give(&session, &answer).await.map_err(Refusal::from) };
        match self.inputs.first(&id) {
            Ok(turn) => tokio::spawn(async move { turn.done(given.await) }.in_current_span())
                .await
                .map_err(|_| internal())?,
            Err(Repeated(first)) => first.outcome().await.unwrap_or_else(|| Err(repeated())),
        }
    }

    /// Starts a command, and gives the lines of its answer. It ends when nobody receives them any more.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn exec(&self, id: RequestId, body: Incoming) -> Result<mpsc::Receiver<Bytes>, Refusal> {
        let exec: Exec = read(body, MAX_EXEC_BODY).await?;
        exec.check().map_err(invalid)?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            let message = format!("{MAX_COMMANDS} commands run already; try again when one has ended");
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, KIND_EXEC_BUSY, message)
        })?;
        let turn = self.commands.first(&id).map_err(|_| repeated())?;
        turn.done(());
        let limits = Limits {
            time: Duration::from_secs(exec.timeout_seconds.into()),
            output: MAX_EXEC_OUTPUT,
            stdin: exec.stdin.clone().unwrap_or_default().into_bytes(),
        };
        let surroundings = self.surroundings.clone();
        let (sender, receiver) = mpsc::channel(LINES_WAITING);
        let (tell, told) = oneshot::channel();
        let work = async move {
            // As long as this waits for a disk, too.
            let _place = place;
            if tell.is_closed() {
                return;
            }
            match surroundings.start(&exec) {
                Ok((group, pipes)) => {
                    // Whoever asked and has gone receives no lines either, which ends it.
                    let _ = tell.send(Ok(()));
                    exec::run(group, pipes, limits, sender).await;
                }
                Err(refusal) => drop(tell.send(Err(refusal))),
            }
        };
        self.disk.spawn(work.in_current_span());
        told.await.map_err(|_| internal())??;
        Ok(receiver)
    }
}

impl Surroundings {
    fn start(&self, exec: &Exec) -> Result<(Group, Pipes), Refusal> {
        let directory =
            exec.cwd.as_ref().map_or_else(|| self.account.home.clone(), |cwd| self.account.home.join(cwd));
        let refused = |kind, message: String| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, kind, message);
        // Asked first: the system calls both a missing program and a missing directory "not found".
        if !directory.is_dir() {
            return Err(refused(KIND_CWD_UNKNOWN, "the working directory is not there".into()));
        }
        let own = exec.env.iter().map(|(name, value)| (name.into(), value.into()));
        // Later ones outweigh earlier ones: the call's own, the workspace's, the terminals'.
        let set = variables::read(&self.variables, self.account.uid);
        let env: Vec<(OsString, OsString)> = self.env.iter().cloned().chain(set).chain(own).collect();
        let (program, args) = exec.argv.split_first().ok_or_else(|| invalid("argv names no program"))?;
        let invocation = Invocation::new(program, args).with_env(env).as_user(&self.account);
        Group::start(&invocation, &directory, exec.stdin.is_some()).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                refused(KIND_COMMAND_NOT_FOUND, "there is no such program on this box".into())
            }
            _ => refused(KIND_COMMAND_NOT_STARTED, format!("the program can't be started: {error}")),
        })
    }
}

async fn read<T: serde::de::DeserializeOwned>(body: Incoming, limit: usize) -> Result<T, Refusal> {
    let large = || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, KIND_INVALID, "the body is too large");
    if body.size_hint().lower() > limit as u64 {
        return Err(large());
    }
    let collected = tokio::time::timeout(BODY_DEADLINE, Limited::new(body, limit).collect());
    let body = collected.await.map_err(|_| invalid("the body did not come in time"))?;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() { large() } else { invalid("the body did not come whole") }
    })?;
    serde_json::from_slice(&body.to_bytes())
        .map_err(|error| invalid(format!("the body is not understood: {error}")))
}

fn invalid(message: impl ToString) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, KIND_INVALID, message.to_string())
}

fn internal() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the agent failed")
}

fn repeated() -> Refusal {
    Refusal::new(StatusCode::CONFLICT, KIND_REQUEST_REPEATED, "this request was made before")
}

fn too_large(message: impl ToString) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, KIND_SCREEN_TOO_LARGE, message.to_string())
}

impl From<AnswerError> for Refusal {
    fn from(error: AnswerError) -> Self {
        let message = error.to_string();
        match error {
            AnswerError::QuestionGone => Self::new(StatusCode::CONFLICT, KIND_QUESTION_GONE, message),
            AnswerError::ChoiceUnknown => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, KIND_CHOICE_UNKNOWN, message)
            }
            AnswerError::Invalid => invalid(message),
            AnswerError::Pane(error) => error.into(),
        }
    }
}

impl From<PaneError> for Refusal {
    fn from(error: PaneError) -> Self {
        let not_found = |kind| Self::new(StatusCode::NOT_FOUND, kind, error.to_string());
        match &error {
            PaneError::SessionUnknown => not_found(KIND_SESSION_UNKNOWN),
            PaneError::PaneUnknown => not_found(KIND_PANE_UNKNOWN),
            PaneError::TooMany => too_large(&error),
            PaneError::NotTyped | PaneError::Tmux(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, KIND_TERMINAL_UNAVAILABLE, chain(&error))
            }
        }
    }
}
