//! Clones a repository into the projects, whole or not at all: beside its place first, and by one rename into it.
//!
//! git is asked for https and ssh alone, whatever an address in the user's settings becomes. A token stands in
//! neither address nor settings: git asks for it, and [`super::credential`] answers, from a file in memory that is
//! removed with the clone. Helpers of the user's settings are left out, since one of them would keep the token.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;

use berth_protocol::environment::Repository;
use nix::errno::Errno;
use nix::fcntl::{RenameFlags, renameat2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::Uid;

use super::environment::{VARIABLES_FILE, put, remove};
use super::tree::{Lost, Place, Tree};
use crate::environment::job::{CloneJob, CloneLine};
use crate::environment::plan::Found;
use crate::environment::variables;
use crate::host::child::{Said, start_within};
use crate::host::command::Invocation;

/// Where repositories are in the user's tree.
const PROJECTS: &str = "projects";

/// What the directories of unfinished clones begin with.
const UNFINISHED: &str = ".berth-clone-";

/// The repository in such a directory.
const WORK: &str = "work";

/// Where the token is in memory, while git may ask for it.
const TOKEN: &str = "clone-token";

/// Bytes of git's last words that are told.
const LAST_WORDS: usize = 400;

/// Variables of the workspace that git may know of its own: the others would lead it elsewhere, or make it tell
/// more than it should.
const GIT_VARIABLES: [&str; 2] = ["GIT_SSH_COMMAND", "GIT_SSL_CAINFO"];

/// Clones, and says how far it is.
pub fn clone(root: &Path, secrets: &Path, job: &CloneJob, mut say: impl FnMut(CloneLine)) {
    let last = match attempt(root, secrets, job, &mut say) {
        Ok(line) => line,
        Err(lost) => CloneLine::Failed(match lost {
            Lost::System(Errno::ENOENT) => "there is no directory projects on the volume".into(),
            Lost::System(error) => format!("its directory can't be made: {}", error.desc()),
            lost => lost.to_string(),
        }),
    };
    say(last);
}

fn attempt(
    root: &Path,
    secrets: &Path,
    job: &CloneJob,
    say: &mut impl FnMut(CloneLine),
) -> Result<CloneLine, Lost> {
    let tree = Tree::open(root)?;
    let place = tree.place(&format!("{PROJECTS}/{}", job.repository.directory), None)?;
    if place.look()? != Found::Nothing {
        return Ok(CloneLine::There);
    }
    let projects = root.join(PROJECTS);
    sweep(&projects);
    let name = format!("{UNFINISHED}{:016x}", fastrand::u64(..));
    mkdirat(place.directory.handle(), name.as_str(), Mode::S_IRWXU)?;
    let outcome = in_directory(&projects.join(&name), &tree, &name, secrets, job, &place, say);
    sweep(&projects);
    outcome
}

fn in_directory(
    directory: &Path,
    tree: &Tree,
    name: &str,
    secrets: &Path,
    job: &CloneJob,
    place: &Place,
    say: &mut impl FnMut(CloneLine),
) -> Result<CloneLine, Lost> {
    let memory = Tree::open(secrets)?;
    let token = job.repository.token.as_ref();
    if let Some(token) = token {
        put(&memory, TOKEN, token.expose())?;
    }
    let told = git(directory, secrets, job, say);
    remove(&memory, TOKEN);
    if let Err(message) = told {
        return Ok(CloneLine::Failed(token.map_or(message.clone(), |token| hide(&message, token.expose()))));
    }
    let work = tree.place(&format!("{PROJECTS}/{name}/{WORK}"), None)?;
    let (from, to) = (work.directory.handle(), place.directory.handle());
    match renameat2(from, WORK, to, place.name.as_str(), RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => Ok(CloneLine::Cloned),
        Err(Errno::EEXIST) => Ok(CloneLine::There),
        Err(error) => Err(error.into()),
    }
}

/// Removes clones that were not finished. One worker clones at a time.
fn sweep(projects: &Path) {
    let Ok(entries) = std::fs::read_dir(projects) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            // What can't be removed now is in nobody's way, and is tried again.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Runs git to its end; what it complained about last when it fails.
fn git(
    directory: &Path,
    secrets: &Path,
    job: &CloneJob,
    say: &mut impl FnMut(CloneLine),
) -> Result<(), String> {
    let set = variables::read(&secrets.join(VARIABLES_FILE), Uid::effective());
    let invocation =
        Invocation::new("git", arguments(job, secrets)).with_env(environment(std::env::vars_os(), set));
    let mut child =
        start_within(&invocation, directory, Said::Complaints).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "git is not installed on this box: install the package git".to_owned(),
            _ => format!("git can't be started: {error}"),
        })?;
    let words = child.stderr.take().map(|stderr| listen(stderr, say)).unwrap_or_default();
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(explained(&words, &status.to_string())),
        Err(error) => Err(format!("the end of git was not told: {error}")),
    }
}

