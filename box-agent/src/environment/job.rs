//! What the agent and its workers say to each other about an environment: the agent on standard input, since
//! command lines are everybody's to read, the workers on standard output.

use std::collections::BTreeMap;

use berth_protocol::environment::report::FileReport;
use berth_protocol::environment::{DesiredFile, Destination, Repository, Secret, VariableName};
use serde::{Deserialize, Serialize};

use super::plan::Mark;

/// What a worker is given at most, bytes of JSON.
pub const MAX_JOB: u64 = 2 * 1024 * 1024;

/// What Berth has left below the home directory, by destination.
pub type Marks = BTreeMap<Destination, Mark>;

/// Variables and files to be put in place.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FilesJob {
    /// The variables; absent: they are not known, and stay as they are.
    pub variables: Option<BTreeMap<VariableName, Secret>>,
    /// Files that are wanted, those that have to wait excepted.
    pub files: BTreeMap<Destination, DesiredFile>,
    /// Files of which nothing is known now: they stay as they are.
    pub untouched: Vec<Destination>,
    /// What was left before.
    pub marks: Marks,
}

/// What became of a [`FilesJob`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FilesOutcome {
    /// What is left now.
    pub marks: Marks,
    /// Files that are not as they should be.
    pub reports: Vec<FileReport>,
    /// Why variables could not be set.
    pub message: Option<String>,
}

/// A repository to be cloned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloneJob {
    /// Which.
    pub repository: Repository,
    /// The path of this program, which git asks for the token.
    pub agent: std::path::PathBuf,
}

/// What is said of a clone: how far it is, and last how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloneLine {
    /// It goes on.
    Progress {
        /// With what, as git says it.
        phase: String,
        /// How much of that is done.
        percent: u8,
    },
    /// It is there, whole.
    Cloned,
    /// Something has its place already.
    There,
    /// It is not there, and nothing of it is.
    Failed(String),
}

/// A script to be run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScriptJob {
    /// Its text.
    pub script: String,
    /// Where it begins: the first of these that is there.
    pub directories: Vec<std::path::PathBuf>,
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptLine {
    /// With success.
    Done,
    /// Without, and how.
    Failed(String),
}
