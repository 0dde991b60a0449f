//! The variables as commands at the door get them: those of the file, at the time of the call.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::Uid;

use super::shell;

/// Bytes of the file, at most: every byte of the largest environment may be a quote.
const MAX_FILE: u64 = 2 * 1024 * 1024;

/// The variables that the file at `path` sets; none if it is not there, is not `owner`'s, or has become something
/// else. Its directory is the user's own, so nothing in it is trusted to be what it was.
#[must_use]
pub fn read(path: &Path, owner: Uid) -> Vec<(OsString, OsString)> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let Ok(file) = open(path, flags, Mode::empty()) else { return Vec::new() };
    let sound = fstat(&file).is_ok_and(|stat| {
        SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
            && stat.st_uid == owner.as_raw()
    });
    let mut text = Vec::new();
    let whole = sound && File::from(file).take(MAX_FILE).read_to_end(&mut text).is_ok();
    let found = whole.then(|| shell::read(&text)).flatten();
    if found.is_none() {
        tracing::warn!(path = %path.display(), "the file of variables is not as it was written; it is left out");
    }
    let text = |value: &[u8]| OsString::from_vec(value.to_vec());
    found
        .unwrap_or_default()
        .iter()
        .map(|(name, value)| (name.as_str().into(), text(value.expose())))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_the_users_own_file_counts_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("environment.sh");
        let own = Uid::effective();
        assert_eq!(read(&path, own), []);
        std::fs::write(&path, "export A='b c'\n").unwrap();
        assert_eq!(read(&path, own), [("A".into(), "b c".into())]);
        assert_eq!(read(&path, Uid::from_raw(own.as_raw() + 1)), []);
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(read(&link, own), []);
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        assert_eq!(read(&pipe, own), []);
        std::fs::write(&path, "export A='b'; touch x\n").unwrap();
        assert_eq!(read(&path, own), []);
    }
}
