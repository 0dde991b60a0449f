//! What the two tasks of the environment share: the latest wish, the record, and what is said of both.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::desired::DesiredVersion;
use berth_protocol::environment::report::{EnvironmentReport, WorkReport, WorkState};
use berth_protocol::environment::{DesiredEnvironment, Destination};
use tokio::sync::{Mutex, watch};

use super::ask::ask;
use super::job::{FilesJob, FilesOutcome};
use super::record::Record;
use crate::host::account::Account;
use crate::troubles::Troubles;
use crate::worker::environment::VARIABLES_FILE;

/// The part that troubles are said of.
const TROUBLE: &str = "environment";

/// How long files and variables may take.
const FILES_LIMIT: Duration = Duration::from_secs(20);

/// Where things are, and who does them.
pub struct Places {
    /// This program, which does the work as the user of terminals.
    pub agent: PathBuf,
    /// The user of terminals.
    pub account: Account,
    /// The environment of terminals.
    pub env: Vec<(OsString, OsString)>,
    /// The user's tree on the volume.
    pub user: PathBuf,
    /// The user's own directory in memory.
    pub secrets: PathBuf,
    /// The record, on the volume and the agent's own.
    pub record: PathBuf,
    /// This boot of this instance.
    pub boot: String,
}

impl Places {
    /// The file with the variables.
    #[must_use]
    pub fn variables(&self) -> PathBuf {
        self.secrets.join(VARIABLES_FILE)
    }
}

/// What both tasks know.
pub struct Board {
    /// Where things are.
    pub places: Places,
    state: Mutex<State>,
    report: watch::Sender<Option<EnvironmentReport>>,
    troubles: Troubles,
}

#[derive(Default)]
struct State {
    record: Record,
    latest: Option<DesiredEnvironment>,
}

impl Board {
    /// A board with the record of the volume.
    #[must_use]
    pub fn new(places: Places, report: watch::Sender<Option<EnvironmentReport>>, troubles: Troubles) -> Self {
        let state = State { record: Record::load(&places.record), latest: None };
        Self { places, state: Mutex::new(state), report, troubles }
    }

    /// What is recorded.
    pub async fn record(&self) -> Record {
        self.state.lock().await.record.clone()
    }

    /// Changes what is recorded, and keeps it.
    pub async fn note(&self, change: impl FnOnce(&mut Record)) {
        let mut state = self.state.lock().await;
        change(&mut state.record);
        self.keep(&state.record);
    }

    fn keep(&self, record: &Record) {
        if let Err(error) = record.save(&self.places.record) {
            // What is not recorded is done again, or taken for the user's: neither does harm.
            tracing::warn!(error = chain(&error), "the environment's record was not kept");
        }
    }

    /// Puts variables and files in place: those of `wish`, or of the latest one once more. True: all that could be
    /// tried was.
    pub async fn settle(&self, wish: Option<&DesiredEnvironment>) -> bool {
        let mut state = self.state.lock().await;
        if let Some(wish) = wish {
            state.latest = Some(wish.clone());
        }
        let Some(latest) = &state.latest else { return true };
        if let Err(broken) = latest.check() {
            let message = format!("the gateway's rules differ from this box's: {broken}; update the agent");
            self.say(|report| report.message = Some(message));
            return true;
        }
        let job = job(latest, &state.record);
        match ask::<FilesOutcome>(&self.places, "environment", &job, FILES_LIMIT).await {
            Ok(FilesOutcome { marks, reports, message }) => {
                let failed = message.is_some();
                state.record.marks = marks;
                self.keep(&state.record);
                self.say(|report| (report.files, report.message) = (reports, message));
                !failed
            }
            Err(error) => {
                self.say(|report| report.message = Some(chain(&error)));
                false
            }
        }
    }

    /// Says something of the environment.
    pub fn say(&self, change: impl FnOnce(&mut EnvironmentReport)) {
        self.report.send_if_modified(|known| {
            let mut report = known.clone().unwrap_or_default();
            change(&mut report);
            let report = Some(report.bounded());
            let news = *known != report;
            *known = report;
            news
        });
        match self.report.borrow().as_ref().and_then(trouble) {
            Some(sentence) => self.troubles.set(TROUBLE, sentence),
            None => self.troubles.clear(TROUBLE),
        }
    }

