//! The event stream: a snapshot first, then every change of the caller's workspaces, as server-sent events.

use std::collections::HashSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use berth_protocol::ids::{UserId, WorkspaceId};
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::ApiError;
use super::notifications::InboxNews;
use super::views::preview::WorkspacePreviews;
use super::views::{DeletedSession, Error, Session, Snapshot, Workspace};
use crate::app::SharedApp;
use crate::changes::Change;
use crate::store::{CurrentUser, SessionChange};

/// A comment after so much silence keeps proxies from closing the stream.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A stream of `snapshot`, `workspace`, `session`, `session_deleted`, `previews` and `inbox` events.
#[utoipa::path(get, path = "/api/v1/events", responses(
    (status = 200, content_type = "text/event-stream", body = Snapshot), (status = 401, body = Error)
))]
pub async fn stream(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    // Subscribed first: what changes while the snapshot is read comes after it.
    let changes = app.changes.subscribe();
    let inbox = InboxNews::new(app.clone(), user.id.clone());
    let mut watcher = Watcher { user: user.id, visible: HashSet::new(), changes, inbox, app };
    let first = watcher.snapshot().await?;
    let stopping: CancellationToken = watcher.app.stopping.clone();
    let events = futures_util::stream::unfold((Some(first), watcher), move |(first, mut watcher)| {
        let stopping = stopping.clone();
        async move {
            let event = match first {
                Some(event) => event,
                None => tokio::select! {
                    () = stopping.cancelled() => return None,
                    event = watcher.next() => event?,
                },
            };
            Some((Ok(event), (None, watcher)))
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Watcher {
    app: SharedApp,
    user: UserId,
    visible: HashSet<WorkspaceId>,
    changes: Receiver<Change>,
    inbox: InboxNews,
}

impl Watcher {
    /// The next event that the user may see; `None` ends the stream, and the page begins a new one.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let change = match self.changes.recv().await {
                Ok(change) => change,
                Err(RecvError::Lagged(_)) => return self.snapshot().await.ok(),
                Err(RecvError::Closed) => return None,
            };
            match change {
                Change::Workspace(id) => {
                    if let Some(event) = self.workspace(id).await? {
                        return Some(event);
                    }
                }
                Change::Session(change) => {
                    if let Some(event) = self.session(change) {
                        return Some(event);
                    }
                }
                Change::Previews(id) if self.visible.contains(&id) => {
                    let shown = WorkspacePreviews::of(&self.app, id).await.ok()?;
                    return Some(event("previews", &shown));
                }
                Change::Previews(_) => {}
                Change::Inbox(_) => {
                    if let Some(inbox) = self.inbox.next().await.ok()? {
                        return Some(event("inbox", &inbox));
                    }
                }
                // Whoever may not see this any more is cut off.
                Change::SignedOut(_) => {}
                Change::Anything => return self.snapshot().await.ok(),
            }
        }
    }

    async fn snapshot(&mut self) -> Result<Event, ApiError> {
        let views = self.app.store.workspaces_of(self.user.clone()).await?;
        self.visible = views.iter().map(|(view, _)| view.workspace.id.clone()).collect();
        let (mut sessions, mut previews) = (Vec::new(), Vec::new());
        for (view, _) in &views {
            previews.push(WorkspacePreviews::of(&self.app, view.workspace.id.clone()).await?);
            let found = self.app.store.sessions_of(view.workspace.id.clone()).await?;
            sessions.extend(found.into_iter().map(Session::from));
        }
        let workspaces =
            views.into_iter().map(|(view, role)| Workspace::new(&self.app, view, role)).collect();
        let inbox = self.inbox.newest().await?;
        Ok(event("snapshot", &Snapshot { workspaces, sessions, previews, inbox }))
    }

    /// Outer `None`: the store failed. Inner: not for this user.
    async fn workspace(&mut self, id: WorkspaceId) -> Option<Option<Event>> {
        let found = self.app.store.workspace_for(self.user.clone(), id.clone()).await.ok()?;
        let Some((view, role)) = found else { return Some(None) };
        if !self.visible.contains(&id) {
            // Its sessions are news too.
            return Some(self.snapshot().await.ok());
        }
        let seq = view.workspace.change_seq;
        let shown = Workspace::new(&self.app, view, role);
        Some(Some(event("workspace", &shown).id(format!("{id}:{seq}"))))
    }

    fn session(&self, change: SessionChange) -> Option<Event> {
        match change {
            SessionChange::Changed(session) if self.visible.contains(&session.workspace) => {
                let id = format!("{}:{}", session.workspace, session.change_seq);
                Some(event("session", &Session::from(session)).id(id))
            }
            SessionChange::Deleted { id, workspace, change_seq } if self.visible.contains(&workspace) => {
                let deleted = DeletedSession { id: id.into(), workspace_id: workspace.to_string() };
                Some(event("session_deleted", &deleted).id(format!("{workspace}:{change_seq}")))
            }
            _ => None,
        }
    }
}

pub(super) fn event(name: &str, data: &impl Serialize) -> Event {
    // Views are plain data and hold no line breaks outside of strings: they always serialise to one line.
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}
