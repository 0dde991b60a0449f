//! What hooks said while the agent was away: a directory in memory that belongs to the user of terminals, bounded, read
//! in order when the agent is back. Root reads there only what is plainly that user's own small file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;
use nix::unistd::Uid;

use super::HookMessage;

/// Messages that may wait; hooks of a day of work are fewer.
const MAX_FILES: usize = 2048;

/// Bytes of one.
const MAX_BYTES: u64 = 8 * 1024;

/// Ends the name of a message that is whole.
const WHOLE: &str = ".json";

/// Leaves a message.
///
/// # Errors
/// When the spool is full, or can't be written to.
pub fn put(directory: &Path, message: &HookMessage) -> io::Result<()> {
    if fs::read_dir(directory)?.count() >= MAX_FILES {
        return Err(io::Error::other(format!("{MAX_FILES} messages wait already: see that the agent runs")));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    // Names are in the order of time, and no two are the same.
    let name = directory.join(format!("{now:020}-{}", message.id));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name)?;
    file.write_all(&serde_json::to_vec(message)?)?;
    drop(file);
    // Only what is whole has the name that is looked for.
    fs::rename(&name, directory.join(format!("{now:020}-{}{WHOLE}", message.id)))
}

/// A message that waits.
#[derive(Debug)]
pub struct Spooled {
    /// What was said; nothing when it is not understood, or was not the user's to say.
    pub message: Option<HookMessage>,
    path: PathBuf,
}

impl Spooled {
    /// It is known elsewhere.
    pub fn done(self) {
        // What can't be removed is read again, and its id is known by then.
        let _ = fs::remove_file(self.path);
    }
}

/// What waits, in order.
#[must_use]
pub fn waiting(directory: &Path, owner: Uid) -> Vec<Spooled> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(WHOLE)).collect();
    paths.sort_unstable();
    paths.truncate(MAX_FILES);
    paths.into_iter().map(|path| Spooled { message: read(&path, owner).ok(), path }).collect()
}

fn read(path: &Path, owner: Uid) -> io::Result<HookMessage> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file: File = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.uid() != owner.as_raw() || about.len() > MAX_BYTES {
        return Err(io::Error::other("not a message of the user of terminals"));
    }
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    let message: HookMessage = serde_json::from_slice(&text)?;
    if message.is_sound() { Ok(message) } else { Err(io::Error::other("its id was not drawn")) }
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::random_base32;

    use super::*;
    use crate::notify::signal::HookSignal;

    fn message(text: &str) -> HookMessage {
        HookMessage { id: random_base32(), pane: None, tty: None, said: HookSignal::Done(text.into()) }
    }

    #[test]
    fn what_waits_is_read_in_order_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let said: Vec<HookMessage> = (0..20).map(|number| message(&number.to_string())).collect();
        said.iter().for_each(|message| put(dir.path(), message).unwrap());
        let read = waiting(dir.path(), Uid::effective());
        let read: Vec<HookMessage> = read
            .into_iter()
            .map(|mut spooled| {
                let message = spooled.message.take().unwrap();
                spooled.done();
                message
            })
            .collect();
        assert_eq!(read, said);
        assert!(waiting(dir.path(), Uid::effective()).is_empty());
    }

    #[test]
    fn only_small_files_of_the_user_are_read() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &message("a")).unwrap();
        assert!(waiting(dir.path(), Uid::from_raw(4_000_000))[0].message.is_none(), "another's");
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("1.json")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("2.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::write(dir.path().join("3.json"), vec![b' '; 9000]).unwrap();
        fs::write(dir.path().join("4.json"), r#"{"id": "../../x", "said": "started"}"#).unwrap();
        fs::write(dir.path().join("half"), "{").unwrap();
        let read = waiting(dir.path(), Uid::effective());
        assert_eq!(read.len(), 5);
        assert_eq!(read.iter().filter(|spooled| spooled.message.is_some()).count(), 1);
        read.into_iter().for_each(Spooled::done);
        assert!(waiting(dir.path(), Uid::effective()).is_empty());
    }

    #[test]
    fn a_full_spool_says_so() {
        let dir = tempfile::tempdir().unwrap();
        (0..MAX_FILES).for_each(|number| fs::write(dir.path().join(number.to_string()), "").unwrap());
        let error = put(dir.path(), &message("a")).unwrap_err().to_string();
        assert!(error.contains("messages wait already"), "{error}");
    }
}
