//! Backups: what a box is told to back up to, what it says of its runs, and what can be asked of it.
//!
//! | request at the door | answer |
//! |---|---|
//! | `GET /v1/backup` | [`BackupState`] |
//! | `POST /v1/backup/run` | 202 with [`BackupState`], or 409 [`KIND_BUSY`] |
//! | `POST /v1/backup/restore` with [`RestoreOrder`] | the same |
//! | `POST /v1/backup/check` | the same |
//! | `POST /v1/backup/cancel` | 202 with [`BackupState`] |
//! | `GET /v1/backup/snapshots` | a list of [`Snapshot`] |
//! | `GET /v1/backup/entries?snapshot=…&path=…` | a list of [`Entry`]: what is in that directory |
//! | `GET /v1/backup/file?snapshot=…&path=…` | the file's bytes |
//!
//! What acts must carry `berth-request-id`. Runs go on by themselves; a broken connection changes nothing.

mod names;
mod order;
mod state;

pub use names::{InvalidName, Repository, SnapshotRef, VolumePath};
pub use order::{BackupCredentials, DesiredBackup, Place, RestoreOrder};
pub use state::{
    BackupRun, BackupState, Change, Entry, EntryKind, Outcome, Phase, Problem, Progress, Reason, Running,
    Snapshot, Work,
};

/// Path of the state, and of everything else below it.
pub const BACKUP_PATH: &str = "/v1/backup";

/// Error: another run goes on.
pub const KIND_BUSY: &str = "backup_busy";

/// Error: no repository is known.
pub const KIND_NOT_CONFIGURED: &str = "backup_not_configured";

/// Error: the repository could not be read; the message says why.
pub const KIND_REPOSITORY: &str = "backup_repository";

/// Entries of one directory that are told, at most.
pub const MAX_ENTRIES: usize = 10_000;

/// Runs that a box keeps in its history.
pub const MAX_HISTORY: usize = 100;
