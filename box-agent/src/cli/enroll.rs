//! `box-agent enroll`: gives this machine an identity.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use berth_daemon::exit::{Exit, Fatal};
use berth_daemon::state::StateLock;
use berth_protocol::enroll::EnrollmentToken;
use clap::Args;

use super::Options;
use crate::identity::IdentityError;
use crate::identity::enroll::{EnrollError, enroll};
use crate::identity::gateway::AskError;

/// The longest text that is read as a token.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct Enroll {
    /// The file with the token, or - for standard input; a token never belongs on a command line
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Replace the identity that this box has
    #[arg(long)]
    replace: bool,
}

/// The token can't be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the token from {place}")]
struct TokenUnreadable {
    place: String,
    source: io::Error,
}

impl Enroll {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        let settings = options.settings()?;
        let text = read(&self.token_file).map_err(Fatal::with(Exit::Usage))?;
        let token: EnrollmentToken = text.parse().map_err(Fatal::with(Exit::Usage))?;
        // Not while an agent runs: it would go on under the old name.
        let _lock =
            StateLock::acquire(&settings.state_dir, "agent.lock").map_err(Fatal::with(Exit::State))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fatal::with(Exit::Failure))?;
        let facts = runtime
            .block_on(enroll(&settings.state_dir, &token, self.replace))
            .map_err(|error| Fatal::with(exit_of(&error))(error))?;
        println!("enrolled as {} for workspace {}", facts.instance, facts.workspace);
        Ok(Exit::Success)
    }
}

fn read(path: &Path) -> Result<String, TokenUnreadable> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().take(MAX_TOKEN_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_TOKEN_BYTES).read_to_string(&mut text))
    };
    let place = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    read.map(|_| text).map_err(|source| TokenUnreadable { place, source })
}

fn exit_of(error: &EnrollError) -> Exit {
    match error {
        EnrollError::Identity(IdentityError::AlreadyEnrolled(_)) => Exit::Config,
        EnrollError::Identity(_) => Exit::State,
        EnrollError::Ask(AskError::Unreachable { .. }) => Exit::Unavailable,
        _ => Exit::Failure,
    }
}
