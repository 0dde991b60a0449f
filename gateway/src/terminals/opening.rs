//! Streams to a terminal of a box: the first, and others in its place.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use berth_protocol::ids::{InstanceId, SessionId, WorkspaceId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::api::ApiError;
use crate::app::{App, SharedApp};
use crate::boxes::{BoxStream, TerminalRequest};
use crate::relay::{Closing, Door, Side, open_ttyd};

/// How long ttyd may take to answer its upgrade.
const TTYD_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of a box's output that the kernel may hold, before it doubles that for its own needs. It is also what
/// can be under way: enough for some megabytes a second to a box 10 ms away. It has to be more than a segment.
const BOX_RECEIVE_BUFFER: usize = 24 * 1024;

/// What a stream to a terminal is opened with.
pub(super) struct Opening {
    /// Whose box it is.
    pub(super) workspace: WorkspaceId,
    /// What its door is asked for.
    pub(super) request: TerminalRequest,
}

/// Opens streams to a terminal that is open already.
pub(super) struct Again {
    app: SharedApp,
    opening: Opening,
    instance: InstanceId,
}

impl Opening {
    /// Opens a stream to the terminal; also the instance that it leads to.
    ///
    /// # Errors
    /// When the box does not answer, or refuses.
    pub(super) async fn open(&self, app: &App) -> Result<(Side<BoxStream>, InstanceId), ApiError> {
        let handle = app.boxes.of(&self.workspace).ok_or_else(ApiError::box_offline)?;
        let opened = handle.open_terminal(&self.request).await;
        let (stream, attachment) = opened.inspect_err(|_| handle.nudge())?;
        if !stream.leftover.is_empty() {
            return Err(ApiError::box_offline());
        }
        bound(stream.io.get_ref().0)?;
        let ttyd = open_ttyd(stream.io, &attachment, TTYD_LIMIT).await.map_err(|error| {
            tracing::warn!(error = %berth_daemon::exit::chain(&error), "ttyd not opened");
            ApiError::box_offline()
        })?;
        Ok((ttyd, handle.instance().clone()))
    }

    /// The same for a terminal that is open at an instance.
    pub(super) fn again(self, app: SharedApp, instance: InstanceId) -> Again {
        Again { app, opening: self, instance }
    }
}

impl Again {
    /// The gateway.
    pub(super) fn app(&self) -> &App {
        &self.app
    }

    /// The session.
    pub(super) fn session(&self) -> &SessionId {
        &self.opening.request.session
    }
}

impl Door<BoxStream> for Again {
    fn reopen(self: Arc<Self>, sized: bool) -> BoxFuture<'static, io::Result<Side<BoxStream>>> {
        async move {
            let request = TerminalRequest { sized, ..self.opening.request.clone() };
            let opening = Opening { workspace: self.opening.workspace.clone(), request };
            let (ttyd, instance) = opening.open(&self.app).await.map_err(io::Error::other)?;
            // Another has the workspace by now: the terminal is about to be told.
            if instance != self.instance {
                return Err(io::ErrorKind::NotConnected.into());
            }
            Ok(ttyd)
        }
        .boxed()
    }

    fn why_ended(self: Arc<Self>) -> BoxFuture<'static, Closing> {
        async move {
            match self.app.store.session(self.session().clone()).await {
                Ok(None) => Closing::gone(),
                Ok(Some(_)) | Err(_) => Closing::box_lost(),
            }
        }
        .boxed()
    }
}

/// Keeps the kernel from reading a box ahead of the relay: what it reads is old by the time a stalled page goes on.
fn bound(tcp: &TcpStream) -> Result<(), ApiError> {
    SockRef::from(tcp).set_recv_buffer_size(BOX_RECEIVE_BUFFER).map_err(|error| {
        tracing::warn!(%error, "the connection to the box can't be bounded");
        ApiError::box_offline()
    })
}
