//! From a ticket to a running relay.
//!
//! A `berth.v1` client has its ticket in the upgrade request, so the box is opened before the upgrade is
//! answered, and what goes wrong is an HTTP error. A `tty` client says its ticket in its first message, so the
//! upgrade is answered first, and what goes wrong is a close code.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use berth_protocol::door::Role;
use berth_protocol::ids::{RequestId, SessionId};
use berth_protocol::terminal::CLOSE_POLICY;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tracing::Instrument;

use super::opening::{Again, Opening};
use super::{Attached, Registration};
use crate::api::ApiError;
use crate::app::{App, SharedApp};
use crate::boxes::{BoxStream, TerminalRequest};
use crate::metrics::Why;
use crate::relay::{
    Closing, FirstError, Mode, Options, Outcome, Reason, Side, Sitter, Ticket, read_first, refuse, run,
};
use crate::store::{Holder, StoreError};

/// How long a `tty` client may take to say its ticket.
const FIRST_MESSAGE_LIMIT: Duration = Duration::from_secs(10);

/// Close code for what an HTTP error would have said.
const CLOSE_TRY_AGAIN: u16 = 1013;

/// The browser's upgrade, about to be answered.
pub struct BrowserUpgrade {
    /// The upgraded connection, once the answer is sent.
    pub on_upgrade: OnUpgrade,
    /// The session that the path names.
    pub session: SessionId,
    /// The request, for both logs.
    pub request_id: RequestId,
}

/// A terminal of a box, waiting for its browser.
pub struct Attachment {
    ttyd: Box<Side<BoxStream>>,
    /// How it was opened.
    opening: Opening,
    /// The session's name.
    title: String,
    sitter: Sitter,
    attached: Attached,
}

impl Attachment {
    /// Takes the ticket and opens the session's terminal.
    ///
    /// # Errors
    /// When the ticket is no good, the session or the right to it is gone, or the box does not answer.
    pub async fn open(
        app: &App,
        ticket: &Ticket,
        session: &SessionId,
        mode: Mode,
        request_id: &RequestId,
    ) -> Result<Self, ApiError> {
        let taken = app.store.take_ticket(ticket.as_str(), session.clone()).await?;
        let taken = taken.ok_or_else(ApiError::ticket_invalid)?;
        // A ticket is older than this moment.
        if closed_since(app, &taken.holder, session, taken.role).await?.is_some() {
            return Err(ApiError::session_not_found());
        }
        let found = app.store.session(session.clone()).await?.ok_or_else(ApiError::session_not_found)?;
        let page = mode == Mode::Berth;
        let request = TerminalRequest {
            session: session.clone(),
            role: taken.role,
            // Only a page can follow the size of another.
            sized: page || !app.terminals.is_led(session),
            client: taken.client.clone(),
            request_id: request_id.clone(),
        };
        let opening = Opening { workspace: found.workspace, request };
        let (ttyd, instance) = opening.open(app).await?;
        let sitter = Sitter {
            client: taken.client,
            name: taken.name,
            device: taken.device,
            role: taken.role,
            page,
            sized: opening.request.sized,
        };
        let client = opening.request.client.clone();
        let (session, holder, role) = (session.clone(), taken.holder, taken.role);
        let attached = Attached { session, instance, holder, role, client };
        Ok(Self { ttyd: Box::new(ttyd), opening, title: found.name, sitter, attached })
    }

    fn role(&self) -> Role {
        self.sitter.role
    }
}

/// What a terminal is closed with, if its session or the right to it has ended.
async fn closed_since(
    app: &App,
    holder: &Holder,
    session: &SessionId,
    role: Role,
) -> Result<Option<Closing>, StoreError> {
    let held = HashSet::from([(holder.clone(), session.clone(), role)]);
    let ended = app.store.ended(held).await?;
    let gone = (!ended.sessions.is_empty()).then(Closing::gone);
    Ok(gone.or_else(|| (!ended.rights.is_empty()).then(Closing::revoked)))
}

/// Waits for the browser's side of the upgrade, and begins to relay, in a task of its own. Without an attachment, the
/// client is a `tty` one and says its ticket first.
pub async fn serve(app: SharedApp, browser: BrowserUpgrade, attachment: Option<Box<Attachment>>) {
    let BrowserUpgrade { on_upgrade, session, request_id } = browser;
    let upgraded = match on_upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "browser's upgrade failed");
            return;
        }
    };
    // The streams themselves, not hyper's wrapping of them: an idle terminal then costs little.
    match parts::<TcpStream>(upgraded) {
        Ok(side) => begin(app, side, session, &request_id, attachment).await,
        Err(upgraded) => match parts::<TlsStream<TcpStream>>(upgraded) {
            Ok(side) => begin(app, side, session, &request_id, attachment).await,
            Err(_) => tracing::error!("a connection of unknown kind was upgraded"),
        },
    }
}