/// Reads what git says to its end: progress is passed on, and the rest kept as its last words.
fn listen(mut stderr: impl Read, say: &mut impl FnMut(CloneLine)) -> String {
    let (mut line, mut words) = (Vec::new(), String::new());
    let mut known = None;
    let mut buffer = [0; 4096];
    loop {
        let count = match stderr.read(&mut buffer) {
            Ok(0) | Err(_) => return words,
            Ok(count) => count,
        };
        for byte in &buffer[..count] {
            if !matches!(byte, b'\r' | b'\n') {
                // A line that never ends is not one.
                if line.len() < LAST_WORDS {
                    line.push(*byte);
                }
                continue;
            }
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            line.clear();
            match progress(&text) {
                Some(now) if known.as_ref() == Some(&now) => {}
                Some((phase, percent)) => {
                    known = Some((phase.clone(), percent));
                    say(CloneLine::Progress { phase, percent });
                }
                None if text.is_empty() => {}
                None => {
                    words = format!("{words}; {text}");
                    let from = words.char_indices().rev().nth(LAST_WORDS).map_or(0, |(at, _)| at);
                    words.drain(..from);
                }
            }
        }
    }
}

/// Phase and percentage of a line like `Receiving objects:  42% (21/50), 1.00 MiB | 2.00 MiB/s`.
fn progress(line: &str) -> Option<(String, u8)> {
    let (phase, rest) = line.strip_prefix("remote: ").unwrap_or(line).split_once(':')?;
    let (percent, _) = rest.trim_start().split_once("% (")?;
    let percent = percent.parse().ok().filter(|percent| *percent <= 100)?;
    Some((phase.chars().filter(|c| !c.is_control()).take(40).collect(), percent))
}

fn explained(words: &str, status: &str) -> String {
    let words: String = words.trim_start_matches("; ").chars().filter(|c| !c.is_control()).collect();
    let refused = ["could not read Username", "could not read Password", "Authentication failed", "HTTP 403"];
    let remedy = if refused.iter().any(|sign| words.contains(sign)) {
        "; give a token that may read the repository"
    } else if words.contains("Permission denied (publickey") {
        "; give a key that may read it as a secret file, such as .ssh/id_ed25519"
    } else {
        ""
    };
    if words.is_empty() { format!("git failed ({status})") } else { format!("{words}{remedy}") }
}

/// A server may say anything, also what it was sent.
fn hide(message: &str, token: &[u8]) -> String {
    std::str::from_utf8(token).map_or_else(|_| message.to_owned(), |token| message.replace(token, "********"))
}

fn arguments(job: &CloneJob, secrets: &Path) -> Vec<OsString> {
    let CloneJob { repository: Repository { url, branch, token, directory: _ }, agent } = job;
    let mut words: Vec<OsString> = Vec::new();
    let mut set = |setting: OsString| words.extend(["-c".into(), setting]);
    // The empty one takes back what the user's settings say.
    set("credential.helper=".into());
    if let (Some(_), Some((scheme, authority))) = (token, url.http_authority()) {
        let mut helper = OsString::from("credential.helper=!");
        helper.push(quoted(agent));
        helper.push(format!(" worker credential --scheme {scheme} --authority '{authority}' --token-file "));
        helper.push(quoted(&secrets.join(TOKEN)));
        set(helper);
    }
    // A server that does not go on is given up.
    set("http.lowSpeedLimit=1".into());
    set("http.lowSpeedTime=60".into());
    set("advice.detachedHead=false".into());
    words.extend(["clone".into(), "--progress".into()]);
    words.extend(branch.iter().map(|branch| format!("--branch={branch}").into()));
    words.extend(["--".into(), url.as_str().into(), WORK.into()]);
    words
}

/// A path as one word of a shell: git gives the helper's line to one.
fn quoted(path: &Path) -> OsString {
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''")).into()
}

fn environment(
    own: impl IntoIterator<Item = (OsString, OsString)>,
    set: Vec<(OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let allowed = |name: &OsString| {
        let name = name.to_string_lossy();
        !name.starts_with("GIT_") || GIT_VARIABLES.contains(&name.as_ref())
    };
    let mut env: Vec<(OsString, OsString)> = vec![(
        "GIT_SSH_COMMAND".into(),
        "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ConnectTimeout=30".into(),
    )];
    env.extend(own.into_iter().chain(set).filter(|(name, _)| allowed(name)));
    env.extend([
        ("GIT_ALLOW_PROTOCOL".into(), "https:http:ssh".into()),
        ("GIT_TERMINAL_PROMPT".into(), "0".into()),
        // Messages are looked at for what they mean.
        ("LC_ALL".into(), "C.UTF-8".into()),
    ]);
    env
}

#[cfg(test)]
mod tests;
