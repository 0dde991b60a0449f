//! Backups: what a box is told to back up to, what it says of its runs, and what can be asked of it.
//!
//! | request at the door | answer |
//! |---|---|
//! | `GET /v1/backup` | [`BackupState`] |
//! | `POST /v1/backup/run` | 202 with [`BackupState`], or 409 [`KIND_BUSY`] |
//! | `POST /v1/backup/restore` with [`RestoreOrder`] | the same |
//! | `POST /v1/backup/check` | the same |
//! | `POST /v1/backup/export` | the same: an archive of the user's tree is put beside the repository |
//! | `GET /v1/backup/archive` | that archive's bytes, in chunks; one that breaks off has no last chunk |
//! | `POST /v1/backup/cancel` | 202 with [`BackupState`] |
//! | `GET /v1/backup/snapshots` | a list of [`Snapshot`] |
//! | `POST /v1/backup/entries` with [`Look`] | a list of [`Entry`]: what is in that directory |
//! | `POST /v1/backup/preview` with [`Look`] | [`Preview`]: what restoring that in place would change |
//! | `POST /v1/backup/file` with [`Look`] | the file's bytes, of the length that is said first |
//!
//! What acts must carry `berth-request-id`. Runs go on by themselves; a broken connection changes nothing.

mod names;
mod order;
mod state;

pub use names::{InvalidName, Repository, SnapshotRef, VolumePath};
pub use order::{BackupCredentials, DesiredBackup, Look, Place, RestoreOrder};
pub use state::{
    BackupRun, BackupState, Change, Difference, Entry, EntryKind, How, Outcome, Phase, Preview, Problem,
    Progress, Reason, Running, Snapshot, Work,
};

/// Path of the state, and of everything else below it.
pub const BACKUP_PATH: &str = "/v1/backup";

/// Error: another run goes on.
pub const KIND_BUSY: &str = "backup_busy";

/// Error: no repository is known.
pub const KIND_NOT_CONFIGURED: &str = "backup_not_configured";

/// Error: the repository could not be read; the message says why.
pub const KIND_REPOSITORY: &str = "backup_repository";

/// Error: what was named is not in the backups.
pub const KIND_NOT_FOUND: &str = "backup_not_found";

/// Bytes of a request's body, at most: a path is in it.
pub const MAX_LOOK_BODY: usize = 64 * 1024;

/// Bytes of an answer that is no file, at most.
pub const MAX_LOOK_ANSWER: usize = 16 * 1024 * 1024;

/// Entries of one directory that are told, at most.
pub const MAX_ENTRIES: usize = 10_000;

/// Entries of a snapshot that a preview looks at, at most.
pub const MAX_PREVIEWED: usize = 50_000;

/// Differences that a preview names, at most.
pub const MAX_DIFFERENCES: usize = 200;

/// Runs that a box keeps in its history.
pub const MAX_HISTORY: usize = 100;
