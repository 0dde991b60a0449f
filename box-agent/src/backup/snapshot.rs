//! Makes a snapshot of the volume: whole, or told to be partial.

use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_daemon::state::{private_dir, write_private};
use berth_protocol::backup::{Outcome, Reason, SnapshotRef, VolumePath};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::hand::{self, Hook};
use super::plan::excludes;
use super::problem::{Problem, short};
use super::restic::{Call, Completeness, calls};
use super::run::Run;
use crate::worker::sample::Sampled;

/// The note of the newest good backup.
pub(super) const NOTE_GOOD: &str = "good";

/// The note of a sample that a drill can be held to.
pub(super) const NOTE_SAMPLE: &str = "sample";

/// The note of when space was last given back.
const NOTE_PRUNE: &str = "pruned";

/// What is always backed up, relative to the volume.
const SOURCES: [&str; 3] = ["user", "system/state", "system/backups"];

/// A snapshot that left nothing out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Good {
    pub(super) snapshot: String,
    pub(super) began_ms: i64,
}

/// Files of a snapshot whose content is known by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) snapshot: String,
    pub(super) files: Vec<Sampled>,
}

/// Makes one.
///
/// # Errors
/// [`Problem`]; no snapshot was made then.
pub(super) async fn make(run: &mut Run<'_>) -> Result<Outcome, Problem> {
    let places = &run.engine.places;
    run.enter("looking at what is to be backed up");
    let sources = sources(&places.volume, &run.engine.settings.also);
    let mut whole = sources.missing.is_empty();
    for missing in sources.missing {
        run.warn(missing);
    }
    if !sources.there.iter().any(|source| source == "user") {
        return Err(Problem::NoSource(run.record.warnings.join("; ")));
    }
    run.open(true).await?;
    run.unlock().await?;
    not_over_what_is_to_be_restored(run).await?;
    run.enter("running the user's hook");
    let patience = Duration::from_secs(run.engine.settings.hook_deadline_secs);
    if let Err(sentence) = hand::hook(places, Hook::Before, patience).await {
        whole = false;
        run.warn(sentence);
    }
    run.enter("copying databases");
    if let Err(sentence) = copy_databases(run).await {
        whole = false;
        run.warn(sentence);
    }
    let sample = hand::sample(places).await.unwrap_or_else(|sentence| {
        run.warn(sentence);
        Vec::new()
    });
    let list = excludes::file(&places.volume, &run.engine.settings.exclude, &hand::list(places).await);
    // Before the copies of databases: when it can't be written, none are left behind.
    let file = ListFile::write(&places.papers, &list)?;
    copy_users_databases(run).await;
    run.enter("backing up");
    let host = places.workspace.as_str();
    let (there, volume, path) = (sources.there, places.volume.as_path(), file.0.clone());
    let made = run.call(|| Call::reading(calls::backup(host, &path, &there), volume)).await;
    let summary = run.summary.clone();
    if run.engine.settings.databases {
        remove_database_copies(run).await;
    }
    run.enter("running the user's hook");
    if let Err(sentence) = hand::hook(places, Hook::After, patience).await {
        // The snapshot is not the worse for it.
        run.warn(sentence);
    }
    whole &= made? == Completeness::Whole;
    let snapshot = summary.snapshot_id.ok_or_else(|| Problem::Failed {
        how: "no snapshot".into(),
        words: "restic named no snapshot, although it said that it was done".into(),
    })?;
    run.record.snapshot = Some(snapshot.clone());
    run.record.files = summary.total_files_processed;
    run.record.bytes = summary.total_bytes_processed;
    run.record.added_bytes = summary.data_added_packed;
    remember(run, &snapshot, sample, whole).await;
    tidy(run).await;
    Ok(if whole { Outcome::Good } else { Outcome::Partial })
}

