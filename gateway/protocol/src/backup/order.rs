//! What a box is told: where its backups go, and what to restore.

use serde::{Deserialize, Serialize};

use super::names::{InvalidName, Repository, SnapshotRef, VolumePath};
use crate::environment::Secret;

/// Where a workspace's backups go. Travels in the desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredBackup {
    /// The repository.
    pub repository: Repository,
    /// What opens it. Absent in a copy that is kept on a volume: not known, rather than not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<BackupCredentials>,
    /// The keys can add and not delete, so another prunes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub add_only: bool,
}

/// What opens a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupCredentials {
    /// The access key's name. It is no secret.
    pub key_id: String,
    /// The access key.
    pub secret_key: Secret,
    /// What goes with a temporary access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret>,
    /// The repository's own password: what is in it can't be read without.
    pub password: Secret,
}

impl DesiredBackup {
    /// The same without secrets, as it may be kept on a volume.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        Self { credentials: None, ..self.clone() }
    }

    /// Whether a program can be given all of it as it is.
    ///
    /// # Errors
    /// [`InvalidName`].
    pub fn check(&self) -> Result<(), InvalidName> {
        self.repository.check()?;
        self.credentials.as_ref().map_or(Ok(()), BackupCredentials::check)
    }
}

impl BackupCredentials {
    /// Whether they fit into variables of an environment.
    ///
    /// # Errors
    /// [`InvalidName`], which tells nothing of a value.
    pub fn check(&self) -> Result<(), InvalidName> {
        let fits =
            |bytes: &[u8]| !bytes.is_empty() && bytes.len() <= 8192 && bytes.iter().all(u8::is_ascii_graphic);
        let parts = [
            ("the key's id", Some(self.key_id.as_bytes())),
            ("the secret key", Some(self.secret_key.expose())),
            ("the session token", self.session_token.as_ref().map(Secret::expose)),
            ("the password", Some(self.password.expose())),
        ];
        for (what, value) in parts {
            if value.is_some_and(|value| !fits(value)) {
                return Err(InvalidName {
                    what,
                    problem: "must be plain characters without blanks, and not empty",
                });
            }
        }
        Ok(())
    }
}

/// A file or directory to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// In which snapshot.
    pub snapshot: SnapshotRef,
    /// Where, in the user's tree.
    pub path: VolumePath,
}

/// What to restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOrder {
    /// From which snapshot.
    pub snapshot: SnapshotRef,
    /// The file or directory, in the user's tree; `/user` is all of it.
    pub path: VolumePath,
    /// Where to.
    pub place: Place,
}

/// Where something is restored to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Into a directory of its own, `restored/<snapshot>…` in the user's tree.
    Aside,
    /// Where it was. What is there is replaced; what the snapshot does not have stays.
    InPlace,
}

impl RestoreOrder {
    /// Whether only the user's tree is touched.
    ///
    /// # Errors
    /// [`InvalidName`].
    pub fn check(&self) -> Result<(), InvalidName> {
        if self.path.is_users() {
            return Ok(());
        }
        Err(InvalidName { what: "the path", problem: "must be in /user: nothing else is restored" })
    }
}
