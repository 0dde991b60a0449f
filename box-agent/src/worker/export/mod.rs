//! Writes the user's tree as a `tar` archive in a zstd frame, whose last member is an index of it all: what each entry is,
//! how large, and the SHA-256 of each file as it was read; of one with holes, that of its map and its parts.
//!
//! | module | what |
//! |---|---|
//! | [`entry`] | one entry of the archive: header, extended header, bytes |
//! | [`members`] | reads an archive member by member, without filling holes |
//! | [`check`] | reads an archive and holds it to its index |
//!
//! One pass over the tree, and memory for hard links alone: the index grows in a file without a name. Bytes are read once,
//! so the hash in the index is that of what is in the archive, whatever becomes of the file meanwhile. A file that gets
//! shorter is filled up with zeroes and marked; one that can't be read is named and left out. A frame that broke off has
//! no end, no checksum and no index, and no program takes it for a whole one.

pub mod check;
mod entry;
mod members;

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::entry::{Entry, Hash};

/// The index: the archive's last member, whose lines are [`Line`]s.
pub const INDEX: &str = "BERTH-INDEX.jsonl";

/// What every other member is below.
const TOP: &str = "user";

/// How hard zstd tries: what one processor does at the speed of a good network.
const LEVEL: i32 = 3;

/// Characters of one that is named there, at most: all of the summary fits into a pipe.
const MAX_NAMED_CHARS: usize = 500;

/// Entries that are left out and named in the summary, at most; the index has all.
const MAX_NAMED: usize = 10;

/// What an archive holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Files in it.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// What was left out, or changed while it was read.
    pub flawed: u64,
    /// Some of that, for people.
    pub named: Vec<String>,
}

/// A line of the index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Where it is in the archive. What is not UTF-8 is replaced in it.
    pub path: String,
    /// The same in base64, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_base64: Option<String>,
    /// `directory`, `file`, `hard_link`, `link`, `pipe`, or `other`; the last line is `end`.
    pub kind: String,
    /// Bytes of a file; of all of them, in the last line.
    #[serde(default)]
    pub size: u64,
    /// Permissions, in octal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// The hash of a file, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Instead, of a file with holes: of where each stored part begins and how long it is (eight bytes each, the highest
    /// first; the last part has no bytes and begins where the file ends), and then of the bytes of them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts_sha256: Option<String>,
    /// Why it is not in the archive, or not as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaw: Option<String>,
    /// Files in the archive. In the last line alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
}

/// Writes the tree at `root`.
///
/// # Errors
/// What the system says of `out`; of the tree, only when it is not there at all.
pub fn export(root: &Path, out: impl Write) -> io::Result<Summary> {
    let device = fs::symlink_metadata(root)?.dev();
    let mut frame = zstd::Encoder::new(out, LEVEL)?;
    frame.include_checksum(true)?;
    let index = BufWriter::new(tempfile::tempfile()?);
    let mut export = Export {
        archive: tar::Builder::new(frame),
        index,
        links: HashMap::new(),
        device,
        summary: Summary::default(),
    };
    export.tree(root)?;
    export.finish()
}

/// What changes with a file. The number of one that is gone goes to another file, which is none of its names.
type Stamp = (u64, i64, i64, i64, i64);

fn stamp(meta: &Metadata) -> Stamp {
    (meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec())
}

struct Export<W: Write> {
    archive: tar::Builder<zstd::Encoder<'static, W>>,
    index: BufWriter<File>,
    /// The first name of each file that has several, and how that was then.
    links: HashMap<(u64, u64), (PathBuf, Stamp)>,
    device: u64,
    summary: Summary,
}

