//! Backups, as the API shows them and takes orders.

use berth_protocol::backup::{
    BackupState as BoxState, DesiredBackup, Difference, Entry as BoxEntry, InvalidName, Place,
    Preview as BoxPreview, Repository, RestoreOrder, Snapshot as BoxSnapshot, SnapshotRef, VolumePath,
};
use berth_protocol::environment::Secret;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Where a workspace's backups go. Neither key nor password is told.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackupRepository {
    /// Counts up whenever it changes; 0: it was never set.
    pub version: u64,
    /// The server; null while it was never set, as are those below.
    #[schema(example = "https://account.r2.cloudflarestorage.com")]
    pub endpoint: Option<String>,
    /// The bucket.
    pub bucket: Option<String>,
    /// Where in the bucket.
    pub prefix: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The access key's name.
    pub key_id: Option<String>,
    /// Whether the key can add and not delete.
    pub add_only: bool,
    /// Whether the recovery sheet is yet to be shown. It is shown once.
    pub recovery_sheet: bool,
}

impl BackupRepository {
    /// As it is shown.
    pub fn new(version: u64, backup: Option<&DesiredBackup>, recovery_sheet: bool) -> Self {
        let of = |part: fn(&Repository) -> &String| backup.map(|backup| part(&backup.repository).clone());
        Self {
            version,
            endpoint: of(|repository| &repository.endpoint),
            bucket: of(|repository| &repository.bucket),
            prefix: of(|repository| &repository.prefix),
            region: of(|repository| &repository.region),
            key_id: backup.and_then(|backup| Some(backup.credentials.as_ref()?.key_id.clone())),
            add_only: backup.is_some_and(|backup| backup.add_only),
            recovery_sheet: backup.is_some() && recovery_sheet,
        }
    }
}

/// Where backups are to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBackupRepository {
    /// The version that this is made from; 0 if there was none.
    pub version: u64,
    /// The server: https, or on the gateway's own machine http.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// Where in the bucket; the workspace's identifier when absent.
    pub prefix: Option<String>,
    /// The region; `auto` when absent.
    pub region: Option<String>,
    /// The access key's name.
    pub key_id: String,
    /// The access key. Absent: the one that is known stays, as long as its name does.
    #[schema(value_type = Option<String>)]
    pub secret_key: Option<PlainSecret>,
    /// What goes with a temporary access key.
    #[schema(value_type = Option<String>)]
    pub session_token: Option<PlainSecret>,
    /// Whether the key can add and not delete.
    #[serde(default)]
    pub add_only: bool,
}

/// A value as it is typed, which no log shows.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "String")]
pub struct PlainSecret(pub Secret);

impl From<String> for PlainSecret {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

/// All that is needed to restore with restic alone. It is shown once: print it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecoverySheet {
    /// The workspace's name.
    pub workspace: String,
    /// The repository as restic names it.
    pub repository: String,
    /// The repository's password. Without it nothing in it can be read, by anybody.
    pub password: String,
    /// The access key's name; the key itself is the owner's, from the server's console.
    pub key_id: String,
    /// The name that the workspace's snapshots have.
    pub host: String,
    /// What to do, line by line, with restic 0.18 or newer on any machine.
    pub steps: Vec<String>,
}

impl RecoverySheet {
    /// The sheet of a repository.
    pub fn new(workspace: &str, host: &str, backup: &DesiredBackup) -> Option<Self> {
        let keys = backup.credentials.as_ref()?;
        let repository = &backup.repository;
        let options = format!("-o s3.region={} -o s3.bucket-lookup=path", repository.region);
        let steps = vec![
            "Install restic 0.18 or newer.".to_owned(),
            format!("export AWS_ACCESS_KEY_ID={}", keys.key_id),
            "export AWS_SECRET_ACCESS_KEY=<the key, from the server's console; make a new one if it is lost>"
                .to_owned(),
            format!("export RESTIC_REPOSITORY={}", repository.url()),
            "Write the password into a file, and export RESTIC_PASSWORD_FILE=<that file>".to_owned(),
            format!("restic {options} snapshots --host {host}"),
            format!("restic {options} restore latest:/user --host {host} --target <an empty directory>"),
        ];
        Some(Self {
            workspace: workspace.to_owned(),
            repository: repository.url(),
            password: String::from_utf8_lossy(keys.password.expose()).into_owned(),
            key_id: keys.key_id.clone(),
            host: host.to_owned(),
            steps,
        })
    }
}

