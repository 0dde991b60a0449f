//! Consistent copies of the user's SQLite databases: found by what their files begin with, copied by SQLite itself while
//! their programs go on, and removed once they are in a snapshot.
//!
//! A database that is written while its file is read is torn in a backup. The copies lie in [`COPIES`], each below the
//! path of its database, with a list of what is there and what is not.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::statvfs::statvfs;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use super::sample::LEFT_OUT;

/// Where the copies are, below the user's tree.
pub const COPIES: &str = "home/.local/state/berth/databases";

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

/// Pages in each step where others wait meanwhile.
const PAGES: i32 = 256;

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
/// What the system says of the directory of the copies.
pub fn copy(root: &Path, limits: Limits) -> io::Result<Databases> {
    remove(root)?;
    let began = Instant::now();
    let deadline = began + limits.patience;
    let (paths, is_cut) = find(root, began + limits.patience / 2);
    let mut databases = Databases { found: Vec::new(), is_cut };
    if paths.is_empty() {
        return Ok(databases);
    }
    let copies = root.join(COPIES);
    directory(&copies)?;
    for path in paths {
        let shown = path.to_string_lossy().into_owned();
        let copy = copies.join(&path);
        let made = one(&root.join(&path), &copy, limits.each_bytes, deadline);
        let (copy, problem) = match made {
            Ok(()) => (Some(format!("{COPIES}/{shown}")), None),
            Err(error) => {
                let _ = fs::remove_file(copy);
                (None, Some(error.to_string()))
            }
        };
        databases.found.push(Database { path: shown, copy, problem });
    }
    fs::write(copies.join(LIST), serde_json::to_vec_pretty(&databases).unwrap_or_default())?;
    Ok(databases)
}

/// Removes the copies.
///
/// # Errors
/// What the system says.
pub fn remove(root: &Path) -> io::Result<()> {
    match fs::remove_dir_all(root.join(COPIES)) {
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
            let (Ok(kind), name) = (entry.file_type(), entry.file_name()) else { continue };
            let path = directory.join(&name);
            if kind.is_dir() {
                let is_out = LEFT_OUT.iter().any(|left_out| name == *left_out);
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
    let has_log = header(database)?[VERSION] == WAL;
    step_by_step(database, copy, has_log, deadline).map_err(io::Error::other)
}

fn step_by_step(
    database: &Path,
    copy: &Path,
    has_log: bool,
    deadline: Instant,
) -> Result<(), rusqlite::Error> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(database, flags)?;
    let mut target = Connection::open(copy)?;
    // Nobody reads it before it is in a snapshot.
    target.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(&source, &mut target)?;
    loop {
        let result = backup.step(if has_log { -1 } else { PAGES })?;
        match result {
            StepResult::Done => return Ok(()),
            _ if Instant::now() > deadline => {
                let words = "it was written all the time, or is too large to be copied in time".to_owned();
                let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                return Err(rusqlite::Error::SqliteFailure(busy, Some(words)));
            }
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
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { patience: Duration::from_secs(20), each_bytes: 1 << 20 };

    fn rows(path: &Path) -> i64 {
        let database = Connection::open(path).unwrap();
        let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        database.query_row("SELECT COUNT(*) FROM words", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn databases_are_found_by_their_header_and_copied_with_what_is_only_in_a_log() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["home", "projects/app", "projects/app/node_modules"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let open = |name: &str, mode: &str| {
            let database = Connection::open(root.join(name)).unwrap();
            database.pragma_update(None, "journal_mode", mode).unwrap();
            database.execute_batch("CREATE TABLE words (word); INSERT INTO words VALUES ('one');").unwrap();
            database
        };
        let logged = open("projects/app/no ending", "WAL");
        let plain = open("projects/plain.db", "DELETE");
        let left_out = open("projects/app/node_modules/x.db", "DELETE");
        fs::write(root.join("projects/no.db"), "not a database, whatever its name").unwrap();
        std::os::unix::fs::symlink("plain.db", root.join("projects/link.db")).unwrap();
        let huge = open("projects/huge.db", "DELETE");
        huge.execute("INSERT INTO words VALUES (zeroblob(2000000))", []).unwrap();
        // A writer in the middle of something: what is not committed is in no copy.
        logged
            .execute_batch(
                "BEGIN; INSERT INTO words VALUES ('two'); COMMIT; BEGIN; INSERT INTO words VALUES (3);",
            )
            .unwrap();

        let made = copy(root, LIMITS).unwrap();
        let mut found: Vec<(&str, bool)> =
            made.found.iter().map(|one| (one.path.as_str(), one.copy.is_some())).collect();
        found.sort_unstable();
        let expected =
            [("projects/app/no ending", true), ("projects/huge.db", false), ("projects/plain.db", true)];
        assert_eq!(found, expected, "{made:?}");
        let copies = root.join(COPIES);
        assert_eq!(
            (rows(&copies.join("projects/app/no ending")), rows(&copies.join("projects/plain.db"))),
            (2, 1)
        );
        assert!(copies.join(LIST).exists() && !copies.join("projects/huge.db").exists());
        // Again, with copies left behind, and after.
        drop((plain, left_out, huge));
        assert_eq!(copy(root, LIMITS).unwrap().found.len(), 3);
        remove(root).unwrap();
        assert!(!copies.exists());
        assert_eq!(rows(&root.join("projects/plain.db")), 1);
    }
}
