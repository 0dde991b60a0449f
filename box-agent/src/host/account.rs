//! The user that terminals run as: the agent's own, or, for an agent that is root, the one of the settings.
//!
//! Root hands over everything that terminals reach, and does nothing on their behalf: see
//! [`Invocation::as_user`](super::command::Invocation::as_user).

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};

use super::users::User;

/// Shells to fall back on, best first.
const SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];

/// Where programs are looked for when the agent itself was started without a `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A user, as a terminal needs to know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The login name.
    pub user: String,
    /// Its number.
    pub uid: Uid,
    /// Its own group.
    pub gid: Gid,
    /// The home directory in the terminal: on the volume.
    pub home: PathBuf,
    /// The login shell.
    pub shell: PathBuf,
}

/// Why nobody can use terminals.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such user.
    #[error("there is no user \"{0}\" on this machine: make it, or set terminal.user to another")]
    Unknown(String),
    /// The list of users can't be read.
    #[error("failed to look up the user \"{user}\" of terminal.user")]
    Unreadable {
        /// The name.
        user: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Only root can become another user.
    #[error(
        "terminal.user is \"{wanted}\", but this agent runs as \"{own}\": run it as root, or leave terminal.user out"
    )]
    NotRoot {
        /// The user of the settings.
        wanted: String,
        /// The agent's own.
        own: String,
    },
}

impl Account {
    /// The user called `name`, or the one that this process runs as, with a home on the volume.
    ///
    /// # Errors
    /// [`AccountError`].
    pub fn find(name: Option<&str>, home: PathBuf, shell: Option<&Path>) -> Result<Self, AccountError> {
        let exists = |path: &Path| path.is_absolute() && path.is_file();
        let own = Uid::effective();
        let Some(name) = name else {
            let user = User::of_uid(own).ok().flatten().map_or_else(|| own.to_string(), |user| user.name);
            let shell = choose_shell(shell, std::env::var_os("SHELL").as_deref(), exists);
            return Ok(Self { user, uid: own, gid: Gid::effective(), home, shell });
        };
        let user = User::of_name(name)
            .map_err(|source| AccountError::Unreadable { user: name.to_owned(), source })?
            .ok_or_else(|| AccountError::Unknown(name.to_owned()))?;
        if user.uid != own && !own.is_root() {
            let own = User::of_uid(own).ok().flatten().map_or_else(|| own.to_string(), |user| user.name);
            return Err(AccountError::NotRoot { wanted: name.to_owned(), own });
        }
        let shell = choose_shell(shell, Some(user.shell.as_os_str()), exists);
        Ok(Self { user: user.name, uid: user.uid, gid: user.gid, home, shell })
    }

    /// Whether terminals run as another user than this process.
    #[must_use]
    pub fn is_another(&self) -> bool {
        self.uid != Uid::effective()
    }

    /// The whole environment of programs in terminals. `inherited` is asked for what is the machine's choice.
    #[must_use]
    pub fn environment(&self, inherited: impl Fn(&str) -> Option<OsString>) -> Vec<(OsString, OsString)> {
        // ~/.local/bin is where installers for one user, the coding agents' among them, put programs.
        let mut path = self.home.join(".local/bin").into_os_string();
        path.push(":");
        path.push(inherited("PATH").filter(|path| !path.is_empty()).unwrap_or_else(|| DEFAULT_PATH.into()));
        let utf8 = |name: &str| inherited(name).filter(|value| is_utf8_locale(value));
        let mut env: Vec<(OsString, OsString)> = vec![
            ("HOME".into(), self.home.clone().into_os_string()),
            ("LANG".into(), utf8("LC_ALL").or_else(|| utf8("LANG")).unwrap_or_else(|| "C.UTF-8".into())),
            ("LOGNAME".into(), self.user.clone().into()),
            ("PATH".into(), path),
            ("SHELL".into(), self.shell.clone().into_os_string()),
            ("USER".into(), self.user.clone().into()),
        ];
        env.extend(inherited("TZ").map(|zone| ("TZ".into(), zone)));
        env
    }
}

fn is_utf8_locale(value: &OsStr) -> bool {
    let value = value.to_string_lossy().to_ascii_lowercase();
    value.ends_with("utf-8") || value.ends_with("utf8")
}

fn choose_shell(setting: Option<&Path>, env: Option<&OsStr>, exists: impl Fn(&Path) -> bool) -> PathBuf {
    if let Some(chosen) = setting {
        return chosen.to_owned();
    }
    let candidates = env.map(Path::new).into_iter().chain(SHELLS.map(Path::new));
    candidates.into_iter().find(|path| exists(path)).unwrap_or(Path::new("/bin/sh")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_is_the_setting_the_environment_or_one_that_exists() {
        let all = |_: &Path| true;
        let none = |_: &Path| false;
        let bash_only = |path: &Path| path == Path::new("/bin/bash");
        let zsh = Some(OsStr::new("/bin/zsh"));
        assert_eq!(choose_shell(Some(Path::new("/x")), zsh, none), Path::new("/x"));
        assert_eq!(choose_shell(None, zsh, all), Path::new("/bin/zsh"));
        assert_eq!(choose_shell(None, zsh, bash_only), Path::new("/bin/bash"));
        assert_eq!(choose_shell(None, None, none), Path::new("/bin/sh"));
    }

    #[test]
    fn a_user_is_found_by_name_and_only_root_becomes_another() {
        let find = |name| Account::find(name, "/h".into(), Some(Path::new("/bin/sh")));
        let own = find(None).unwrap();
        assert!(!own.is_another());
        assert_eq!(find(Some(&own.user)).unwrap(), own);
        let error = find(Some("no-such-user")).unwrap_err().to_string();
        assert!(error.contains("no user \"no-such-user\""), "{error}");
        match find(Some("nobody")) {
            Ok(nobody) => assert!(Uid::effective().is_root() && nobody.is_another()),
            Err(error) => assert!(error.to_string().contains("run it as root"), "{error}"),
        }
    }

    #[test]
    fn a_terminal_gets_the_volume_as_home_and_nothing_unasked() {
        let account = Account {
            user: "claude".into(),
            uid: Uid::from_raw(1000),
            gid: Gid::from_raw(1000),
            home: "/v/user/home".into(),
            shell: "/bin/bash".into(),
        };
        let machine = |name: &str| match name {
            "PATH" => Some("/usr/bin".into()),
            "LANG" => Some("de_DE.ISO-8859-1".into()),
            "SECRET" => Some("hush".into()),
            _ => None,
        };
        let env = account.environment(machine);
        let get = |name: &str| env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        assert_eq!(get("PATH").unwrap(), "/v/user/home/.local/bin:/usr/bin");
        assert_eq!(get("LANG").unwrap(), "C.UTF-8");
        assert_eq!(get("HOME").unwrap(), "/v/user/home");
        assert_eq!(get("SECRET"), None);
    }
}
