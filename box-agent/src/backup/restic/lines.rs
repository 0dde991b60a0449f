//! What restic says, line by line. Fields that are zero are left out by restic, and kinds of lines that are not known
//! are passed over: newer versions say more.

use serde::Deserialize;

use super::super::problem::short;

/// A line on standard output, or of standard error where it is JSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "message_type", rename_all = "snake_case")]
pub enum Line {
    /// How far it is.
    Status(Status),
    /// What was done.
    Summary(Summary),
    /// Something could not be read.
    Error(ErrorLine),
    /// Why it ends.
    ExitError {
        /// The words.
        #[serde(default)]
        message: String,
    },
    /// An entry of a snapshot.
    Node(Node),
    /// A difference between snapshots.
    Change {
        /// Where.
        #[serde(default)]
        path: String,
        /// How.
        #[serde(default)]
        modifier: String,
    },
    /// Anything else.
    #[serde(other)]
    Other,
}

/// How far a backup or a restore is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Status {
    /// 0 to 1.
    pub percent_done: f64,
    /// Files of a backup that are done.
    pub files_done: u64,
    /// Bytes of a backup that are done.
    pub bytes_done: u64,
    /// Files of a restore that are done.
    pub files_restored: u64,
    /// Bytes of a restore that are done.
    pub bytes_restored: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// What a backup, a restore or a check did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Files that were looked at.
    pub total_files_processed: u64,
    /// Bytes of those.
    pub total_bytes_processed: u64,
    /// Bytes that went to the repository, as they are there.
    pub data_added_packed: u64,
    /// The snapshot.
    pub snapshot_id: Option<String>,
    /// Files of a restore.
    pub files_restored: u64,
    /// Bytes of a restore.
    pub bytes_restored: u64,
    /// Errors that a check found.
    pub num_errors: u64,
}

/// Something that could not be read, or a check's finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ErrorLine {
    /// The words of a check.
    pub message: String,
    /// The words of a backup or restore.
    pub error: ErrorWords,
    /// Which file.
    pub item: String,
}

/// Words inside of an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ErrorWords {
    /// They.
    pub message: String,
}

impl ErrorLine {
    /// For people, in one line.
    #[must_use]
    pub fn shown(&self) -> String {
        let words = if self.error.message.is_empty() { &self.message } else { &self.error.message };
        if self.item.is_empty() || words.contains(&self.item) {
            return short(words);
        }
        short(&format!("{}: {words}", self.item))
    }
}

/// An entry of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Where.
    pub path: String,
    /// `file`, `dir`, `symlink`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Bytes.
    pub size: u64,
    /// Go's bits of kind and rights.
    pub mode: u32,
    /// When it was last changed.
    pub mtime: String,
}

/// A snapshot, as `restic snapshots` lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SnapshotLine {
    /// Its identifier.
    pub id: String,
    /// When it was made.
    pub time: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// What was in it.
    pub summary: Summary,
}

/// Milliseconds since 1970 of a time as restic writes it; 0 when it is none.
#[must_use]
pub fn millis(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().map_or(0, |time| time.as_millisecond())
}

/// What a line of standard error that is no JSON says while restic tries again by itself.
#[must_use]
pub fn trouble(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("retrying after ")?;
    rest.split_once(": ").map(|(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn lines_are_read_with_fields_missing_and_kinds_unknown() {
        let text = r#"{"message_type":"status","percent_done":0.5,"total_bytes":7,"new":[1]}"#;
        let Line::Status(status) = line(text) else { panic!("a status") };
        assert_eq!((status.percent_done, status.files_done, status.total_bytes), (0.5, 0, 7));
        assert_eq!(line(r#"{"message_type":"verbose_status","action":"new"}"#), Line::Other);
        let Line::Summary(summary) = line(r#"{"message_type":"summary","snapshot_id":"ab","dirs_new":1}"#)
        else {
            panic!("a summary")
        };
        assert_eq!(summary.snapshot_id.as_deref(), Some("ab"));
        let text = r#"{"message_type":"exit_error","code":1,"message":"Fatal: no"}"#;
        assert_eq!(line(text), Line::ExitError { message: "Fatal: no".into() });
    }

    #[test]
    fn an_error_names_the_file_once() {
        let text = r#"{"message_type":"error","error":{"message":"open /a: permission denied"},"during":"archival","item":"/a"}"#;
        let Line::Error(error) = line(text) else { panic!("an error") };
        assert_eq!(error.shown(), "open /a: permission denied");
        let text = r#"{"message_type":"error","error":{"message":"denied"},"item":"/a"}"#;
        let Line::Error(error) = line(text) else { panic!("an error") };
        assert_eq!(error.shown(), "/a: denied");
    }

    #[test]
    fn what_it_waits_for_is_told() {
        let text = "Stat(<config/>) returned error, retrying after 941.1ms: client.GetObject: Access Denied.";
        assert_eq!(trouble(text), Some("client.GetObject: Access Denied."));
        assert_eq!(trouble("open repository"), None);
        assert_eq!(millis("2026-11-26T09:48:47.397652142Z"), 1_795_686_527_397);
        assert_eq!(millis("never"), 0);
    }
}
