//! Where backups of workspaces go and what opens them: sealed for the store, opened for the workspace's box, and shown to
//! its owner once, as a recovery sheet. The repository's password is made here, so that it is there when box and volume
//! are not.

use berth_protocol::backup::DesiredBackup;
use berth_protocol::environment::Secret;
use berth_protocol::ids::WorkspaceId;
use data_encoding::BASE32_NOPAD;

use crate::app::App;
use crate::environments::OpenError;
use crate::sealing::Sealer;

/// Seals what opens a workspace's backups for the store.
#[must_use]
pub fn seal(sealer: &Sealer, workspace: &WorkspaceId, backup: &DesiredBackup) -> Vec<u8> {
    // Plain data: it always serialises.
    sealer.seal(&purpose(workspace), &serde_json::to_vec(backup).unwrap_or_default())
}

/// Opens what the store has.
///
/// # Errors
/// [`OpenError`].
pub fn open(sealer: &Sealer, workspace: &WorkspaceId, sealed: &[u8]) -> Result<DesiredBackup, OpenError> {
    let plain = sealer.unseal(&purpose(workspace), sealed)?;
    serde_json::from_slice(&plain).map_err(|_| OpenError::NotUnderstood(workspace.clone()))
}

/// One that can't be opened is not said: the box keeps the one that it has.
pub(crate) fn opened(app: &App, workspace: &WorkspaceId, sealed: Option<Vec<u8>>) -> Option<DesiredBackup> {
    open(&app.sealer, workspace, &sealed?)
        .inspect_err(|error| {
            tracing::error!(%workspace, error = %berth_daemon::exit::chain(error), "what opens backups is not opened");
        })
        .ok()
}

/// A password for a new repository: 160 random bits, in groups that can be typed from paper.
///
/// # Panics
/// When the operating system has no randomness to give; nothing can be done safely then.
#[must_use]
pub fn new_password() -> Secret {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    let text = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
    let groups: Vec<&str> = (0..text.len()).step_by(4).map(|start| &text[start..start + 4]).collect();
    Secret::new(groups.join("-"))
}

fn purpose(workspace: &WorkspaceId) -> String {
    format!("backup/{workspace}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_new_each_time_and_fit_to_be_typed() {
        let one = new_password();
        let text = std::str::from_utf8(one.expose()).unwrap();
        assert_eq!((text.len(), text.split('-').count()), (39, 8));
        assert!(text.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        assert_ne!(one, new_password());
    }
}
