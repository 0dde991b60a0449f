//! Consistent copies of the user's SQLite databases: found by what their files begin with, copied by SQLite itself while
//! their programs go on, and removed once they are in a snapshot.
//!
//! A database that is written while its file is read is torn in a backup. The copies lie in [`COPIES`], each below the
//! path of its database, with a list of what is there and what is not.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::statvfs::statvfs;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use crate::backup::plan::excludes::is_replaceable;

/// Where the copies are, below the user's tree.
pub const COPIES: &str = "home/.local/state/berth/databases";

/// Where one is until it is whole, beside the copies: no backup takes it, whatever becomes of this process.
pub const UNFINISHED: &str = "home/.local/state/berth/databases.new";

/// What the user's restored files are below. No backup takes those.
const RESTORED: &str = "restored";

/// The list of them, beside.
const LIST: &str = "databases.json";

/// What the file of a database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Bytes of a header that are looked at, and where it says how the database is written.
const HEADER: usize = 20;
const VERSION: usize = 18;

/// The number that stands for a write-ahead log there.
const WAL: u8 = 2;

/// Databases that are copied, at most.
const MAX_DATABASES: usize = 64;

/// Entries that are looked at, at most.
const MAX_ENTRIES: usize = 500_000;

/// Pages in each step where others wait meanwhile, and where nobody does.
const PAGES: i32 = 256;
const PAGES_AT_ONCE: i32 = 4096;

/// How often one is read anew that is closed when its reading begins, and is not when it ends.
const MAX_TRIES: usize = 3;

/// Why there was no time for one.
const LATE: &str =
    "it was written all the time, or there are too many or too large ones to be copied in time";

/// The pause after one.
const PAUSE: Duration = Duration::from_millis(5);

/// Bounds of one round.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long all may take.
    pub patience: Duration,
    /// Bytes of one database, at most.
    pub each_bytes: u64,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Where it is, below the user's tree.
    pub path: String,
    /// Where its copy is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What became of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Databases {
    /// One by one.
    pub found: Vec<Database>,
    /// There may be more: looking was given up.
    #[serde(default)]
    pub is_cut: bool,
}

/// Copies the databases of the tree at `root`, in place of copies that were left behind.
///
/// # Errors
/// What the system says of the directory of the copies; there are none then.
pub fn copy(root: &Path, limits: Limits) -> io::Result<Databases> {
    remove(root)?;
    // SQLite follows no link in a whole path, and the way to the volume may have some.
    let root = &fs::canonicalize(root)?;
    let copied = copy_found(root, limits);
    if copied.is_err() {
        let _ = remove(root);
    }
    copied
}

fn copy_found(root: &Path, limits: Limits) -> io::Result<Databases> {
    let began = Instant::now();
    let deadline = began + limits.patience;
    let (paths, is_cut) = find(root, began + limits.patience / 2);
    let mut databases = Databases { found: Vec::new(), is_cut };
    if paths.is_empty() {
        return Ok(databases);
    }
    let copies = root.join(COPIES);
    directory(&copies)?;
    let unfinished = root.join(UNFINISHED);
    for path in paths {
        let shown = path.to_string_lossy().into_owned();
        let made = one(&root.join(&path), &unfinished, limits.each_bytes, deadline)
            .and_then(|()| place(&unfinished, &copies.join(&path)));
        let (copy, problem) = match made {
            Ok(()) => (Some(format!("{COPIES}/{shown}")), None),
            Err(error) => {
                remove_unfinished(root)?;
                (None, Some(error.to_string()))
            }
        };
        databases.found.push(Database { path: shown, copy, problem });
    }
    fs::write(copies.join(LIST), serde_json::to_vec_pretty(&databases).unwrap_or_default())?;
    Ok(databases)
}

/// Gives a copy that is whole its name.
fn place(unfinished: &Path, copy: &Path) -> io::Result<()> {
    directory(copy.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
    fs::rename(unfinished, copy)
}

/// Removes the copies.
///
/// # Errors
/// What the system says.
pub fn remove(root: &Path) -> io::Result<()> {
    remove_unfinished(root)?;
    unless_gone(fs::remove_dir_all(root.join(COPIES)))
}

fn remove_unfinished(root: &Path) -> io::Result<()> {
    let unfinished = root.join(UNFINISHED);
    ["", "-journal", "-wal", "-shm"]
        .iter()
        .try_for_each(|ending| unless_gone(fs::remove_file(beside(&unfinished, ending))))
}

fn unless_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Paths of databases below the tree, as far as they are found in time.
fn find(root: &Path, deadline: Instant) -> (Vec<PathBuf>, bool) {
    let Ok(device) = fs::symlink_metadata(root).map(|meta| meta.dev()) else { return (Vec::new(), false) };
    let mut found = Vec::new();
    let mut looked = 0;
    let mut todo = VecDeque::from([PathBuf::new()]);
    while let Some(directory) = todo.pop_front() {
        for entry in fs::read_dir(root.join(&directory)).into_iter().flatten().flatten() {
            looked += 1;
            if looked > MAX_ENTRIES || found.len() >= MAX_DATABASES || Instant::now() > deadline {
                return (found, true);
            }
            let Ok(kind) = entry.file_type() else { continue };
            let path = directory.join(entry.file_name());
            if kind.is_dir() {
                let is_out = is_replaceable(&path) || path == Path::new(RESTORED);
                if !is_out && entry.metadata().is_ok_and(|meta| meta.dev() == device) {
                    todo.push_back(path);
                }
            } else if kind.is_file() && is_database(&entry.path()) {
                found.push(path);
            }
        }
    }
    (found, false)
}

fn is_database(path: &Path) -> bool {
    header(path).is_ok_and(|header| header.starts_with(MAGIC))
}

fn header(path: &Path) -> io::Result<[u8; HEADER]> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    let mut header = [0; HEADER];
    file.read_exact(&mut header)?;
    Ok(header)
}