fn parts<S>(upgraded: Upgraded) -> Result<Side<S>, Upgraded>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let parts = upgraded.downcast::<TokioIo<S>>()?;
    Ok(Side::new(parts.io.into_inner(), parts.read_buf))
}

/// Begins to relay.
async fn begin<S>(
    app: SharedApp,
    mut browser: Side<S>,
    session: SessionId,
    request_id: &RequestId,
    attachment: Option<Box<Attachment>>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (attachment, mut options) = match attachment {
        Some(attachment) => {
            let options = Options::new(Mode::Berth, attachment.role());
            (*attachment, options)
        }
        None => match open_by_first_message(&app, &mut browser, &session, request_id).await {
            Ok(opened) => opened,
            Err(closing) => return refuse(browser, Mode::Tty, &closing).await,
        },
    };
    let Attachment { ttyd, opening, title, sitter, attached } = attachment;
    let (holder, instance, role) = (attached.holder.clone(), attached.instance.clone(), attached.role);
    let (registration, seat, control) = app.terminals.register(attached, sitter);
    options.seat = seat;
    options.title = title;
    // Ended while the box was opened: the registry did not know this terminal yet.
    let closing = match closed_since(&app, &holder, &session, role).await {
        Ok(closing) => closing,
        Err(_) => Some(Closing::draining()),
    };
    if let Some(closing) = closing {
        return refuse(browser, options.mode, &closing).await;
    }
    app.metrics.terminals.inc();
    app.metrics.terminals_opened.inc();
    if let Some(reason) = registration.former {
        app.metrics.terminals_reconnected.get_or_create(&Why { reason }).inc();
    }
    tracing::info!(%session, mode = options.mode.subprotocol(), "terminal opened");
    options.meters = app.metrics.relay.clone();
    let door = Arc::new(opening.again(app.clone(), instance));
    let relay = run(browser, *ttyd, options, control, door.clone());
    // Thousands of terminals are open and idle, and a task is as large as the most that it ever was.
    app.tasks.spawn(end_after(relay, door, registration).in_current_span());
}

/// Relays, and notes what became of the terminal.
async fn end_after(relay: impl Future<Output = Outcome>, door: Arc<Again>, mut registration: Registration) {
    let outcome = relay.await;
    let (app, session) = (door.app(), door.session());
    registration.ended(outcome.reason.word());
    app.metrics.terminals.dec();
    app.metrics.terminals_closed.get_or_create(&Why { reason: outcome.reason.word() }).inc();
    if let Reason::BrowserViolation(violation) = &outcome.reason {
        app.metrics.messages_refused.get_or_create(&Why { reason: violation.word() }).inc();
    }
    if matches!(outcome.reason, Reason::BoxLost(_)) {
        // Boxed, so that a live terminal is not as large as a dying one.
        Box::pin(nudge(app, session)).await;
    }
    tracing::info!(
        %session,
        reason = berth_daemon::exit::chain(&outcome.reason),
        input_bytes = outcome.bytes_in,
        output_bytes = outcome.bytes_out,
        "terminal closed"
    );
}

async fn open_by_first_message<S>(
    app: &App,
    browser: &mut Side<S>,
    session: &SessionId,
    request_id: &RequestId,
) -> Result<(Attachment, Options), Closing>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let first = read_first(browser, FIRST_MESSAGE_LIMIT).await;
    let first = first.map_err(|error| {
        if let FirstError::Violation(violation) = &error {
            app.metrics.messages_refused.get_or_create(&Why { reason: violation.word() }).inc();
        }
        Closing::new(CLOSE_POLICY, "first_message", error.to_string())
    })?;
    let opened = Attachment::open(app, &first.ticket, session, Mode::Tty, request_id).await;
    let attachment = opened.map_err(|error| {
        let code = if error.is_temporary() { CLOSE_TRY_AGAIN } else { CLOSE_POLICY };
        Closing::new(code, error.kind(), error.to_string())
    })?;
    let mut options = Options::new(Mode::Tty, attachment.role());
    options.started = Some(first.size);
    Ok((attachment, options))
}

/// Asks the session's box at once: its connection was lost.
async fn nudge(app: &App, session: &SessionId) {
    if let Ok(Some(session)) = app.store.session(session.clone()).await
        && let Some(handle) = app.boxes.of(&session.workspace)
    {
        handle.nudge();
    }
}
