//! `box-agent attach`: what ttyd starts for each terminal. It trades its attachment for a command line of tmux
//! and becomes that command.

use std::path::{Path, PathBuf};

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::ids::AttachmentId;
use clap::Args;

use crate::control::client::{ControlError, ask};
use crate::control::{Answer, Request};
use crate::host::child::exec_holding;

#[derive(Debug, Args)]
pub(super) struct Attach {
    /// The agent's control socket
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// The attachment, as the door named it
    attachment: AttachmentId,
}

/// tmux can't be started.
#[derive(Debug, thiserror::Error)]
#[error("failed to start {program}")]
struct StartError {
    program: String,
    source: std::io::Error,
}

impl Attach {
    pub(super) fn run(self) -> Result<Exit, Fatal> {
        let request = Request::Attach(self.attachment);
        let (answer, connection) = ask(&self.socket, &request).map_err(Fatal::with(Exit::Failure))?;
        match answer {
            Answer::Attach(argv) if !argv.is_empty() => {
                let program = argv[0].clone();
                let Err(source) = exec_holding(&connection, Path::new(&program), &argv[1..]);
                Err(Fatal::with(Exit::Unavailable)(StartError { program, source }))
            }
            _ => {
                let problem = std::io::Error::other("it answered another question");
                Err(Fatal::with(Exit::Failure)(ControlError::Unintelligible(problem)))
            }
        }
    }
}
