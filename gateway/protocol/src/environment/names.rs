//! Names, paths and addresses of an environment: each type holds only what can do no harm where it is used.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bytes of a variable's name, at most.
const MAX_NAME: usize = 128;

/// Bytes of a path below the home directory, at most, ...
const MAX_PATH: usize = 512;

/// ... and of each of its components: what file systems take.
const MAX_COMPONENT: usize = 255;

/// Bytes of a repository's address, at most.
const MAX_URL: usize = 1024;

/// Bytes of a branch's and a project's name, at most.
const MAX_WORD: usize = 200;

/// Variables that Berth, tmux and the login give a terminal.
const GIVEN: [&str; 9] = ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "PWD", "OLDPWD", "TERM", "_"];

/// Variables of shells themselves: to set one ends the shell, or changes what its words mean.
const SHELLS: [&str; 10] =
    ["IFS", "PPID", "UID", "EUID", "OPTIND", "LINENO", "RANDOM", "SECONDS", "SHELLOPTS", "GROUPS"];

/// Something that an environment can't have, and what to do about it. What may be secret is never part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{item}: {problem}")]
pub struct InvalidItem {
    /// What is meant.
    pub item: String,
    /// What is wrong with it, and the remedy.
    pub problem: String,
}

impl InvalidItem {
    pub(super) fn new(item: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { item: item.into(), problem: problem.into() }
    }
}

/// What was said, as far as it can be shown.
fn shown(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    if plain == text { plain } else { format!("{plain}…") }
}

macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// As it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidItem;

            fn from_str(text: &str) -> Result<Self, InvalidItem> {
                match $rule(text) {
                    Ok(()) => Ok(Self(text.to_owned())),
                    Err(problem) => Err(InvalidItem::new(format!("{} \"{}\"", $what, shown(text)), problem)),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidItem;

            fn try_from(text: String) -> Result<Self, InvalidItem> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    };
}

checked!(/// A variable that a user may set.
    VariableName, "variable", variable);
checked!(/// A path below the home directory that leads nowhere else by its words.
    Destination, "file", destination);
checked!(/// A directory right below `projects`.
    ProjectDirectory, "repository directory", project);
checked!(/// A branch or a tag.
    Branch, "branch", branch);
checked!(/// An address of a repository, without a user's secrets: https, ssh, or http on the box itself.
    RepositoryUrl, "repository address", url);

fn variable(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty()
        || name.len() > MAX_NAME
        || !name.bytes().all(plain)
        || name.as_bytes()[0].is_ascii_digit()
    {
        return Err(format!("use 1 to {MAX_NAME} of A-Z, a-z, 0-9 and _, the first of them no digit"));
    }
    // In small letters they are those of the script that begins a pane.
    let ours = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("berth_"));
    if GIVEN.contains(&name) || ours || name.starts_with("TMUX") {
        return Err("Berth sets it itself; a terminal's own is changed in ~/.profile".into());
    }
    if SHELLS.contains(&name) || name.starts_with("BASH") {
        return Err("it is the shell's own; choose another name".into());
    }
    if name.starts_with("LD_") {
        return Err("it could keep every program from starting; set it in a script where it is needed".into());
    }
    Ok(())
}

fn destination(path: &str) -> Result<(), String> {
    if path.is_empty() || path.len() > MAX_PATH {
        return Err(format!("a path has 1 to {MAX_PATH} bytes"));
    }
    if path.starts_with('/') || path.starts_with('~') {
        return Err("write it relative to the home directory, such as .config/tool.toml".into());
    }
    if path.chars().any(char::is_control) {
        return Err("it has a control character; leave it out".into());
    }
    let sound = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= MAX_COMPONENT;
    if !path.split('/').all(sound) {
        return Err("it has an empty, too long, \".\" or \"..\" component; name the file itself".into());
    }
    Ok(())
}

fn project(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > MAX_WORD || !name.bytes().all(plain) || name.starts_with(['.', '-']) {
        return Err("use one name of A-Z, a-z, 0-9, ., _ and -, beginning with a letter, a digit or _".into());
    }
    Ok(())
}

