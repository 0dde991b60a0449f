//! What restoring in place would change: entries of a snapshot beside what lies in the user's tree. Looks and changes
//! nothing; files are the same when size and time are, which is what a backup itself goes by.

use std::fs::{self, Metadata};
use std::io::BufRead;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use berth_protocol::backup::{Difference, EntryKind, How, MAX_DIFFERENCES, Preview, VolumePath};
use serde::{Deserialize, Serialize};

/// An entry of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Where, from the volume's root.
    pub path: VolumePath,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file.
    pub size: u64,
    /// When it was last changed, in milliseconds since 1970.
    pub changed_ms: i64,
}

/// Compares what is read, an entry a line and directories before what is in them, with the tree at `root`.
#[must_use]
pub fn compare(root: &Path, kept: impl BufRead) -> Preview {
    let mut preview = Preview::default();
    // The last directory that is not there as one: what the snapshot has in it is new.
    let mut missing: Option<String> = None;
    let entries = kept.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
    for entry in entries {
        let entry: Kept = entry;
        let Some(below) = entry.path.as_str().strip_prefix("/user/") else { continue };
        let is_missing = missing.as_ref().is_some_and(|missing| {
            below.strip_prefix(missing.as_str()).is_some_and(|rest| rest.starts_with('/'))
        });
        let there = if is_missing { None } else { fs::symlink_metadata(root.join(below)).ok() };
        let how = how(&entry, there.as_ref());
        if entry.kind == EntryKind::Directory {
            if !is_missing && !there.is_some_and(|there| there.is_dir()) {
                missing = Some(below.to_owned());
            }
        } else {
            preview.files += 1;
            preview.bytes = preview.bytes.saturating_add(entry.size);
        }
        note(&mut preview, entry, how);
    }
    preview
}

/// What would become of what is there; nothing is to be said of a directory that is or will be one.
fn how(entry: &Kept, there: Option<&Metadata>) -> Option<How> {
    let is_directory = entry.kind == EntryKind::Directory;
    let Some(there) = there else { return (!is_directory).then_some(How::Added) };
    if there.is_dir() != is_directory {
        return Some(How::MovedAside);
    }
    if is_directory {
        return None;
    }
    let same_kind = match entry.kind {
        EntryKind::File => there.is_file(),
        EntryKind::Link => there.is_symlink(),
        _ => !there.is_file() && !there.is_symlink(),
    };
    let changed_ms =
        there.mtime().saturating_mul(1000).saturating_add(there.mtime_nsec().div_euclid(1_000_000));
    let same_content = entry.kind != EntryKind::File || there.len() == entry.size;
    Some(if same_kind && same_content && changed_ms == entry.changed_ms { How::Same } else { How::Replaced })
}

fn note(preview: &mut Preview, entry: Kept, how: Option<How>) {
    let Some(how) = how else { return };
    match how {
        How::Added => preview.added += 1,
        How::Replaced => preview.replaced += 1,
        How::MovedAside => preview.moved_aside += 1,
        How::Same | How::Unknown => return preview.same += 1,
    }
    if preview.differences.len() < MAX_DIFFERENCES {
        preview.differences.push(Difference { path: entry.path, how });
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn kept(root: &Path, path: &str) -> Kept {
        let meta = fs::symlink_metadata(root.join(path)).unwrap();
        let kind = match meta.file_type() {
            kind if kind.is_dir() => EntryKind::Directory,
            kind if kind.is_symlink() => EntryKind::Link,
            _ => EntryKind::File,
        };
        let changed_ms = meta.mtime() * 1000 + meta.mtime_nsec() / 1_000_000;
        Kept { path: format!("/user/{path}").parse().unwrap(), kind, size: meta.len(), changed_ms }
    }

    #[test]
    fn each_entry_is_told_by_what_would_become_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("d/gone")).unwrap();
        for name in ["d/same", "d/longer", "d/later", "d/gone/file", "d/was a file"] {
            fs::write(root.join(name), name).unwrap();
        }
        symlink("same", root.join("d/link")).unwrap();
        let paths = ["d", "d/gone", "d/gone/file", "d/later", "d/link", "d/longer", "d/same", "d/was a file"];
        let mut entries: Vec<Kept> = paths.map(|path| kept(root, path)).into();
        entries.push(Kept { path: "/system/state".parse().unwrap(), ..entries[0].clone() });
        entries[3].changed_ms -= 1;
        fs::remove_dir_all(root.join("d/gone")).unwrap();
        // A link to a directory stands where the snapshot has one: what is in it is not looked at through the link.
        fs::create_dir(root.join("elsewhere")).unwrap();
        fs::write(root.join("elsewhere/file"), "d/gone/file").unwrap();
        symlink("../elsewhere", root.join("d/gone")).unwrap();
        fs::write(root.join("d/longer"), "longer than before").unwrap();
        fs::remove_file(root.join("d/was a file")).unwrap();
        fs::create_dir(root.join("d/was a file")).unwrap();
        let lines: Vec<String> = entries.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
        let preview = compare(root, lines.join("\n").as_bytes());
        let of = |how| {
            let found = preview.differences.iter().filter(|difference| difference.how == how);
            found.map(|difference| difference.path.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of(How::Added), ["/user/d/gone/file"]);
        assert_eq!(of(How::Replaced), ["/user/d/later", "/user/d/longer"]);
        assert_eq!(of(How::MovedAside), ["/user/d/gone", "/user/d/was a file"]);
        assert_eq!((preview.files, preview.same, preview.moved_aside), (6, 2, 2), "{preview:?}");
    }
}
