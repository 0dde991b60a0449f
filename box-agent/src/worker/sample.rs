//! A sample of the user's files with their hashes, taken before a backup, and what of it is still the same after: what
//! is then in the snapshot has these hashes, and a drill can be held to them.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Files of a sample, at most.
const MAX_FILES: usize = 48;

/// Bytes of one, at most: larger ones are read back by the check of the repository.
const MAX_FILE: u64 = 8 << 20;

/// Bytes of all, at most.
const MAX_ALL: u64 = 64 << 20;

/// Entries that are looked at, at most.
const MAX_ENTRIES: usize = 200_000;

/// How long the walk may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Directories that a backup leaves out by default: nothing in them is looked at beforehand.
pub(super) const LEFT_OUT: [&str; 9] =
    ["node_modules", "target", ".venv", "__pycache__", ".cache", ".npm", ".cargo", ".rustup", "restored"];

/// A file of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sampled {
    /// Where, below the user's tree.
    pub path: String,
    /// Its hash.
    pub sha256: String,
    /// What it is known by: device and inode, size, when content and record were last changed.
    pub state: State,
}

/// What a file is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    inode: u64,
    /// Bytes.
    pub size: u64,
    changed: (i64, i64),
    recorded: (i64, i64),
}

impl State {
    fn of(meta: &fs::Metadata) -> Self {
        Self {
            inode: meta.ino(),
            size: meta.len(),
            changed: (meta.mtime(), meta.mtime_nsec()),
            recorded: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// Takes a sample of the tree at `root`.
#[must_use]
pub fn take(root: &Path) -> Vec<Sampled> {
    let mut bytes = 0;
    let mut sample = Vec::new();
    for path in choose(root) {
        let Ok((sha256, state)) = read(&root.join(&path)) else { continue };
        bytes += state.size;
        if bytes > MAX_ALL {
            break;
        }
        sample.push(Sampled { path, sha256, state });
    }
    sample
}

/// Those of a sample that have not been changed since.
#[must_use]
pub fn unchanged(root: &Path, sample: Vec<Sampled>) -> Vec<Sampled> {
    let same = |file: &Sampled| {
        fs::symlink_metadata(root.join(&file.path)).is_ok_and(|meta| State::of(&meta) == file.state)
    };
    sample.into_iter().filter(same).collect()
}

/// Paths of files, each as likely as any other.
fn choose(root: &Path) -> Vec<String> {
    let began = Instant::now();
    let mut chosen: Vec<String> = Vec::new();
    let (mut looked, mut found) = (0, 0);
    let mut todo = VecDeque::from([String::new()]);
    while let Some(directory) = todo.pop_front() {
        for entry in fs::read_dir(root.join(&directory)).into_iter().flatten().flatten() {
            looked += 1;
            if looked > MAX_ENTRIES || began.elapsed() > PATIENCE {
                return chosen;
            }
            // A name that is not text can't be told to restic in the drill.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
            if kind.is_dir() && !LEFT_OUT.contains(&name.as_str()) {
                todo.push_back(path);
            } else if kind.is_file() && entry.metadata().is_ok_and(|meta| meta.len() <= MAX_FILE) {
                found += 1;
                if chosen.len() < MAX_FILES {
                    chosen.push(path);
                } else {
                    let place = fastrand::usize(..found);
                    if place < MAX_FILES {
                        chosen[place] = path;
                    }
                }
            }
        }
    }
    chosen
}

fn read(path: &Path) -> io::Result<(String, State)> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    let before = State::of(&file.metadata()?);
    let sha256 = hash(&mut file)?;
    let after = State::of(&file.metadata()?);
    if before == after { Ok((sha256, after)) } else { Err(io::Error::other("it is being changed")) }
}

/// The hash of what is read, no more than a sampled file may have.
///
/// # Errors
/// What the system says.
pub fn hash(reader: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut reader = reader.take(MAX_FILE + 1);
    let mut piece = vec![0; 64 << 10];
    loop {
        match reader.read(&mut piece)? {
            0 => return Ok(data_encoding::HEXLOWER.encode(&hash.finalize())),
            count => hash.update(&piece[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_of_plain_files_and_only_what_stayed_the_same_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("a/node_modules")).unwrap();
        for name in ["a/one", "a/two", "a/node_modules/x", "three"] {
            fs::write(root.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::write(root.join("large"), vec![0; usize::try_from(MAX_FILE).unwrap() + 1]).unwrap();
        let mut sample = take(root);
        sample.sort_by(|one, other| one.path.cmp(&other.path));
        let paths: Vec<&str> = sample.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a/one", "a/two", "three"]);
        assert_eq!(sample[2].sha256, hash(&mut "three".as_bytes()).unwrap());
        fs::write(root.join("a/one"), "else").unwrap();
        fs::remove_file(root.join("a/two")).unwrap();
        let left = unchanged(root, sample);
        assert_eq!(left.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["three"]);
    }
}
