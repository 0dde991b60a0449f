//! The count of a workspace's changes, by which they are ordered.

use berth_protocol::ids::WorkspaceId;

use super::StoreError;
use super::transaction::{Tx, unsigned};

/// Counts a change of a workspace and returns its number. Every transaction that changes anything of a
/// workspace calls this once.
pub(super) fn count_change(tx: &Tx<'_>, id: &WorkspaceId) -> Result<u64, StoreError> {
    tx.one(
        "UPDATE workspaces SET change_seq = change_seq + 1 WHERE id = $1 RETURNING change_seq",
        [id.as_str()],
        |row| unsigned(row, "change_seq"),
    )
}

/// The change of one transaction: counted when the first row changes, and the same for all that follow.
#[derive(Default)]
pub(super) struct ChangeSeq(Option<u64>);

impl ChangeSeq {
    /// The number of this transaction's change.
    pub(super) fn count(&mut self, tx: &Tx<'_>, workspace: &WorkspaceId) -> Result<u64, StoreError> {
        match self.0 {
            Some(seq) => Ok(seq),
            None => {
                let seq = count_change(tx, workspace)?;
                self.0 = Some(seq);
                Ok(seq)
            }
        }
    }
}
