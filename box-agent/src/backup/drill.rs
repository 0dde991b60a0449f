//! Reads backups back: one part of the repository in turn, and the sample that was noted when the newest snapshot was
//! made, restored to scratch and compared by hash. Only what went through this counts as verified.

use std::fs::File;
use std::path::{Path, PathBuf};

use berth_daemon::state::private_dir;
use berth_protocol::backup::{Outcome, SnapshotRef, VolumePath};
use jiff::Timestamp;

use super::problem::Problem;
use super::query::below;
use super::restic::{Call, calls};
use super::run::Run;
use super::snapshot::{NOTE_SAMPLE, Sample};
use crate::worker::sample::{Sampled, hash};

/// The note of when a backup was last read back and found right.
pub(super) const NOTE_VERIFIED: &str = "verified";

/// The note of which part of the repository is read next.
const NOTE_PART: &str = "part";

/// Files that are named when they differ, at most.
const MAX_NAMED: usize = 5;

/// Does it.
///
/// # Errors
/// [`Problem`]; [`Problem::Differs`] and [`Problem::Damaged`] when what was read is not right.
pub(super) async fn drill(run: &mut Run<'_>) -> Result<Outcome, Problem> {
    run.open(false).await?;
    run.unlock().await?;
    let part: u32 = run.store.backup_note(NOTE_PART).await.unwrap_or_default().unwrap_or_default();
    run.enter("reading a part of the repository");
    let add_only = run.target.add_only;
    let checked = run.call(|| Call::remote(calls::check(part, add_only))).await;
    let found = std::mem::take(&mut run.summary.num_errors);
    match checked {
        Err(Problem::Failed { words, .. }) => {
            let words = run.record.warnings.first().cloned().unwrap_or(words);
            return Err(Problem::Damaged(words));
        }
        outcome => drop(outcome?),
    }
    if found > 0 {
        let words = run.record.warnings.first().cloned().unwrap_or_else(|| format!("{found} errors"));
        return Err(Problem::Damaged(words));
    }
    let _ = run.store.note_backup(NOTE_PART, &((part + 1) % 7)).await;
    let sample: Option<Sample> = run.store.backup_note(NOTE_SAMPLE).await.unwrap_or_default();
    let Some(sample) = sample else {
        let words = "no backup was made from this volume yet, so there is nothing to compare with";
        return Err(Problem::NotFound(words.into()));
    };
    run.record.snapshot = Some(sample.snapshot.clone());
    compare(run, &sample).await?;
    let verified = Timestamp::now().as_millisecond();
    if let Err(error) = run.store.note_backup(NOTE_VERIFIED, &verified).await {
        run.warn(format!("that the backup is verified is not noted: {error}"));
    }
    Ok(Outcome::Good)
}

/// Restores the sample and compares.
async fn compare(run: &mut Run<'_>, sample: &Sample) -> Result<(), Problem> {
    if sample.files.is_empty() {
        run.warn("the snapshot had no file to compare".into());
        return Ok(());
    }
    run.enter("restoring a sample");
    let snapshot: SnapshotRef = sample
        .snapshot
        .parse()
        .map_err(|_| Problem::NotFound("the sample's snapshot is not understood".into()))?;
    let scratch = Scratch::make(&run.engine.settings.cache)?;
    let host = run.engine.places.workspace.to_string();
    let mut args = calls::restore(&host, &snapshot, &VolumePath::root(), None, &scratch.0);
    let place = args.iter().position(|arg| arg == "--").unwrap_or_default();
    let includes = sample
        .files
        .iter()
        .flat_map(|file| ["--include".into(), format!("/user/{}", calls::literal(&file.path)).into()]);
    args.splice(place..place, includes);
    let volume = run.engine.places.volume.as_path();
    match run.call(|| Call::restoring(args.clone(), volume)).await {
        // It names what it can't read.
        Err(Problem::Failed { words, .. }) => return Err(Problem::Damaged(words)),
        outcome => drop(outcome?),
    }
    run.record.files = run.summary.files_restored;
    run.record.bytes = run.summary.bytes_restored;
    run.enter("comparing");
    let (directory, files) = (scratch.0.clone(), sample.files.clone());
    let differing = tokio::task::spawn_blocking(move || differing(&directory, &files)).await;
    let differing = differing.map_err(|error| Problem::NotStarted(error.to_string()))?;
    if differing.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = differing.iter().take(MAX_NAMED).map(String::as_str).collect();
    Err(Problem::Differs(format!(
        "{} of {} files that were read back are not as they were: {}",
        differing.len(),
        sample.files.len(),
        named.join(", ")
    )))
}

/// Those that are not what they were.
fn differing(directory: &Path, files: &[Sampled]) -> Vec<String> {
    let same = |file: &&Sampled| {
        let path = below(directory, &format!("/user/{}", file.path));
        // Nobody but this process's user writes there.
        File::open(path).and_then(|mut file| hash(&mut file)).is_ok_and(|hash| hash == file.sha256)
    };
    files.iter().filter(|file| !same(file)).map(|file| file.path.clone()).collect()
}

/// A directory beside the volume, gone with this.
struct Scratch(PathBuf);

impl Scratch {
    fn make(cache: &Path) -> Result<Self, Problem> {
        let path = cache.join("drill");
        // What a drill that was killed has left.
        let _ = std::fs::remove_dir_all(&path);
        private_dir(&path).map_err(|error| Problem::NotStarted(berth_daemon::exit::chain(&error)))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use crate::worker::sample::take;

    use super::*;

    #[test]
    fn one_byte_more_or_less_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let user = dir.path().join("user");
        std::fs::create_dir(&user).unwrap();
        for name in ["same", "other", "gone"] {
            std::fs::write(user.join(name), name).unwrap();
        }
        let files = take(&user);
        assert_eq!((files.len(), differing(dir.path(), &files)), (3, vec![]));
        std::fs::write(user.join("other"), "Other").unwrap();
        std::fs::remove_file(user.join("gone")).unwrap();
        let mut found = differing(dir.path(), &files);
        found.sort();
        assert_eq!(found, ["gone", "other"]);
    }
}
