//! The users of this machine. `/etc/passwd` is read, and where it is silent `getent` is asked: see [`super::names`].

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Uid};

use super::names::{GETENT, UNKNOWN};

/// Where most are.
const PASSWD: &str = "/etc/passwd";

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// Its number.
    pub uid: Uid,
    /// Its own group.
    pub gid: Gid,
    /// The login shell.
    pub shell: PathBuf,
}

impl User {
    /// The user of this name.
    ///
    /// # Errors
    /// When it is not known whether there is one.
    pub fn of_name(name: &str) -> io::Result<Option<Self>> {
        // To `getent` a number is a user's number, with a sign and blanks before it, too.
        let number = name.trim_start().trim_start_matches(['+', '-']);
        if number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        find(Path::new(PASSWD), name, |user| user.name == name)
    }

    /// The user of this number.
    ///
    /// # Errors
    /// When it is not known whether there is one.
    pub fn of_uid(uid: Uid) -> io::Result<Option<Self>> {
        find(Path::new(PASSWD), &uid.to_string(), |user| user.uid == uid)
    }

    /// A line of `/etc/passwd`.
    fn of_line(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, _, shell] = fields[..] else { return None };
        let (uid, gid) = (Uid::from_raw(uid.parse().ok()?), Gid::from_raw(gid.parse().ok()?));
        Some(Self { name: name.to_owned(), uid, gid, shell: shell.into() })
    }
}

fn find(passwd: &Path, key: &str, is_wanted: impl Fn(&User) -> bool) -> io::Result<Option<User>> {
    let text = std::fs::read_to_string(passwd).unwrap_or_default();
    if let Some(user) = text.lines().filter_map(User::of_line).find(is_wanted) {
        return Ok(Some(user));
    }
    let asked = Command::new(GETENT)
        .args(["passwd", "--", key])
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|error| io::Error::other(format!("failed to start {GETENT}: {error}")))?;
    match asked.status.code() {
        // Under its own name, if a directory knows the user by several.
        Some(0) => Ok(String::from_utf8_lossy(&asked.stdout).lines().find_map(User::of_line)),
        Some(UNKNOWN) => Ok(None),
        _ => Err(io::Error::other(format!("{GETENT} failed ({})", asked.status))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let root = User::of_name("root").unwrap().unwrap();
        assert!(root.uid.is_root() && root.gid == Gid::from_raw(0));
        assert_eq!(User::of_uid(Uid::from_raw(0)).unwrap(), Some(root));
        assert_eq!(User::of_name("no-such-user").unwrap(), None);
        for number in ["0", "+0", " 0", ""] {
            assert_eq!(User::of_name(number).unwrap(), None, "a number is no name");
        }
        assert_eq!(User::of_uid(Uid::from_raw(3_999_999_999)).unwrap(), None);
        assert_eq!(User::of_name("--help").unwrap(), None);
    }

    #[test]
    fn who_is_not_in_the_file_is_asked_for() {
        let asked = |key| find(Path::new("/dev/null"), key, |_| true).unwrap();
        assert_eq!(asked("root"), User::of_name("root").unwrap());
        assert_eq!(asked("0"), User::of_name("root").unwrap());
        assert_eq!(asked("no-such-user"), None);
    }

    #[test]
    fn what_is_not_a_line_of_seven_fields_is_nobody() {
        let dev = User::of_line("dev:x:1000:1001:Dev,,,:/home/dev:/usr/bin/fish").unwrap();
        assert_eq!((dev.uid, dev.gid), (Uid::from_raw(1000), Gid::from_raw(1001)));
        assert_eq!((dev.name.as_str(), dev.shell), ("dev", "/usr/bin/fish".into()));
        for line in ["", "dev", "dev:x:1000:1001:::/bin/sh:", "dev:x:-1:0:::/bin/sh", "+::::::"] {
            assert_eq!(User::of_line(line), None, "{line}");
        }
    }
}
