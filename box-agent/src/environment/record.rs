//! What Berth has done for the environment, kept on the volume and nowhere secret: what it left at destinations,
//! which repository it cloned, and in which boot it ran the script.

use std::path::Path;

use berth_daemon::state::{StateError, write_private};
use berth_protocol::environment::{ProjectDirectory, Repository, RepositoryUrl};
use serde::{Deserialize, Serialize};

use super::job::Marks;
use super::plan::Hash;

/// The record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What was left below the home directory.
    #[serde(default)]
    pub marks: Marks,
    /// The repository that was cloned last.
    #[serde(default)]
    pub cloned: Option<Cloned>,
    /// The script that was begun last.
    #[serde(default)]
    pub script: Option<ScriptRun>,
}

/// A repository that was cloned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cloned {
    /// From where.
    pub url: RepositoryUrl,
    /// To where.
    pub directory: ProjectDirectory,
}

/// A run of the script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptRun {
    /// The boot, as the kernel and the gateway name it.
    pub boot: String,
    /// Which script it was.
    pub script: Hash,
    /// How it ended; absent while it runs, and for ever if the agent ended with it.
    #[serde(default)]
    pub outcome: Option<ScriptOutcome>,
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptOutcome {
    /// With success.
    Done,
    /// Without, and why.
    Failed(String),
}

impl Record {
    /// Reads the record. One that is not there or not understood is as good as none: what is on the box is then
    /// taken for the user's.
    #[must_use]
    pub fn load(path: &Path) -> Self {
        let Ok(text) = std::fs::read(path) else { return Self::default() };
        serde_json::from_slice(&text)
            .inspect_err(
                |error| tracing::warn!(path = %path.display(), %error, "the record is not understood"),
            )
            .unwrap_or_default()
    }

    /// Keeps the record.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save(&self, path: &Path) -> Result<(), StateError> {
        // Plain data: it always serialises.
        write_private(path, &serde_json::to_vec(self).unwrap_or_default())
    }

    /// Whether this repository needs nothing any more. It is cloned once: what the user does with the directory
    /// later, its removal too, is the user's business.
    #[must_use]
    pub fn has_cloned(&self, repository: &Repository) -> bool {
        self.cloned
            .as_ref()
            .is_some_and(|cloned| cloned.url == repository.url && cloned.directory == repository.directory)
    }

    /// The run of this script in this boot, if there was one.
    #[must_use]
    pub fn run_of(&self, boot: &str, script: &Hash) -> Option<&ScriptRun> {
        self.script.as_ref().filter(|run| run.boot == boot && run.script == *script)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_damaged_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("environment.json");
        assert_eq!(Record::load(&path), Record::default());
        let record = Record {
            script: Some(ScriptRun { boot: "b".into(), script: Hash("h".into()), outcome: None }),
            cloned: Some(Cloned { url: "git@host:a".parse().unwrap(), directory: "a".parse().unwrap() }),
            ..Record::default()
        };
        record.save(&path).unwrap();
        assert_eq!(Record::load(&path), record);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Record::load(&path), Record::default());
    }

    #[test]
    fn a_script_runs_once_in_a_boot_and_a_repository_is_cloned_once() {
        let run = ScriptRun { boot: "b".into(), script: Hash("h".into()), outcome: None };
        let cloned = Cloned { url: "git@host:a".parse().unwrap(), directory: "a".parse().unwrap() };
        let record = Record { script: Some(run), cloned: Some(cloned), ..Record::default() };
        assert!(record.run_of("b", &Hash("h".into())).is_some());
        assert!(record.run_of("c", &Hash("h".into())).is_none());
        assert!(record.run_of("b", &Hash("i".into())).is_none());
        let repository = |url: &str, directory: &str| Repository {
            url: url.parse().unwrap(),
            directory: directory.parse().unwrap(),
            branch: Some("main".parse().unwrap()),
            token: None,
        };
        assert!(record.has_cloned(&repository("git@host:a", "a")));
        assert!(!record.has_cloned(&repository("git@host:b", "a")));
        assert!(!record.has_cloned(&repository("git@host:a", "b")));
    }
}