impl<W: Write> Export<W> {
    /// Directories before what is in them, all by name.
    fn tree(&mut self, root: &Path) -> io::Result<()> {
        let mut todo = vec![(root.to_owned(), PathBuf::from(TOP))];
        while let Some((path, name)) = todo.pop() {
            let meta = match fs::symlink_metadata(&path) {
                Ok(meta) => meta,
                // Removed since its directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.left_out(&name, "other", error.to_string())?;
                    continue;
                }
            };
            if !meta.is_dir() {
                self.one(&path, &name, &meta)?;
                continue;
            }
            if meta.dev() != self.device {
                self.left_out(&name, "directory", "another file system is mounted there".into())?;
                continue;
            }
            match children(&path) {
                Ok(children) => {
                    self.plain(&path, &name, &meta, None)?;
                    // From a stack the last comes first.
                    todo.extend(
                        children.into_iter().rev().map(|child| (path.join(&child), name.join(&child))),
                    );
                }
                Err(error) => {
                    let flaw = format!("what is in it can't be read: {error}");
                    self.plain(&path, &name, &meta, Some(flaw))?;
                }
            }
        }
        Ok(())
    }

    fn one(&mut self, path: &Path, name: &Path, meta: &Metadata) -> io::Result<()> {
        let kind = meta.file_type();
        if kind.is_file() {
            return self.file(path, name);
        }
        if kind.is_symlink() || kind.is_fifo() {
            return self.plain(path, name, meta, None);
        }
        // A socket is nothing without the program that listens.
        if kind.is_socket() { Ok(()) } else { self.left_out(name, "other", "it is a device".into()) }
    }

    /// What has no bytes of its own.
    fn plain(&mut self, path: &Path, name: &Path, meta: &Metadata, flaw: Option<String>) -> io::Result<()> {
        let entry = match Entry::plain(path, name, meta) {
            Ok(entry) => entry,
            Err(error) => return self.left_out(name, "other", error.to_string()),
        };
        entry.append(&mut self.archive, io::empty())?;
        let kind = match meta.file_type() {
            kind if kind.is_dir() => "directory",
            kind if kind.is_symlink() => "link",
            _ => "pipe",
        };
        self.note(Line { flaw, ..line(name, kind, meta) })
    }

    fn file(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        let (file, meta) = match entry::open(path) {
            Ok(opened) => opened,
            Err(error) => return self.left_out(name, "file", error.to_string()),
        };
        let identity = (meta.dev(), meta.ino());
        let known = self.links.get(&identity).filter(|(_, then)| meta.nlink() > 1 && *then == stamp(&meta));
        if let Some((first, _)) = known {
            Entry::hard_link(name, first, &meta).append(&mut self.archive, io::empty())?;
            return self.note(line(name, "hard_link", &meta));
        }
        let (entry, mut content) = match Entry::file(path, name, &file, &meta) {
            Ok(made) => made,
            // Where its holes are can't be told: one bad file does not end all.
            Err(error) => return self.left_out(name, "file", error.to_string()),
        };
        entry.append(&mut self.archive, &mut content)?;
        if meta.nlink() > 1 {
            self.links.insert(identity, (name.to_owned(), stamp(&meta)));
        }
        self.summary.files += 1;
        self.summary.bytes += meta.len();
        let (hash, problem) = content.finish();
        let after = fs::symlink_metadata(path);
        let same = |now: &Metadata| {
            (now.len(), now.mtime(), now.mtime_nsec()) == (meta.len(), meta.mtime(), meta.mtime_nsec())
        };
        let changed = || Some("it was changed while it was read".to_owned());
        let flaw = problem.or_else(|| if after.is_ok_and(|now| same(&now)) { None } else { changed() });
        let (sha256, parts_sha256) = match hash {
            Hash::Whole(hash) => (Some(hash), None),
            Hash::Parts(hash) => (None, Some(hash)),
        };
        self.note(Line { sha256, parts_sha256, flaw, ..line(name, "file", &meta) })
    }

    fn left_out(&mut self, name: &Path, kind: &str, why: String) -> io::Result<()> {
        let (path, path_base64) = shown(name);
        let flaw = Some(format!("left out: {why}"));
        self.note(Line { path, path_base64, kind: kind.to_owned(), flaw, ..Line::default() })
    }

    fn note(&mut self, line: Line) -> io::Result<()> {
        if let Some(flaw) = &line.flaw {
            self.summary.flawed += 1;
            if self.summary.named.len() < MAX_NAMED {
                self.summary.named.push(named(&line.path, flaw));
            }
        }
        write_line(&mut self.index, &line)
    }

    fn finish(mut self) -> io::Result<Summary> {
        let Summary { files, bytes, .. } = self.summary;
        let end = Line { kind: "end".into(), size: bytes, files: Some(files), ..Line::default() };
        write_line(&mut self.index, &end)?;
        let mut index = self.index.into_inner().map_err(io::IntoInnerError::into_error)?;
        let length = index.stream_position()?;
        index.rewind()?;
        Entry::index(Path::new(INDEX), length).append(&mut self.archive, index.take(length))?;
        self.archive.into_inner()?.finish()?.flush()?;
        Ok(self.summary)
    }
}

/// What is wrong with an entry, for people.
fn named(path: &str, flaw: &str) -> String {
    let words = format!("{path}: {flaw}");
    match words.char_indices().nth(MAX_NAMED_CHARS) {
        // Its end says more than its beginning, and what is wrong is there.
        Some(_) => {
            let start = words.char_indices().nth_back(MAX_NAMED_CHARS - 2).map_or(0, |(place, _)| place);
            format!("…{}", &words[start..])
        }
        None => words,
    }
}

/// Names in a directory, in order.
fn children(path: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names =
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn line(name: &Path, kind: &str, meta: &Metadata) -> Line {
    let (path, path_base64) = shown(name);
    let size = if kind == "file" { meta.len() } else { 0 };
    let mode = format!("{:04o}", meta.mode() & 0o7777);
    Line { path, path_base64, kind: kind.to_owned(), size, mode, ..Line::default() }
}

fn shown(name: &Path) -> (String, Option<String>) {
    let base64 = || data_encoding::BASE64.encode(name.as_os_str().as_bytes());
    (name.to_string_lossy().into_owned(), name.to_str().is_none().then(base64))
}

fn write_line(index: &mut impl Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *index, line)?;
    index.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_file_that_was_replaced_meanwhile_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("one"), "one").unwrap();
        fs::hard_link(dir.path().join("one"), dir.path().join("two")).unwrap();
        let frame = zstd::Encoder::new(Vec::new(), LEVEL).unwrap();
        let mut export = Export {
            archive: tar::Builder::new(frame),
            index: BufWriter::new(tempfile::tempfile().unwrap()),
            links: HashMap::new(),
            device: 0,
            summary: Summary::default(),
        };
        export.file(&dir.path().join("one"), Path::new("user/one")).unwrap();
        export.file(&dir.path().join("two"), Path::new("user/two")).unwrap();
        assert_eq!(export.summary.files, 1);
        fs::write(dir.path().join("two"), "another").unwrap();
        export.file(&dir.path().join("two"), Path::new("user/two")).unwrap();
        assert_eq!(export.summary.files, 2);
    }

    #[test]
    fn what_is_named_is_short_and_says_what_is_wrong() {
        assert_eq!(named("a", "left out"), "a: left out");
        let long = named(&"ä".repeat(4000), "left out: no");
        assert!(long.chars().count() == MAX_NAMED_CHARS && long.ends_with("ä: left out: no"), "{long}");
    }
}
