//! `box-agent worker`: what the agent starts for work in the user's own files.

use std::io::{self, Write};
use std::path::PathBuf;

use berth_daemon::exit::Exit;
use berth_protocol::control::files::{FileName, MAX_UPLOAD};
use clap::{Args, Subcommand};

use crate::worker::upload::{Outcome, store};

#[derive(Debug, Args)]
pub(super) struct Worker {
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Write standard input to a new file, and say on standard output what became of it
    Upload {
        /// Where
        #[arg(long, value_name = "DIR")]
        directory: PathBuf,
        /// Under which name
        #[arg(long, value_name = "NAME")]
        name: FileName,
        /// How many bytes it has
        #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(..=MAX_UPLOAD))]
        length: u64,
    },
}

impl Worker {
    pub(super) fn run(self) -> Exit {
        let Work::Upload { directory, name, length } = self.work;
        let outcome = match store(&directory, &name, length, io::stdin().lock()) {
            Ok(name) => Outcome::Stored(name),
            Err(failure) => Outcome::Failed(failure),
        };
        // Plain data: it always serialises.
        let said = serde_json::to_vec(&outcome).unwrap_or_default();
        match io::stdout().write_all(&said) {
            Ok(()) => Exit::Success,
            Err(_) => Exit::Failure,
        }
    }
}