/// A volume that was never backed up does not put itself before the backups of the one that it replaces, unless somebody
/// says so: `latest` would be an empty tree.
async fn not_over_what_is_to_be_restored(run: &mut Run<'_>) -> Result<(), Problem> {
    let unasked = matches!(run.record.reason, Reason::Scheduled | Reason::Suspend);
    let good: Option<Good> = run.store.backup_note(NOTE_GOOD).await.unwrap_or_default();
    if !unasked || good.is_some() {
        return Ok(());
    }
    match super::query::list(run).await?.first() {
        Some(newest) => {
            let time = jiff::Timestamp::from_millisecond(newest.time_ms).unwrap_or_default();
            Err(Problem::NewVolume(time.strftime("%Y-%m-%d %H:%M UTC").to_string()))
        }
        None => Ok(()),
    }
}

/// What is there to be backed up, and what should be and is not.
#[derive(Debug, Default)]
struct Sources {
    there: Vec<String>,
    missing: Vec<String>,
}

/// restic itself would not always tell.
fn sources(volume: &Path, also: &[String]) -> Sources {
    let mut sources = Sources::default();
    for source in SOURCES.iter().map(|source| (*source).to_owned()).chain(also.iter().cloned()) {
        let path = volume.join(&source);
        let looked = match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => std::fs::read_dir(&path).map(drop),
            Ok(_) => Err(std::io::Error::other("it is not a directory")),
            Err(error) => Err(error),
        };
        match looked {
            Ok(()) => sources.there.push(source),
            Err(error) => sources.missing.push(format!("{source} is not backed up: {error}")),
        }
    }
    sources
}

/// Copies the agent's own database, which is written all the time, into what is backed up.
async fn copy_databases(run: &Run<'_>) -> Result<(), String> {
    let directory = run.engine.places.volume.join("system/backups");
    let (new, copy) = (directory.join("agent.db.new"), directory.join("agent.db"));
    let failed = |what: String| format!("the agent's database was not copied: {what}");
    private_dir(&directory).map_err(|error| failed(chain(&error)))?;
    // One that was left behind by an agent that was killed.
    let _ = std::fs::remove_file(&new);
    run.store.copy_to(&new).await.map_err(|error| failed(chain(&error)))?;
    std::fs::rename(&new, &copy).map_err(|error| failed(error.to_string()))
}

/// Copies the user's databases, too, as the user. A backup without a copy is whole: what may be torn in it is named.
async fn copy_users_databases(run: &mut Run<'_>) {
    if !run.engine.settings.databases {
        return;
    }
    run.enter("copying the user's databases");
    let copied = match hand::copy_databases(&run.engine.places, &run.engine.settings).await {
        Ok(copied) => copied,
        Err(sentence) => {
            run.warn(format!("databases were not copied: {sentence}"));
            // A worker that was killed has removed nothing, and without its list nobody knows what is whole.
            return remove_database_copies(run).await;
        }
    };
    tracing::info!(run = run.record.run, databases = copied.found.len(), "databases were looked for");
    for database in copied.found {
        if let Some(problem) = database.problem {
            run.warn(format!(
                "the database {} may be torn in this backup: {}",
                database.path,
                short(&problem)
            ));
        }
    }
    if copied.is_cut {
        run.warn("there are more databases than were looked for: what is not in the list may be torn".into());
    }
}

async fn remove_database_copies(run: &mut Run<'_>) {
    if let Err(sentence) = hand::remove_database_copies(&run.engine.places).await {
        run.warn(format!("copies of databases are left in the user's tree: {sentence}"));
    }
}

/// The list of what is left out, for as long as restic runs.
struct ListFile(PathBuf);

impl ListFile {
    fn write(directory: &Path, text: &str) -> Result<Self, Problem> {
        let not_written = |error: berth_daemon::state::StateError| Problem::NotStarted(chain(&error));
        private_dir(directory).map_err(not_written)?;
        let path = directory.join(format!("{}.exclude", berth_protocol::ids::random_base32()));
        write_private(&path, text.as_bytes()).map_err(not_written)?;
        Ok(Self(path))
    }
}

