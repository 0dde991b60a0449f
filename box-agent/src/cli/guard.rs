//! `box-agent guard`: what the agent starts in the place of a program that must end with it, even when it is
//! killed. It ties itself to the agent and becomes the program.

use std::ffi::OsString;

use berth_daemon::exit::{Exit, Fatal};
use clap::Args;

use crate::host::child::exec_guarded;

#[derive(Debug, Args)]
pub(super) struct Guard {
    /// The process to end with
    #[arg(long, value_name = "PID")]
    parent: i32,
    /// The program
    program: OsString,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// The program can't be started.
#[derive(Debug, thiserror::Error)]
#[error("failed to start {program}")]
struct StartError {
    program: String,
    source: std::io::Error,
}

impl Guard {
    pub(super) fn run(self) -> Result<Exit, Fatal> {
        let Err(source) = exec_guarded(self.parent, &self.program, &self.args);
        let program = self.program.to_string_lossy().into_owned();
        Err(Fatal::with(Exit::Unavailable)(StartError { program, source }))
    }
}
