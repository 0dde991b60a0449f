//! Environments of workspaces, sealed for the store and opened for those who may know them: the workspace's
//! owner, who is told no secret of it, and its box.

use berth_protocol::desired::{DesiredDelta, DesiredSnapshot};
use berth_protocol::environment::DesiredEnvironment;
use berth_protocol::ids::WorkspaceId;

use crate::app::App;
use crate::backups;
use crate::sealing::{Sealer, SealingError};
use crate::store::{SealedDelta, SealedSnapshot, StoreError};

/// Why an environment can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The sealing key is another.
    #[error(transparent)]
    Sealed(#[from] SealingError),
    /// A newer gateway wrote it. What is wrong is not said: it would tell of the content.
    #[error("the environment of {0} is not understood: a newer gateway wrote it")]
    NotUnderstood(WorkspaceId),
}

/// Seals an environment for the store.
#[must_use]
pub fn seal(sealer: &Sealer, workspace: &WorkspaceId, environment: &DesiredEnvironment) -> Vec<u8> {
    // Plain data: it always serialises.
    sealer.seal(&purpose(workspace), &serde_json::to_vec(environment).unwrap_or_default())
}

/// Opens an environment of the store.
///
/// # Errors
/// [`OpenError`].
pub fn open(
    sealer: &Sealer,
    workspace: &WorkspaceId,
    sealed: &[u8],
) -> Result<DesiredEnvironment, OpenError> {
    let plain = sealer.unseal(&purpose(workspace), sealed)?;
    serde_json::from_slice(&plain).map_err(|_| OpenError::NotUnderstood(workspace.clone()))
}

/// All that a workspace's box should have now.
///
/// # Errors
/// [`StoreError`].
pub async fn snapshot(app: &App, workspace: &WorkspaceId) -> Result<DesiredSnapshot, StoreError> {
    let sealed = app.store.desired_snapshot(workspace.clone()).await?;
    let SealedSnapshot { mut snapshot, environment, backup } = sealed;
    snapshot.environment = opened(app, workspace, environment);
    snapshot.backup = backups::opened(app, workspace, backup);
    Ok(snapshot)
}

/// What changed after generation `from`, if a box must know any of it.
///
/// # Errors
/// [`StoreError`].
pub async fn delta(
    app: &App,
    workspace: &WorkspaceId,
    from: u64,
) -> Result<Option<DesiredDelta>, StoreError> {
    let found = app.store.desired_delta(workspace.clone(), from).await?;
    Ok(found.map(|SealedDelta { mut delta, environment, backup }| {
        delta.environment = opened(app, workspace, environment);
        delta.backup = backups::opened(app, workspace, backup);
        delta
    }))
}

/// One that can't be opened is not said: the box keeps the one that it has, and its sessions go on.
fn opened(app: &App, workspace: &WorkspaceId, sealed: Option<Vec<u8>>) -> Option<DesiredEnvironment> {
    open(&app.sealer, workspace, &sealed?)
        .inspect_err(|error| {
            tracing::error!(%workspace, error = %berth_daemon::exit::chain(error), "environment not opened");
        })
        .ok()
}

fn purpose(workspace: &WorkspaceId) -> String {
    format!("environment/{workspace}")
}
