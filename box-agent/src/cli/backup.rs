//! `box-agent backup`: asks the running agent for backups and restores, and follows them.
//!
//! Exit codes: 0 done, 3 done and something was left out, 1 failed or ended early.

mod archive;
mod show;

use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::backup::{
    BackupRun, BackupState, Outcome, Place, RestoreOrder, SnapshotRef, VolumePath, Work,
};
use clap::{Args, Subcommand};

use super::{Options, unexpected};
use crate::control::client::{ControlError, ask_within};
use crate::control::{Answer, BackupRequest, Request};

/// How often the agent is asked how far it is.
const PAUSE: Duration = Duration::from_millis(300);

/// How long an answer from the repository may take.
const PATIENCE: Duration = Duration::from_secs(150);

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// Answers as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a backup now, and follow it to its end
    Run,
    /// Say how backups are: what goes on, what was, what is next
    Status,
    /// List the snapshots
    List,
    /// List a directory of a snapshot
    Ls {
        /// The directory: /user and below, as a snapshot has it, or as this machine does
        #[arg(default_value = "/user")]
        path: PathBuf,
        /// The snapshot
        #[arg(long, default_value = "latest")]
        snapshot: SnapshotRef,
    },
    /// Say what is different between two snapshots
    Diff {
        /// The older
        before: SnapshotRef,
        /// The newer
        #[arg(default_value = "latest")]
        after: SnapshotRef,
    },
    /// Bring a file or a directory back, and follow that to its end
    Restore(Restore),
    /// Read backups back now, and compare
    Check,
    /// Write everything of the user's as one archive, tar in zstd, with an index as its last member
    Export {
        /// Where to: s3 (beside the repository), a file that is not there yet, or - for standard output
        #[arg(long, value_name = "s3|FILE|-")]
        to: PathBuf,
    },
    /// Read an archive of export to its end, and hold it to its index
    ExportCheck {
        /// The archive; - is standard input
        #[arg(value_name = "FILE|-")]
        archive: PathBuf,
    },
    /// End what goes on
    Cancel,
}

#[derive(Debug, Args)]
struct Restore {
    /// What: a path below /user, as a snapshot has it, or as this machine does
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    path: Option<PathBuf>,
    /// The user's whole tree, in place: what a new and empty volume needs
    #[arg(long)]
    all: bool,
    /// From which snapshot
    #[arg(long, default_value = "latest")]
    snapshot: SnapshotRef,
    /// Put it where it was; a backup of how things are is made first. Else it goes to user/restored
    #[arg(long)]
    in_place: bool,
}

/// A path that is not on the volume.
#[derive(Debug, thiserror::Error)]
#[error("{path} is not in a backup: name a path below /user, or below {volume}")]
struct NotThere {
    path: String,
    volume: String,
}

impl Backup {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        let json = self.json;
        match self.verb {
            Verb::Run => follow(options, BackupRequest::Run, Work::Backup, json),
            Verb::Check => follow(options, BackupRequest::Drill, Work::Drill, json),
            Verb::Export { to } if to == Path::new("s3") => {
                follow(options, BackupRequest::Export, Work::Export, json)
            }
            Verb::Export { to } => archive::export(options, &to, json),
            Verb::ExportCheck { archive } => archive::check(&archive, json),
            Verb::Restore(restore) => {
                let order = restore.order(options)?;
                follow(options, BackupRequest::Restore(order), Work::Restore, json)
            }
            Verb::Status => {
                let state = state(options, BackupRequest::State)?;
                show::state(&state, json);
                Ok(if state.alarms.is_empty() { Exit::Success } else { Exit::Failure })
            }
            Verb::Cancel => {
                let state = state(options, BackupRequest::Cancel)?;
                show::state(&state, json);
                Ok(Exit::Success)
            }
            Verb::List => match ask(options, BackupRequest::Snapshots)? {
                Answer::Snapshots(snapshots) => Ok(show::snapshots(&snapshots, json)),
                _ => Err(unexpected()),
            },
            Verb::Ls { path, snapshot } => {
                let path = on_volume(options, &path)?;
                match ask(options, BackupRequest::Entries(snapshot, path))? {
                    Answer::Entries(entries) => Ok(show::entries(&entries, json)),
                    _ => Err(unexpected()),
                }
            }
            Verb::Diff { before, after } => match ask(options, BackupRequest::Changes(before, after))? {
                Answer::Changes(changes) => Ok(show::changes(&changes, json)),
                _ => Err(unexpected()),
            },
        }
    }
}

impl Restore {
    fn order(self, options: &Options) -> Result<RestoreOrder, Fatal> {
        let path = match &self.path {
            Some(path) => on_volume(options, path)?,
            None => on_volume(options, Path::new("/user"))?,
        };
        let place = if self.in_place || self.all { Place::InPlace } else { Place::Aside };
        Ok(RestoreOrder { snapshot: self.snapshot, path, place })
    }
}

/// A path as a snapshot has it.
fn on_volume(options: &Options, path: &Path) -> Result<VolumePath, Fatal> {
    let settings = options.settings()?;
    let volume = settings.volume.path.clone();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let home = settings.layout.home.as_ref().and_then(|home| absolute.strip_prefix(home).ok());
    let below = match (absolute.strip_prefix(&volume), home) {
        (Ok(below), _) => Path::new("/").join(below),
        (_, Some(below)) => Path::new("/user/home").join(below),
        _ => absolute,
    };
    let text = below.to_str().map(|text| if text.len() > 1 { text.trim_end_matches('/') } else { text });
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        let (path, volume) = (path.display().to_string(), volume.display().to_string());
        Fatal::with(Exit::Usage)(NotThere { path, volume })
    })
}

fn ask(options: &Options, request: BackupRequest) -> Result<Answer, Fatal> {
    let answer = ask_within(&options.socket()?, &Request::Backup(request), PATIENCE);
    answer.map(|(answer, _)| answer).map_err(Fatal::with(Exit::Failure))
}

fn state(options: &Options, request: BackupRequest) -> Result<BackupState, Fatal> {
    match ask(options, request)? {
        Answer::Backup(state) => Ok(*state),
        _ => Err(unexpected()),
    }
}

/// Orders, says how it goes, and tells how it ended.
fn follow(options: &Options, request: BackupRequest, work: Work, json: bool) -> Result<Exit, Fatal> {
    let newest = |state: &BackupState| state.history.first().map_or(0, |run| run.run);
    let before = newest(&state(options, BackupRequest::State)?);
    let mut now = state(options, request)?;
    let mut said = String::new();
    loop {
        let done = |run: &&BackupRun| run.run > before && run.work == work && run.outcome.is_some();
        if let Some(run) = now.history.iter().find(done) {
            show::run(run, json);
            return Ok(match run.outcome {
                Some(Outcome::Good) => Exit::Success,
                Some(Outcome::Partial) => Exit::Partial,
                _ => Exit::Failure,
            });
        }
        if let Some(running) = now.running.as_ref().filter(|_| !json) {
            let line = show::running(running);
            if line != said {
                println!("{line}");
                said = line;
            }
        }
        std::thread::sleep(PAUSE);
        now = match state(options, BackupRequest::State) {
            // Busy for a moment, perhaps.
            Err(error) if error.error.downcast_ref::<ControlError>().is_none() => return Err(error),
            other => other?,
        };
    }
}
