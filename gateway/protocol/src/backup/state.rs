//! What a box says of its backups. Times are milliseconds since 1970 by the box's clock, for people.

use serde::{Deserialize, Serialize};

use super::names::VolumePath;

/// How a box's backups are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupState {
    /// Where they go; absent while nobody has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// What goes on now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
    /// When the next backup is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<i64>,
    /// When the newest backup that left nothing out was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good_ms: Option<i64>,
    /// When a backup was last read back and found right: what can be relied on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_verified_ms: Option<i64>,
    /// What is wrong, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// Runs, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<BackupRun>,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Makes a snapshot.
    Backup,
    /// Brings files back.
    Restore,
    /// Reads backups back and compares.
    Drill,
    /// Puts an archive of all beside the repository.
    Export,
    /// A kind of a newer version.
    #[serde(other)]
    Unknown,
}

/// Why a run was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its time had come.
    Scheduled,
    /// The box is being suspended.
    Suspend,
    /// Somebody asked.
    Asked,
    /// A restore is about to replace files.
    Safety,
    /// A reason of a newer version.
    #[serde(other)]
    Unknown,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was done.
    Good,
    /// Something was left out; the warnings say what.
    Partial,
    /// It failed.
    Failed,
    /// Somebody, or something more urgent, ended it.
    Cancelled,
    /// The agent ended in the middle of it, and does not know.
    Lost,
    /// An end of a newer version.
    #[serde(other)]
    Unknown,
}

/// What goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The run's number.
    pub run: i64,
    /// What it is for.
    pub work: Work,
    /// Why.
    pub reason: Reason,
    /// When it began.
    pub began_ms: i64,
    /// What it does just now, for people.
    pub phase: String,
    /// How far that is, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What it has to wait for just now, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
}

/// How far a phase is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// 0 to 100.
    #[serde(default)]
    pub percent: u8,
    /// Files that are done.
    #[serde(default)]
    pub files: u64,
    /// Bytes that are done.
    #[serde(default)]
    pub bytes: u64,
    /// Bytes in all, as far as they are known.
    #[serde(default)]
    pub total_bytes: u64,
}

/// A run of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRun {
    /// Its number: later ones have higher.
    pub run: i64,
    /// What it was for.
    pub work: Work,
    /// Why.
    pub reason: Reason,
    /// When it began.
    pub began_ms: i64,
    /// When it ended. Absent: it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// The snapshot that it made or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Files that it looked at.
    #[serde(default)]
    pub files: u64,
    /// Bytes of those.
    #[serde(default)]
    pub bytes: u64,
    /// Bytes that were new and went to the repository.
    #[serde(default)]
    pub added_bytes: u64,
    /// What was left out or did not go as it should, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What took how long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// Where a restore put things, on the volume; where an export is, as `s3://<bucket>/<key>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// Why a run did not do what it was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A stable word.
    pub kind: String,
    /// For people, with the remedy.
    pub message: String,
}

/// A part of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub millis: u64,
}

/// A snapshot in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its identifier.
    pub id: String,
    /// When it was made.
    pub time_ms: i64,
    /// Why: the tags that it has.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Files in it.
    #[serde(default)]
    pub files: u64,
    /// Bytes in it.
    #[serde(default)]
    pub bytes: u64,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A pipe, a socket, a device.
    Other,
    /// A kind of a newer version.
    #[serde(other)]
    Unknown,
}

/// A file or directory of a snapshot. Its name may hold any character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it is.
    pub path: VolumePath,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file.
    #[serde(default)]
    pub size: u64,
    /// When it was last changed.
    #[serde(default)]
    pub changed_ms: i64,
    /// Its rights, such as 0o644.
    #[serde(default)]
    pub mode: u32,
}

/// A difference between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where.
    pub path: VolumePath,
    /// `+` new, `-` gone, `M` content, `U` metadata, `T` kind; as restic says it.
    pub how: String,
}

/// What restoring something in place would change. What only the tree has stays in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preview {
    /// Files, links and the like that the snapshot has there.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// How many of them are not there now.
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
    pub differences: Vec<Difference>,
}

/// One thing that would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where.
    pub path: VolumePath,
    /// How.
    pub how: How,
}

/// What would become of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It is not there now.
    Added,
    /// It is there, and different.
    Replaced,
    /// A directory is where a file goes, or the other way round: what is there is renamed.
    MovedAside,
    /// It is there as it was.
    Same,
    /// Something of a newer version.
    #[serde(other)]
    Unknown,
}
