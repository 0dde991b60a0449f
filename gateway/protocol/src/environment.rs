//! A workspace's environment: variables, files, a repository to begin with, and a script to run after a start.
//!
//! It travels in the desired state. Every value that may be secret is a [`Secret`], which no log and no message
//! of an error shows; on the wire it is base64, so that its size there is known. What a box may keep on its
//! volume is the environment [without secrets](DesiredEnvironment::without_secrets).
//!
//! | module | what |
//! |---|---|
//! | `names` | names, paths and addresses that can be nothing else |
//! | `secret` | a value that is not shown |
//! | `rules` | what an environment keeps to as a whole |
//! | [`report`] | what a box says has become of it |

mod names;
pub mod report;
mod rules;
mod secret;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use names::{Branch, Destination, FileMode, InvalidItem, ProjectDirectory, RepositoryUrl, VariableName};
pub use rules::{MAX_ENVIRONMENT_BYTES, MAX_FILES, MAX_SCRIPT_BYTES, MAX_VARIABLES};
pub use secret::Secret;

/// What the terminals of a workspace find on its box.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredEnvironment {
    /// Variables of terminals and commands. Every value counts as secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<VariableName, Secret>,
    /// Files below the home directory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<Destination, DesiredFile>,
    /// A repository that is cloned once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// A script that is run after each start of a box, once files and repository are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_start: Option<String>,
    /// Secret values have been taken out of this copy: those that are missing are not known, rather than not
    /// wanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredFile {
    /// Its content.
    pub content: Secret,
    /// Its permissions.
    pub mode: FileMode,
    /// Whether it must not be on the volume: it lives in memory then, behind a symbolic link.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Where it is.
    pub url: RepositoryUrl,
    /// The directory below `projects` that it gets.
    pub directory: ProjectDirectory,
    /// The branch; the repository's own choice when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Branch>,
    /// What the server asks for, over https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

impl DesiredEnvironment {
    /// Whether anything of it is secret.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        !self.variables.is_empty()
            || self.files.values().any(|file| file.secret)
            || self.repository.as_ref().is_some_and(|repository| repository.token.is_some())
    }

    /// The same without secret values, as it may be kept on a volume: what is secret is not mentioned there.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let plain = |(_, file): &(&Destination, &DesiredFile)| !file.secret;
        let files = self.files.iter().filter(plain).map(|(path, file)| (path.clone(), file.clone()));
        let repository = self.repository.clone().map(|repository| Repository { token: None, ..repository });
        Self {
            variables: BTreeMap::new(),
            files: files.collect(),
            repository,
            post_start: self.post_start.clone(),
            withheld: self.withheld || self.has_secrets(),
        }
    }
}

#[cfg(test)]
mod tests;
