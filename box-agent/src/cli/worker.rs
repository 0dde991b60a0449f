//! `box-agent worker`: what the agent starts for work in the user's own files.

use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;

use berth_daemon::exit::Exit;
use berth_protocol::control::files::{FileName, MAX_UPLOAD};
use clap::{Args, Subcommand};

use crate::environment::job::MAX_JOB;
use crate::worker::environment::settle;
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
    /// Put variables and files in place as the job on standard input says
    Environment {
        /// The user's tree
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// The user's directory in memory
        #[arg(long, value_name = "DIR")]
        secrets: PathBuf,
    },
}

impl Worker {
    pub(super) fn run(self) -> Exit {
        // Plain data: it always serialises.
        let said = match self.work {
            Work::Upload { directory, name, length } => {
                let outcome = match store(&directory, &name, length, io::stdin().lock()) {
                    Ok(name) => Outcome::Stored(name),
                    Err(failure) => Outcome::Failed(failure),
                };
                serde_json::to_vec(&outcome).unwrap_or_default()
            }
            Work::Environment { root, secrets } => {
                let Some(job) = job() else { return Exit::Failure };
                serde_json::to_vec(&settle(&root, &secrets, job)).unwrap_or_default()
            }
        };
        match io::stdout().write_all(&said) {
            Ok(()) => Exit::Success,
            Err(_) => Exit::Failure,
        }
    }
}

/// The job: the first line of standard input. What is wrong with one is not said: it may hold secrets.
fn job<T: serde::de::DeserializeOwned>() -> Option<T> {
    let mut text = Vec::new();
    io::stdin().lock().take(MAX_JOB).read_until(b'\n', &mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