/// What `git check-ref-format` refuses is refused here, and a little more.
fn branch(name: &str) -> Result<(), String> {
    let odd = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let broken = name.is_empty()
        || name.len() > MAX_WORD
        || name.chars().any(odd)
        || name.starts_with(['-', '/', '.'])
        || name.ends_with(['/', '.'])
        || name.ends_with(".lock")
        || ["..", "//", "@{", "/."].iter().any(|pair| name.contains(pair))
        || name == "@";
    if broken { Err("no branch can have this name; write it as git shows it".into()) } else { Ok(()) }
}

fn url(text: &str) -> Result<(), String> {
    if text.len() > MAX_URL || !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('\\') {
        return Err(format!("an address has at most {MAX_URL} printable ASCII characters and no blank"));
    }
    let form = || "write https://host/path, ssh://user@host/path or user@host:path".to_owned();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme @ ("https" | "http" | "ssh"), rest)) => (scheme, rest),
        Some(_) => return Err(form()),
        None => ("scp", text),
    };
    let separator = if scheme == "scp" { ':' } else { '/' };
    let (authority, path) = rest.split_once(separator).ok_or_else(form)?;
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    };
    if scheme.starts_with("http") && user.is_some() || user.is_some_and(|user| user.contains(':')) {
        return Err("leave user and password out of the address; the token has a field of its own".into());
    }
    if scheme.starts_with("http") && path.contains(['?', '#']) {
        return Err("leave out what begins with ? or #".into());
    }
    let plain = |text: &str| {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !text.is_empty() && text.bytes().all(word) && !text.starts_with('-')
    };
    let host = host(place).filter(|host| plain(host) || is_v6(host)).ok_or_else(form)?;
    if user.is_some_and(|user| !plain(user)) || scheme == "scp" && user.is_none() {
        return Err(form());
    }
    if path.is_empty() || path.starts_with('-') || scheme == "scp" && path.starts_with(':') {
        return Err(form());
    }
    if scheme == "http" && !matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
        return Err("http is for servers on the box itself; use https".into());
    }
    Ok(())
}

/// The host of `host` or `host:port`.
fn host(place: &str) -> Option<&str> {
    let end = place.rfind(']').map_or(0, |end| end + 1);
    match place[end..].split_once(':') {
        Some((before, port)) => {
            port.parse::<u16>().ok()?;
            Some(&place[..end + before.len()])
        }
        None => Some(place),
    }
}

fn is_v6(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
}

impl Destination {
    /// Whether it is in a directory, or is that directory itself.
    #[must_use]
    pub fn is_within(&self, directory: &str) -> bool {
        self.0.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl RepositoryUrl {
    /// Scheme and `host[:port]` of an address that a token can be sent to.
    #[must_use]
    pub fn http_authority(&self) -> Option<(&str, &str)> {
        let (scheme, rest) = self.0.split_once("://").filter(|(scheme, _)| scheme.starts_with("http"))?;
        rest.split_once('/').map(|(authority, _)| (scheme, authority))
    }
}

/// Permissions of a file: those of its owner, its group and others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileMode(u16);

impl FileMode {
    /// For its owner alone.
    pub const PRIVATE: Self = Self(0o600);

    /// For its owner alone, to run too.
    pub const OWN_PROGRAM: Self = Self(0o700);

    /// For all to read.
    pub const PUBLIC: Self = Self(0o644);

    /// The bits.
    #[must_use]
    pub fn bits(self) -> u16 {
        self.0
    }

    /// Whether others than the owner may do anything.
    #[must_use]
    pub fn is_shared(self) -> bool {
        self.0 & 0o077 != 0
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for FileMode {
    type Err = InvalidItem;

    fn from_str(text: &str) -> Result<Self, InvalidItem> {
        let octal = text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) && (3..=4).contains(&text.len());
        let bits = octal.then(|| u16::from_str_radix(text, 8).ok()).flatten();
        // Its owner must be able to read it, or nobody could tell what became of it.
        bits.filter(|bits| bits & !0o777 == 0 && bits & 0o400 != 0).map(Self).ok_or_else(|| {
            InvalidItem::new(
                format!("mode \"{}\"", shown(text)),
                "write it as 0600 or 0755, readable for its owner",
            )
        })
    }
}

impl TryFrom<String> for FileMode {
    type Error = InvalidItem;

    fn try_from(text: String) -> Result<Self, InvalidItem> {
        text.parse()
    }
}

impl From<FileMode> for String {
    fn from(mode: FileMode) -> Self {
        mode.to_string()
    }
}
