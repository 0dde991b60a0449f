//! Boxes as the gateway dials them: where their doors are, whether they answer, and streams through them.
//!
//! One [`BoxHandle`] for each instance that owns a workspace, fed from the store at start (a restarted
//! gateway needs no hello) and by each hello. A prober per box asks `GET /v1/status` every 15 s, and at once
//! when nudged; presence is that answer, and an older answer never overrides a newer.
//!
//! | file | what |
//! |---|---|
//! | `routes` | which ways lead to a box, and in which order they are tried |
//! | `race` | tries them, the next beside the one before |
//! | `dial` | one address: TCP and TLS |
//! | `dial_back` | connections that a box was asked to make |
//! | `exchange` | one request and its answer over a connection |
//! | `door` | what doors are asked for: status, terminals, ports |
//! | `control`, `lines` | commands over a connection, and what they say |
//! | `upload` | a file over a connection, as it comes |
//! | `handle` | one box: warm connections, probes, streams |
//! | `commands` | what it is asked to do |
//! | `presence` | what a probe found |

mod commands;
mod control;
mod dial;
mod dial_back;
mod door;
mod exchange;
mod handle;
mod lines;
mod presence;
mod race;
mod routes;
mod upload;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use berth_protocol::ids::{InstanceId, WorkspaceId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::changes::{Change, Changes};
use crate::metrics::Metrics;
use crate::store::Instance;

pub use control::{BackupFile, ExecOutput};
pub use dial::{BoxStream, Dialer};
pub(crate) use dial::{limit_segments, tune};
pub use door::{DoorError, DoorStream, TerminalRequest};
pub use handle::BoxHandle;
pub use presence::{Presence, PresenceState};
pub use routes::Route;
pub use upload::{Broken, Upload};

/// All boxes of the installation.
pub struct Boxes {
    dialer: Arc<Dialer>,
    changes: Changes,
    metrics: Arc<Metrics>,
    stopping: CancellationToken,
    handles: Mutex<HashMap<WorkspaceId, Arc<BoxHandle>>>,
}

impl Boxes {
    /// No boxes yet; their probers end with `stopping`.
    #[must_use]
    pub fn new(dialer: Dialer, changes: Changes, metrics: Arc<Metrics>, stopping: CancellationToken) -> Self {
        Self { dialer: Arc::new(dialer), changes, metrics, stopping, handles: Mutex::default() }
    }

    /// Takes note of where an instance is, and asks it soon. A newer instance takes the workspace over; what
    /// is heard of an older one changes nothing.
    pub fn learn(&self, instance: &Instance) {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = handles.get(&instance.workspace) {
            if known.epoch() > instance.epoch {
                return;
            }
            if known.epoch() == instance.epoch {
                known.moved(instance);
                return;
            }
            known.retire();
        }
        let stopping = self.stopping.child_token();
        let handle = BoxHandle::new(instance, self.dialer.clone(), self.metrics.clone(), stopping);
        tokio::spawn(probe(handle.clone(), self.changes.clone(), self.metrics.clone()));
        handles.insert(instance.workspace.clone(), handle);
    }

    /// Forgets every box that is not among these any more: it was revoked, or its workspace is gone. What goes on with
    /// it ends. Which ones those were.
    pub fn keep(&self, owning: &[Instance]) -> Vec<InstanceId> {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = handles.extract_if(|workspace, handle| {
            !owning.iter().any(|known| known.workspace == *workspace && known.epoch >= handle.epoch())
        });
        gone.map(|(_, handle)| {
            handle.retire();
            handle.instance().clone()
        })
        .collect()
    }

    /// The box of a workspace, if one was ever enrolled.
    #[must_use]
    pub fn of(&self, workspace: &WorkspaceId) -> Option<Arc<BoxHandle>> {
        let handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.get(workspace).cloned()
    }

    /// A link of an instance has begun: from now on it can be asked to dial this gateway. Each item of the
    /// receiver asks for one connection; closing it says that the link has ended.
    #[must_use]
    pub fn link_begun(&self, instance: &InstanceId) -> mpsc::Receiver<()> {
        // Nobody asks an instance that owns no workspace.
        let nobody = || mpsc::channel(1).1;
        self.owning(instance).map_or_else(nobody, |handle| handle.link_begun())
    }

    /// An instance has dialled this gateway, as its certificate proves.
    pub fn dialled_back(&self, instance: &InstanceId, stream: BoxStream) {
        if let Some(handle) = self.owning(instance) {
            handle.dialled_back(stream);
        }
    }

    /// The box that this instance is, unless a newer one owns its workspace.
    fn owning(&self, instance: &InstanceId) -> Option<Arc<BoxHandle>> {
        let handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.values().find(|handle| handle.instance() == instance).cloned()
    }

    /// How many boxes answered last time.
    #[must_use]
    pub fn online(&self) -> usize {
        let handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.values().filter(|handle| handle.presence().state == PresenceState::Online).count()
    }
}

/// Asks one box again and again, and tells when its presence changed, or the way to it.
async fn probe(handle: Arc<BoxHandle>, changes: Changes, metrics: Arc<Metrics>) {
    let mut presence = handle.watch();
    let words = |presence: &Presence| (presence.state.as_str(), presence.route);
    let mut told = words(&presence.borrow());
    handle.nudge();
    let mut probed = pin!(handle.probe_when_due());
    loop {
        tokio::select! {
            () = handle.retirement().cancelled() => break,
            // Somebody else may have asked: a page that wants a terminal. What is under way goes on all the same,
            // since it may have taken a nudge, which comes but once.
            Ok(()) = presence.changed() => {}
            () = &mut probed => probed.set(handle.probe_when_due()),
        }
        let found = words(&presence.borrow_and_update());
        if found != told {
            let route = found.1.map(Route::as_str);
            tracing::info!(instance = %handle.instance(), state = found.0, route, "box presence changed");
            metrics.box_route_changed(told.1, found.1);
            changes.publish(Change::Workspace(handle.workspace().clone()));
        }
        told = found;
    }
    metrics.box_route_changed(told.1, None);
}

#[cfg(test)]
mod tests;
