//! `box-agent worker`: what the agent starts for work in the user's own files.

use std::io::{self, BufRead, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_daemon::exit::Exit;
use berth_protocol::control::files::{FileName, MAX_UPLOAD};
use clap::{Args, Subcommand};

use crate::environment::job::MAX_JOB;
use crate::host::child::kill_own_group;
use crate::host::holders::holders;
use crate::host::mounts::Number;
use crate::worker::clone::clone;
use crate::worker::credential::answer;
use crate::worker::environment::settle;
use crate::worker::upload::{Outcome, store};
use crate::worker::{compare, databases, export, hooks, post_start, restore, sample};

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
    Environment(Places),
    /// Clone the repository of the job on standard input, for as long as that stays open
    Clone(Places),
    /// Run the script of the job on standard input, for as long as that stays open
    PostStart(Places),
    /// Take hashes of some files
    Sample {
        /// The user's tree
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// Say instead which of the files on standard input are still the same
        #[arg(long)]
        unchanged: bool,
    },
    /// Write the user's tree as an archive on standard output, and on standard error what is in it
    Export {
        /// The user's tree
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
    },
    /// Copy the user's databases to where a backup finds them whole
    Databases {
        /// The user's tree
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// Remove the copies instead
        #[arg(long)]
        remove: bool,
        /// How long that may take
        #[arg(long, default_value_t = 0)]
        patience_secs: u64,
        /// Bytes of one database, at most
        #[arg(long, default_value_t = 0)]
        each_bytes: u64,
    },
    /// Put what is in the directory that is standard input in its place
    Place {
        /// The user's tree
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// What, as JSON
        #[arg(long)]
        job: String,
    },
    /// Say what restoring the entries on standard input would change
    Compare {
        /// The user's tree
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
    },
    /// Enter hooks into the settings of coding agents, or take them out, as the job on standard input says
    Hooks(Places),
    /// Name the processes that use a device
    Holders {
        /// The device's number, first part
        #[arg(long)]
        major: u32,
        /// The device's number, second part
        #[arg(long)]
        minor: u32,
        /// It is not mounted here any more
        #[arg(long)]
        unmounted: bool,
    },
    /// Tell git a token for one server
    Credential {
        /// https or http
        #[arg(long)]
        scheme: String,
        /// The server, with its port if that is named
        #[arg(long)]
        authority: String,
        /// Where the token is
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
        /// What git wants done
        operation: String,
    },
}

#[derive(Debug, Args)]
struct Places {
    /// The user's tree
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// The user's directory in memory
    #[arg(long, value_name = "DIR")]
    secrets: PathBuf,
}

impl Worker {
    pub(super) fn run(self) -> Exit {
        let done = match self.work {
            Work::Upload { directory, name, length } => {
                let outcome = match store(&directory, &name, length, io::stdin().lock()) {
                    Ok(name) => Outcome::Stored(name),
                    Err(failure) => Outcome::Failed(failure),
                };
                say(&outcome)
            }
            Work::Environment(Places { root, secrets }) => {
                job().and_then(|job| say(&settle(&root, &secrets, job)))
            }
            Work::Hooks(Places { root, .. }) => job().and_then(|job| say(&hooks::settle(&root, &job))),
            Work::Clone(Places { root, secrets }) => job().map(|job| {
                end_with_input();
                // Nobody who listens: then the input has ended, too.
                clone(&root, &secrets, &job, |line| {
                    let _ = say(&line);
                });
            }),
            Work::PostStart(Places { root, secrets }) => job().and_then(|job| {
                end_with_input();
                say(&post_start::run(&root, &secrets, &job))
            }),
            Work::Sample { root, unchanged: false } => say(&sample::take(&root)),
            Work::Sample { root, unchanged: true } => {
                job().and_then(|files| say(&sample::unchanged(&root, files)))
            }
            Work::Export { root } => write_archive(&root),
            Work::Databases { root, remove: true, .. } => {
                databases::remove(&root).map_err(complain).ok().and_then(|()| say(&()))
            }
            Work::Databases { root, patience_secs, each_bytes, .. } => {
                let limits = databases::Limits { patience: Duration::from_secs(patience_secs), each_bytes };
                databases::copy(&root, limits).map_err(complain).ok().and_then(|made| say(&made))
            }
            Work::Compare { root } => say(&compare::compare(&root, io::stdin().lock())),
            Work::Place { root, job } => place(&root, &job),
            Work::Holders { major, minor, unmounted } => say(&holders(Number(major, minor), unmounted)),
            Work::Credential { scheme, authority, token_file, operation } => {
                let server = (scheme.as_str(), authority.as_str());
                let token = std::fs::read(token_file).unwrap_or_default();
                answer(&operation, io::stdin().lock(), server, &token, io::stdout()).ok()
            }
        };
        if done.is_some() { Exit::Success } else { Exit::Failure }
    }
}

/// Writes the archive. Its bytes have the standard output, so what is in it is said on the other.
fn write_archive(root: &Path) -> Option<()> {
    let summary = export::export(root, io::stdout().lock()).map_err(complain).ok()?;
    serde_json::to_writer(io::stderr().lock(), &summary).ok()
}

/// For whoever started this.
fn complain(error: io::Error) {
    let _ = writeln!(io::stderr(), "{error}");
}

/// Places what is in the directory that is standard input.
fn place(root: &Path, job: &str) -> Option<()> {
    let staged = io::stdin().as_fd().try_clone_to_owned().ok()?;
    let job = serde_json::from_str(job).ok()?;
    say(&restore::place(root, &staged, &job))
}

/// Says one thing, in one line.
fn say(what: &impl serde::Serialize) -> Option<()> {
    // Plain data: it always serialises.
    let mut line = serde_json::to_vec(what).unwrap_or_default();
    line.push(b'\n');
    io::stdout().write_all(&line).ok()
}

/// Ends this process, and all that it has started, once standard input ends: the agent is gone then.
fn end_with_input() {
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        kill_own_group();
    });
}

/// The job: the first line of standard input. What is wrong with one is not said: it may hold secrets.
fn job<T: serde::de::DeserializeOwned>() -> Option<T> {
    let mut text = Vec::new();
    io::stdin().lock().take(MAX_JOB).read_until(b'\n', &mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
