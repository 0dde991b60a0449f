//! Looks into the repository beside the runs: it locks nothing, so it neither waits for a run nor hinders one.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use berth_protocol::backup::{
    Change, Entry, EntryKind, MAX_ENTRIES, MAX_PREVIEWED, Preview, Snapshot, SnapshotRef, VolumePath,
};
use tokio_util::sync::CancellationToken;

use super::engine::Backups;
use super::hand;
use super::problem::{Problem, short};
use super::restic::launch::Job;
use super::restic::lines::{Line, Node, SnapshotLine, millis};
use super::restic::{Bounds, Call, Said, calls};
use super::run::Run;
use crate::worker::compare::Kept;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_mins(2);

impl Backups {
    /// The snapshots of this workspace, newest first.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>, Problem> {
        let host = self.inner().places.workspace.to_string();
        let mut text = String::new();
        self.look(calls::snapshots(&host), |said| {
            if let Said::Text(line) = said {
                text.push_str(&line);
            }
        })
        .await?;
        snapshots(&text)
    }

    /// What is in a directory of a snapshot, by name.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn entries(&self, snapshot: &SnapshotRef, path: &VolumePath) -> Result<Vec<Entry>, Problem> {
        let host = self.inner().places.workspace.to_string();
        let mut entries = Vec::new();
        let mut is_there = *path == VolumePath::root();
        let mut too_many = false;
        self.look(calls::list(&host, snapshot, path), |said| {
            let Said::Line(Line::Node(node)) = said else { return };
            is_there |= node.path == path.as_str();
            // The directory itself, and what leads to it.
            if let Some(entry) =
                entry(&node).filter(|entry| entry.path.parent() == *path && entry.path != *path)
            {
                too_many |= entries.len() >= MAX_ENTRIES;
                if !too_many {
                    entries.push(entry);
                }
            }
        })
        .await?;
        if !is_there {
            return Err(Problem::NotFound(format!("{path} is not in the snapshot {snapshot}")));
        }
        if too_many {
            return Err(Problem::NotFound(format!("{path} has more than {MAX_ENTRIES} entries")));
        }
        Ok(entries)
    }

    /// What is different between two snapshots.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn changes(&self, before: &SnapshotRef, after: &SnapshotRef) -> Result<Vec<Change>, Problem> {
        let mut changes = Vec::new();
        self.look(calls::diff(before, after), |said| {
            if let Said::Line(Line::Change { path, modifier }) = said
                && let Ok(path) = path.trim_end_matches('/').parse()
            {
                changes.push(Change { path, how: modifier });
            }
        })
        .await?;
        Ok(changes)
    }

    /// What restoring something in place would change, by what the user's tree is now.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn preview(&self, snapshot: &SnapshotRef, path: &VolumePath) -> Result<Preview, Problem> {
        let host = self.inner().places.workspace.to_string();
        let (mut lines, mut count, mut is_there) = (Vec::new(), 0, false);
        self.look(calls::list_all(&host, snapshot, path), |said| {
            let Said::Line(Line::Node(node)) = said else { return };
            let Some(Entry { path: found, kind, size, changed_ms, .. }) = entry(&node) else { return };
            is_there |= found == *path;
            // What leads to it comes first, and is not restored.
            if !is_there || count > MAX_PREVIEWED {
                return;
            }
            count += 1;
            if count <= MAX_PREVIEWED
                && serde_json::to_writer(&mut lines, &Kept { path: found, kind, size, changed_ms }).is_ok()
            {
                lines.push(b'\n');
            }
        })
        .await?;
        if !is_there {
            return Err(Problem::NotFound(format!("{path} is not in the snapshot {snapshot}")));
        }
        let preview = hand::compare(&self.inner().places, lines).await;
        let preview =
            preview.map_err(|words| Problem::Failed { how: "comparing".into(), words: short(&words) })?;
        Ok(Preview { is_cut: count > MAX_PREVIEWED, ..preview })
    }

    /// A file of a snapshot: a restic that writes it on its standard output.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn file(&self, snapshot: &SnapshotRef, path: &VolumePath) -> Result<(Entry, Job), Problem> {
        let parent = path.parent();
        let found = self.entries(snapshot, &parent).await?.into_iter().find(|entry| entry.path == *path);
        let entry = found.filter(|entry| entry.kind == EntryKind::File);
        let entry = entry
            .ok_or_else(|| Problem::NotFound(format!("{path} is no file of the snapshot {snapshot}")))?;
        let inner = self.inner();
        let host = inner.places.workspace.to_string();
        let call = Call::remote(calls::dump(&host, snapshot, path));
        let job =
            inner.restic()?.start(&inner.target()?, &call, Duration::from_secs(inner.settings.stall_secs))?;
        Ok((entry, job))
    }

    async fn look(&self, args: Vec<std::ffi::OsString>, hear: impl FnMut(Said)) -> Result<(), Problem> {
        let inner = self.inner();
        let (target, restic) = (inner.target()?, inner.restic()?);
        let bounds = Bounds {
            cancel: CancellationToken::new(),
            deadline: DEADLINE,
            stall: Duration::from_secs(inner.settings.open_deadline_secs),
        };
        restic.run(&target, Call::remote(args), &bounds, hear).await.map(drop)
    }
}