impl Drop for ListFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Notes what was made, and of which files it is known what is in it.
async fn remember(run: &mut Run<'_>, snapshot: &str, sample: Vec<Sampled>, whole: bool) {
    run.enter("noting what was backed up");
    if whole {
        let good = Good { snapshot: snapshot.to_owned(), began_ms: run.record.began_ms };
        if let Err(error) = run.store.note_backup(NOTE_GOOD, &good).await {
            run.warn(format!("that the backup is good is not noted: {}", chain(&error)));
        }
    }
    let files = match hand::unchanged(&run.engine.places, &sample).await {
        Ok(files) => files,
        Err(sentence) => return run.warn(sentence),
    };
    let files = match in_snapshot(run, snapshot, files).await {
        Ok(files) => files,
        Err(problem) => return run.warn(format!("no sample was noted for drills: {problem}")),
    };
    let sample = Sample { snapshot: snapshot.to_owned(), files };
    if let Err(error) = run.store.note_backup(NOTE_SAMPLE, &sample).await {
        run.warn(format!("no sample was noted for drills: {}", chain(&error)));
    }
}

/// Those of a sample that were not left out of the snapshot.
async fn in_snapshot(
    run: &mut Run<'_>,
    snapshot: &str,
    files: Vec<Sampled>,
) -> Result<Vec<Sampled>, Problem> {
    let invalid = |error: berth_protocol::backup::InvalidName| Problem::Settings(error.to_string());
    let snapshot: SnapshotRef = snapshot.parse().map_err(invalid)?;
    let paths: Vec<VolumePath> =
        files.iter().filter_map(|file| format!("/user/{}", file.path).parse().ok()).collect();
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let found = super::query::sizes(run, &snapshot, &paths).await?;
    let same = |file: &Sampled| found.get(&format!("/user/{}", file.path)) == Some(&file.state.size);
    Ok(files.into_iter().filter(same).collect())
}

/// Forgets what need not be kept, and gives the space back now and then. What fails here fails again tomorrow, and the
/// snapshot is none the worse.
async fn tidy(run: &mut Run<'_>) {
    // What a restore is about to read must not be forgotten before it.
    if run.target.add_only || run.record.reason == Reason::Safety {
        return;
    }
    run.enter("forgetting old snapshots");
    let (host, keep) = (run.engine.places.workspace.as_str(), run.engine.settings.keep);
    if let Err(problem) = run.call(|| Call::remote(calls::forget(host, keep))).await {
        return run.warn(format!("old snapshots were not forgotten: {problem}"));
    }
    let now = Timestamp::now();
    let pruned: Option<i64> = run.store.backup_note(NOTE_PRUNE).await.unwrap_or_default();
    let Some(pruned) = pruned else {
        // A repository that is new here has nothing to give back yet.
        let _ = run.store.note_backup(NOTE_PRUNE, &now.as_millisecond()).await;
        return;
    };
    let age = now.duration_since(Timestamp::from_millisecond(pruned).unwrap_or(now));
    let due =
        SignedDuration::try_from(Duration::from_secs(run.engine.settings.prune_secs)).unwrap_or_default();
    // A box that is about to be suspended has no time for it.
    if age < due || run.record.reason == Reason::Suspend {
        return;
    }
    run.enter("giving space back");
    match run.call(|| Call::remote(calls::prune())).await {
        Ok(_) => {
            let _ = run.store.note_backup(NOTE_PRUNE, &now.as_millisecond()).await;
        }
        Err(problem) => run.warn(format!("space was not given back: {}", short(&problem.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_no_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("user")).unwrap();
        std::fs::create_dir_all(dir.path().join("system/backups")).unwrap();
        std::fs::write(dir.path().join("system/state"), "").unwrap();
        let sources = sources(dir.path(), &["system/more".into()]);
        assert_eq!(sources.there, ["user", "system/backups"]);
        assert_eq!(sources.missing.len(), 2, "{:?}", sources.missing);
        assert!(sources.missing[0].contains("system/state is not backed up: it is not a directory"));
    }
}
