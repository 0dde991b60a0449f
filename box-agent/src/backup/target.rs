//! Where backups go and what opens it: as the gateway says, or as the operator of the machine does. It is read anew for
//! each run, so keys are rotated without a restart.

use std::path::{Path, PathBuf};

use berth_protocol::backup::{BackupCredentials, DesiredBackup, Repository};
use berth_protocol::environment::Secret;

use super::problem::Problem;
use crate::settings::BackupSettings;

/// Bytes of a credential's file, at most.
const MAX_FILE: u64 = 16 * 1024;

/// A repository with what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The repository.
    pub repository: Repository,
    /// What opens it.
    pub credentials: BackupCredentials,
    /// Its keys can add and not delete.
    pub add_only: bool,
}

/// Where backups go now. What the machine's operator says outweighs what the gateway says.
///
/// # Errors
/// [`Problem::NotConfigured`] when nobody says it, [`Problem::Settings`] when it is not usable.
pub fn find(settings: &BackupSettings, desired: Option<&DesiredBackup>) -> Result<Target, Problem> {
    let target = match (&settings.repository, desired) {
        (Some(repository), _) => Target {
            repository: repository.clone(),
            credentials: from_files(settings)?,
            add_only: settings.add_only,
        },
        (None, Some(DesiredBackup { repository, credentials: Some(credentials), add_only })) => {
            Target { repository: repository.clone(), credentials: credentials.clone(), add_only: *add_only }
        }
        (None, Some(_)) => {
            let message =
                "the keys of the repository are not known yet: the gateway tells them when the link is up";
            return Err(Problem::Settings(message.into()));
        }
        (None, None) => return Err(Problem::NotConfigured),
    };
    let invalid = |error: berth_protocol::backup::InvalidName| Problem::Settings(error.to_string());
    target.repository.check().map_err(invalid)?;
    target.credentials.check().map_err(invalid)?;
    Ok(target)
}

/// The repository that is known, with or without its keys.
#[must_use]
pub fn known(settings: &BackupSettings, desired: Option<&DesiredBackup>) -> Option<Repository> {
    settings.repository.clone().or_else(|| desired.map(|desired| desired.repository.clone()))
}

fn from_files(settings: &BackupSettings) -> Result<BackupCredentials, Problem> {
    let systemd = || std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let directory = settings.credentials.clone().or_else(systemd).ok_or_else(|| {
        let message = "backup.repository is set, and where its keys are is not: set backup.credentials, or LoadCredential= of the unit";
        Problem::Settings(message.into())
    })?;
    let needed = |name| {
        read(&directory, name)?.ok_or_else(|| {
            let path = directory.join(name);
            Problem::Settings(format!("{} is missing: it holds one of the keys of backups", path.display()))
        })
    };
    let key_id = String::from_utf8_lossy(needed("backup-key-id")?.expose()).into_owned();
    Ok(BackupCredentials {
        key_id,
        secret_key: needed("backup-secret-key")?,
        session_token: read(&directory, "backup-session-token")?,
        password: needed("backup-password")?,
    })
}

fn read(directory: &Path, name: &str) -> Result<Option<Secret>, Problem> {
    let path = directory.join(name);
    let unreadable =
        |error: std::io::Error| Problem::Settings(format!("failed to read {}: {error}", path.display()));
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
        Ok(meta) if meta.len() > MAX_FILE => {
            return Err(Problem::Settings(format!("{} is too long for a key", path.display())));
        }
        Ok(_) => {}
    }
    let bytes = std::fs::read(&path).map_err(unreadable)?;
    Ok(Some(Secret::new(bytes.trim_ascii())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(bucket: &str) -> Repository {
        Repository {
            endpoint: "http://127.0.0.1:9".into(),
            bucket: bucket.into(),
            prefix: "p".into(),
            region: "auto".into(),
        }
    }

    #[test]
    fn the_machine_outweighs_the_gateway_and_files_are_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = Some(BackupCredentials {
            key_id: "gw".into(),
            secret_key: Secret::new("s"),
            session_token: None,
            password: Secret::new("p"),
        });
        let desired = DesiredBackup { repository: repository("gateway"), credentials, add_only: true };
        let none = BackupSettings::default();
        assert_eq!(find(&none, None), Err(Problem::NotConfigured));
        let found = find(&none, Some(&desired)).unwrap();
        assert!(found.repository.bucket == "gateway" && found.add_only);
        let withheld = desired.without_secrets();
        assert!(matches!(find(&none, Some(&withheld)), Err(Problem::Settings(_))));

        let own = BackupSettings {
            repository: Some(repository("machine")),
            credentials: Some(dir.path().to_owned()),
            ..BackupSettings::default()
        };
        let error = find(&own, Some(&desired)).unwrap_err().to_string();
        assert!(error.contains("backup-key-id is missing"), "{error}");
        for (name, value) in
            [("backup-key-id", "id\n"), ("backup-secret-key", "one\n"), ("backup-password", "pw")]
        {
            std::fs::write(dir.path().join(name), value).unwrap();
        }
        let key = || find(&own, Some(&desired)).unwrap().credentials.secret_key.expose().to_vec();
        assert_eq!(key(), b"one");
        std::fs::write(dir.path().join("backup-secret-key"), "two").unwrap();
        assert_eq!(key(), b"two");
        std::fs::write(dir.path().join("backup-secret-key"), "canary value").unwrap();
        let error = find(&own, None).unwrap_err().to_string();
        assert!(error.contains("the secret key") && !error.contains("canary"), "{error}");
    }
}