fn snapshots(text: &str) -> Result<Vec<Snapshot>, Problem> {
    let listed: Vec<SnapshotLine> = serde_json::from_str(text)
        .map_err(|error| Problem::Failed { how: "its list of snapshots".into(), words: error.to_string() })?;
    let mut snapshots: Vec<Snapshot> = listed
        .into_iter()
        .map(|line| Snapshot {
            id: line.id,
            time_ms: millis(&line.time),
            tags: line.tags,
            files: line.summary.total_files_processed,
            bytes: line.summary.total_bytes_processed,
        })
        .collect();
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.time_ms));
    Ok(snapshots)
}

fn entry(node: &Node) -> Option<Entry> {
    let kind = match node.kind.as_str() {
        "file" => EntryKind::File,
        "dir" => EntryKind::Directory,
        "symlink" => EntryKind::Link,
        _ => EntryKind::Other,
    };
    // Go has bits of its own for setuid, setgid and sticky.
    let special = [(1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000)];
    let mode = special
        .iter()
        .filter(|(go, _)| node.mode & go != 0)
        .fold(node.mode & 0o777, |mode, (_, bit)| mode | bit);
    Some(Entry {
        path: node.path.parse().ok()?,
        kind,
        size: node.size,
        changed_ms: millis(&node.mtime),
        mode,
    })
}

/// The snapshots of this workspace, newest first, as a run sees them.
pub(super) async fn list(run: &mut Run<'_>) -> Result<Vec<Snapshot>, Problem> {
    let host = run.engine.places.workspace.to_string();
    let mut text = String::new();
    let bounds = run.bounds();
    let (restic, target) = (run.restic.clone(), run.target.clone());
    restic
        .run(&target, Call::remote(calls::snapshots(&host)), &bounds, |said| {
            if let Said::Text(line) = said {
                text.push_str(&line);
            }
        })
        .await?;
    snapshots(&text)
}

/// The sizes of these files in a snapshot; those that are not in it are left out.
pub(super) async fn sizes(
    run: &mut Run<'_>,
    snapshot: &SnapshotRef,
    paths: &[VolumePath],
) -> Result<BTreeMap<String, u64>, Problem> {
    let host = run.engine.places.workspace.to_string();
    let mut args = calls::list(&host, snapshot, &paths[0]);
    args.extend(paths[1..].iter().map(|path| path.as_str().into()));
    let mut sizes = BTreeMap::new();
    let bounds = run.bounds();
    let (restic, target) = (run.restic.clone(), run.target.clone());
    restic
        .run(&target, Call::remote(args), &bounds, |said| {
            if let Said::Line(Line::Node(node)) = said
                && node.kind == "file"
            {
                sizes.insert(node.path, node.size);
            }
        })
        .await?;
    Ok(sizes)
}

/// Where a file is in a directory that was restored into.
#[must_use]
pub(super) fn below(directory: &Path, path: &str) -> std::path::PathBuf {
    directory.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_come_newest_first_and_entries_have_the_rights_of_linux() {
        let text = r#"[{"id":"aa","time":"2026-01-01T00:00:00Z"},{"id":"bb","time":"2026-02-01T00:00:00+01:00",
            "tags":["berth"],"summary":{"total_files_processed":3,"total_bytes_processed":9}}]"#;
        let list = snapshots(text).unwrap();
        assert_eq!((list[0].id.as_str(), list[0].files, list[1].id.as_str()), ("bb", 3, "aa"));
        assert!(snapshots("nonsense").is_err());
        let node =
            |mode| entry(&Node { path: "/user/x".into(), kind: "file".into(), mode, ..Node::default() });
        assert_eq!(node(0o644).unwrap().mode, 0o644);
        assert_eq!(node((1 << 23) | 0o755).unwrap().mode, 0o4755);
        assert_eq!(node((1 << 31) | (1 << 20) | 0o777).unwrap().mode, 0o1777);
    }
}
