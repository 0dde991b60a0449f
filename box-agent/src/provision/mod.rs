//! Makes a new machine the box that its user-data says: cloud-init has written [`Provision`] into a file, and here it is
//! taken from there, once. `forget` then takes away what cloud-init keeps.
//!
//! ```text
//!  user-data ─ cloud-init ─▶ provision.json ─▶ settings beside config.toml
//!                                          └─▶ enrolment ─▶ identity     (provision.json is gone)
//! ```
//!
//! Each step can be done again. What starting again can't mend, and what it can, is told by the exit code.

mod forget;

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use berth_daemon::exit::Exit;
use berth_daemon::state::{StateError, private_dir, write_private};
use berth_protocol::enroll::{EnrollmentToken, InvalidToken};
use berth_protocol::provision::{Provision, ProvisionedVolume};

use crate::identity::IdentityError;
use crate::identity::enroll::EnrollError;
use crate::identity::gateway::AskError;
use crate::volume::source::Source;

pub use forget::{erase, forget};

/// The name of the settings that user-data brought, beside the settings file.
const DROP_IN: &str = "50-provision.toml";

/// The longest file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a machine did not become a box.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// Nobody has said what it is to become.
    #[error(
        "this machine was not told what to become: {0} is missing. Its user-data must be what `gateway workspace \
         user-data <name>` prints; `cloud-init status --long` and `cloud-init schema --system` say what became of it"
    )]
    Nothing(PathBuf),
    /// The file can't be read.
    #[error("failed to read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// The file is not what the gateway prints.
    #[error(
        "{path} is damaged ({problem}): the machine needs new user-data, of `gateway workspace user-data <name>`"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Its token is none.
    #[error(
        "the token in {path} is none: the machine needs new user-data, of `gateway workspace user-data <name>`"
    )]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: InvalidToken,
    },
    /// The settings can't be written.
    #[error(transparent)]
    State(#[from] StateError),
    /// What was used up can't be taken away.
    #[error("failed to take away {path}, which holds secrets: remove it")]
    Left {
        /// The file or directory.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// The gateway did not take it in.
    #[error("this machine did not become a box")]
    Enroll(#[from] EnrollError),
}

impl ProvisionError {
    /// The exit code: [`Exit::Config`] where only new user-data, or a person, can mend it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Nothing(_) | Self::Damaged { .. } | Self::Token { .. } => Exit::Config,
            Self::Unreadable { .. } | Self::State(_) | Self::Left { .. } => Exit::State,
            Self::Enroll(EnrollError::Ask(AskError::Unreachable { .. })) => Exit::Unavailable,
            Self::Enroll(EnrollError::WrongGateway { .. }) => Exit::Config,
            Self::Enroll(EnrollError::Refused { kind, .. }) if kind.starts_with("enrollment_token_") => {
                Exit::Config
            }
            Self::Enroll(EnrollError::Identity(IdentityError::State(_))) => Exit::State,
            Self::Enroll(_) => Exit::Failure,
        }
    }
}

/// Reads what the machine is to become.
///
/// # Errors
/// [`ProvisionError`].
pub fn read(path: &Path) -> Result<(Provision, EnrollmentToken), ProvisionError> {
    use io::Read;
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ProvisionError::Nothing(path.to_owned()));
        }
        Err(source) => return Err(ProvisionError::Unreadable { path: path.to_owned(), source }),
        Ok(_) => {}
    }
    let provision: Provision = serde_json::from_str(&text).map_err(|error| ProvisionError::Damaged {
        path: path.to_owned(),
        // serde's words may cite the text, and with it the secret.
        problem: format!("line {}, column {}", error.line(), error.column()),
    })?;
    let token = provision.token.parse();
    let token = token.map_err(|source| ProvisionError::Token { path: path.to_owned(), source })?;
    Ok((provision, token))
}

/// Writes the settings that belong to this machine into the directory of those beside `config`.
///
/// # Errors
/// [`ProvisionError::State`].
pub fn write_settings(config: &Path, provision: &Provision) -> Result<(), ProvisionError> {
    let Some(volume) = &provision.volume else { return Ok(()) };
    let directory = config.with_extension("d");
    private_dir(&directory)?;
    let file = directory.join(DROP_IN);
    write_private(&file, settings(volume).as_bytes())?;
    // Whoever asks the agent reads its settings, the terminals' user too, and there is no secret in these.
    for (path, mode) in [(directory, 0o755), (file, 0o644)] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode))
            .map_err(|source| StateError::Unwritable { path, source })?;
    }
    Ok(())
}

fn settings(volume: &ProvisionedVolume) -> String {
    format!(
        "# Of this machine's user-data.\n[volume]\nsource = \"{}\"\nnew = {}\n",
        Source::Hcloud(volume.hcloud_id),
        volume.new
    )
}

#[cfg(test)]
mod tests {
    use berth_daemon::config::{Sources, drop_ins};

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn the_settings_of_user_data_are_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        std::fs::write(&config, "[volume]\npath = \"/mnt/workspace\"\n").unwrap();
        let volume = Some(ProvisionedVolume { hcloud_id: 4711, new: true });
        write_settings(&config, &Provision { token: String::new(), volume }).unwrap();
        let sources =
            Sources { file: Some(&config), drop_ins: drop_ins(&config).unwrap(), ..Sources::default() };
        let settings = Settings::load(&sources).unwrap();
        assert_eq!((settings.volume.source, settings.volume.new), (Source::Hcloud(4711), true));
    }

    #[test]
    fn what_is_wrong_with_it_is_said_without_its_secret() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("provision.json");
        let refusal = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let error = read(&file).unwrap_err();
            assert_eq!(error.exit(), Exit::Config, "{error}");
            let said = berth_daemon::exit::chain(&error);
            assert!(!said.contains("hush") && said.contains("gateway workspace user-data"), "{said}");
        };
        refusal("{\"token\": \"berth1.hush\"}");
        refusal("{\"token\": \"berth1.hush\", \"volume\": \"hush\"}");
        refusal("{\"token\": hush");
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(read(&file), Err(ProvisionError::Nothing(_))));
    }
}