/// Copies one. Its programs are not held up: with a write-ahead log nobody waits for a reader, and without one it is
/// read in short steps, from the beginning when somebody writes between them.
fn one(database: &Path, copy: &Path, each_bytes: u64, deadline: Instant) -> io::Result<()> {
    if Instant::now() > deadline {
        return Err(io::Error::other(LATE));
    }
    let meta = fs::symlink_metadata(database)?;
    let log = fs::symlink_metadata(beside(database, "-wal")).map_or(0, |meta| meta.len());
    let bytes = meta.len().saturating_add(log);
    if bytes > each_bytes {
        return Err(io::Error::other(format!("it has {bytes} bytes, more than backup.databases_max_bytes")));
    }
    let parent = copy.parent().ok_or(io::ErrorKind::InvalidInput)?;
    directory(parent)?;
    let room = statvfs(parent)?;
    if room.blocks_available().saturating_mul(room.fragment_size()) < bytes.saturating_mul(2) {
        return Err(io::Error::other("the volume has no room for a copy"));
    }
    if header(database)?[VERSION] != WAL {
        return step_by_step(database, copy, How::Shared, deadline).map_err(io::Error::other);
    }
    for _ in 0..MAX_TRIES {
        let before = state(database)?;
        if before.has_log {
            return step_by_step(database, copy, How::Logged, deadline).map_err(io::Error::other);
        }
        let copied = step_by_step(database, copy, How::Closed, deadline);
        if state(database)? == before {
            return copied.map_err(io::Error::other);
        }
        for ending in ["", "-journal"] {
            unless_gone(fs::remove_file(beside(copy, ending)))?;
        }
    }
    Err(io::Error::other("it was opened and closed all the time"))
}

/// How a database is, as far as a reader that takes no locks must know.
#[derive(Debug, PartialEq, Eq)]
struct State {
    has_log: bool,
    file: (u64, u64, i64, i64, i64, i64),
}

fn state(database: &Path) -> io::Result<State> {
    let meta = fs::symlink_metadata(database)?;
    let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
    let file = (meta.ino(), meta.len(), times.0, times.1, times.2, times.3);
    Ok(State { has_log: fs::symlink_metadata(beside(database, "-wal")).is_ok(), file })
}

/// How a database is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It has no log: whoever writes waits for a step.
    Shared,
    /// With its log, as it was at the beginning. Nobody waits.
    Logged,
    /// Without any lock, since nobody has it open. To read it with its log, an empty one would be made beside it, and stay.
    Closed,
}

fn open(database: &Path, how: How) -> Result<Connection, rusqlite::Error> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if how != How::Closed {
        return Connection::open_with_flags(database, flags);
    }
    let mut address = "file:".to_owned();
    for byte in database.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                address.push(char::from(*byte));
            }
            byte => address.push_str(&format!("%{byte:02x}")),
        }
    }
    address.push_str("?immutable=1");
    Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_URI)
}

fn step_by_step(database: &Path, copy: &Path, how: How, deadline: Instant) -> Result<(), rusqlite::Error> {
    let source = open(database, how)?;
    if how == How::Logged {
        // What is written between the steps is not seen, so that they need not begin anew.
        source.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1;")?;
    }
    let mut target = Connection::open(copy)?;
    // Nobody reads it before it is in a snapshot.
    target.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(&source, &mut target)?;
    loop {
        let result = backup.step(if how == How::Shared { PAGES } else { PAGES_AT_ONCE })?;
        match result {
            StepResult::Done => return Ok(()),
            _ if Instant::now() > deadline => {
                let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                return Err(rusqlite::Error::SqliteFailure(busy, Some(LATE.to_owned())));
            }
            StepResult::More if how != How::Shared => {}
            _ => std::thread::sleep(PAUSE),
        }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests;