    /// Says of which desired state the report is.
    pub fn say_version(&self, version: &DesiredVersion, wish: &DesiredEnvironment) {
        self.say(|report| {
            report.desired = Some(version.clone());
            report.waits_for_secrets = wish.withheld;
            let waiting = || WorkReport::of(WorkState::Waiting);
            report.repository =
                wish.repository.as_ref().map(|_| report.repository.take().unwrap_or_else(waiting));
            report.post_start =
                wish.post_start.as_ref().map(|_| report.post_start.take().unwrap_or_else(waiting));
        });
    }
}

/// The job that brings variables and files to what is wanted, as far as they can be now.
fn job(wish: &DesiredEnvironment, record: &Record) -> FilesJob {
    let clone = wish.repository.as_ref().filter(|repository| !record.has_cloned(repository));
    let directory = clone.map(|repository| format!("projects/{}", repository.directory));
    // A file in a repository would be in the way of its clone.
    let waits = |path: &Destination| directory.as_ref().is_some_and(|directory| path.is_within(directory));
    let files = wish.files.iter().filter(|(path, _)| !waits(path));
    let files = files.map(|(path, file)| (path.clone(), file.clone())).collect();
    // What is withheld may be any of those that are not named.
    let unnamed = record.marks.keys().filter(|path| wish.withheld && !wish.files.contains_key(*path));
    let untouched = unnamed.chain(wish.files.keys().filter(|path| waits(path))).cloned().collect();
    let variables = (!wish.withheld).then(|| wish.variables.clone());
    FilesJob { variables, files, untouched, marks: record.marks.clone() }
}

/// What an operator should know.
fn trouble(report: &EnvironmentReport) -> Option<String> {
    let failed = |work: &Option<WorkReport>, what: &str| {
        let work = work.as_ref().filter(|work| work.state == WorkState::Failed)?;
        Some(format!("{what}: {}", work.message.as_deref().unwrap_or("failed")))
    };
    let file = || report.files.first().map(|file| format!("~/{}: {}", file.destination, file.message));
    let (repository, script) =
        (failed(&report.repository, "repository"), failed(&report.post_start, "script"));
    report.message.clone().or(repository).or(script).or_else(file)
}

#[cfg(test)]
mod tests {
    use berth_protocol::environment::{DesiredFile, FileMode, Repository, Secret};

    use super::*;
    use crate::environment::plan::Mark;
    use crate::environment::record::Cloned;

    fn wish(withheld: bool) -> DesiredEnvironment {
        let file = DesiredFile { content: Secret::new("x"), mode: FileMode::PUBLIC, secret: false };
        let path = |path: &str| path.parse().unwrap();
        DesiredEnvironment {
            files: [(path("a"), file.clone()), (path("projects/app/.env"), file)].into(),
            repository: Some(Repository {
                url: "https://host/app".parse().unwrap(),
                directory: "app".parse().unwrap(),
                branch: None,
                token: None,
            }),
            withheld,
            ..DesiredEnvironment::default()
        }
    }

    #[test]
    fn files_of_a_repository_wait_until_it_was_cloned() {
        let names = |job: &FilesJob| job.files.keys().map(ToString::to_string).collect::<Vec<_>>();
        let first = job(&wish(false), &Record::default());
        assert_eq!(names(&first), ["a"]);
        assert_eq!(first.untouched, ["projects/app/.env".parse().unwrap()]);
        assert!(first.variables.is_some());
        let cloned = Cloned { url: "https://host/app".parse().unwrap(), directory: "app".parse().unwrap() };
        let record = Record { cloned: Some(cloned), ..Record::default() };
        assert_eq!(names(&job(&wish(false), &record)), ["a", "projects/app/.env"]);
    }

    #[test]
    fn what_is_withheld_is_left_as_it_is() {
        let secret: Destination = ".ssh/id".parse().unwrap();
        let record = Record { marks: [(secret.clone(), Mark::Link)].into(), ..Record::default() };
        let withheld = job(&wish(true), &record);
        assert!(withheld.variables.is_none() && withheld.untouched.contains(&secret));
        assert!(!job(&wish(false), &record).untouched.contains(&secret), "what is not wanted any more goes");
    }
}