/// How a box's backups are, in its own words: claims, to be shown as text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
pub struct Backups {
    /// Its state.
    #[schema(value_type = Object)]
    state: BoxState,
}

impl From<BoxState> for Backups {
    fn from(state: BoxState) -> Self {
        Self { state }
    }
}

/// A snapshot of the workspace's volume.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackupSnapshot {
    /// Its identifier.
    pub id: String,
    /// When it was made, in milliseconds since 1970.
    pub time_ms: i64,
    /// Files in it.
    pub files: u64,
    /// Bytes in it.
    pub bytes: u64,
}

impl From<BoxSnapshot> for BackupSnapshot {
    fn from(snapshot: BoxSnapshot) -> Self {
        let BoxSnapshot { id, time_ms, files, bytes, .. } = snapshot;
        Self { id, time_ms, files, bytes }
    }
}

/// A file or directory of a snapshot.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackupEntry {
    /// Where it is, from the volume's root.
    #[schema(example = "/user/projects")]
    pub path: String,
    /// Its own name.
    pub name: String,
    /// `file`, `directory`, `link` or `other`.
    #[schema(value_type = String)]
    pub kind: berth_protocol::backup::EntryKind,
    /// Bytes of a file.
    pub size: u64,
    /// When it was last changed, in milliseconds since 1970.
    pub changed_ms: i64,
    /// Its permissions, in octal.
    #[schema(example = "0644")]
    pub mode: String,
}

impl From<BoxEntry> for BackupEntry {
    fn from(entry: BoxEntry) -> Self {
        let BoxEntry { path, kind, size, changed_ms, mode } = entry;
        let name = path.name().to_owned();
        Self { path: path.into(), name, kind, size, changed_ms, mode: format!("{mode:04o}") }
    }
}

/// What restoring something in place would change. What the snapshot does not have stays.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackupPreview {
    /// Files, links and the like that the snapshot has there.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// How many of them are not on the box now.
    pub added: u64,
    /// How many are there and different.
    pub replaced: u64,
    /// How many are there as they were.
    pub same: u64,
    /// What is in the way of another kind, and would be renamed.
    pub moved_aside: u64,
    /// There are more than were looked at: all numbers are of the first ones.
    pub is_cut: bool,
    /// Some of what would change, by name.
    pub differences: Vec<BackupDifference>,
}

/// One thing that would change.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackupDifference {
    /// Where it is, from the volume's root.
    pub path: String,
    /// `added`, `replaced` or `moved_aside`.
    #[schema(value_type = String)]
    pub how: berth_protocol::backup::How,
}

impl From<BoxPreview> for BackupPreview {
    fn from(preview: BoxPreview) -> Self {
        let BoxPreview { files, bytes, added, replaced, same, moved_aside, is_cut, differences } = preview;
        let shown = |Difference { path, how }| BackupDifference { path: path.into(), how };
        let differences = differences.into_iter().map(shown).collect();
        Self { files, bytes, added, replaced, same, moved_aside, is_cut, differences }
    }
}

/// A place in a snapshot.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LookQuery {
    /// The snapshot: `latest`, or its identifier or the beginning of that.
    pub snapshot: String,
    /// The path, `/user` or below.
    pub path: String,
}

/// What to restore.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    /// The snapshot: `latest`, or its identifier or the beginning of that.
    pub snapshot: String,
    /// The file or directory, `/user` or below.
    pub path: String,
    /// Whether it goes where it was. What is there is replaced, after a backup of it; else it goes to `user/restored`.
    #[serde(default)]
    pub in_place: bool,
}

impl RestoreRequest {
    /// The order, if it is one.
    pub fn order(&self) -> Result<RestoreOrder, InvalidName> {
        let snapshot: SnapshotRef = self.snapshot.parse()?;
        let path: VolumePath = self.path.parse()?;
        let place = if self.in_place { Place::InPlace } else { Place::Aside };
        let order = RestoreOrder { snapshot, path, place };
        order.check()?;
        Ok(order)
    }
}
