//! What changed, told to everyone in this process who watches: event streams of browsers and links of boxes.
//!
//! A change carries what the store returned after commit. Receivers that fall behind are told so and begin
//! again with a snapshot; nobody waits for them.

use berth_protocol::ids::WorkspaceId;
use tokio::sync::broadcast;

use crate::store::{BrowserSession, SessionChange};

/// How many changes a receiver may be behind.
const BACKLOG: usize = 256;

/// One committed change.
#[derive(Debug, Clone)]
pub enum Change {
    /// Something of the workspace itself or of its box.
    Workspace(WorkspaceId),
    /// One of its sessions.
    Session(SessionChange),
    /// Its previews, or what listens on its box.
    Previews(WorkspaceId),
    /// Inboxes of those who may see the workspace, or any.
    Inbox(Option<WorkspaceId>),
    /// A browser was signed out.
    SignedOut(BrowserSession),
    /// Another process wrote to the store: anything may have changed.
    Anything,
}

impl Change {
    /// Whether it may have happened in this workspace.
    #[must_use]
    pub fn concerns(&self, workspace: &WorkspaceId) -> bool {
        match self {
            Self::Workspace(id) | Self::Previews(id) => id == workspace,
            Self::Session(SessionChange::Changed(session)) => session.workspace == *workspace,
            Self::Session(SessionChange::Deleted { workspace: of, .. }) => of == workspace,
            // Boxes are told nothing of it.
            Self::Inbox(_) | Self::SignedOut(_) => false,
            Self::Anything => true,
        }
    }
}

/// Tells changes.
#[derive(Debug, Clone)]
pub struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Changes {
    /// Tells everyone who watches; it is fine when nobody does.
    pub fn publish(&self, change: Change) {
        let _ = self.0.send(change);
    }

    /// Watches from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }
}
