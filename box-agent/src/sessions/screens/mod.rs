//! What panes showed last, kept on the volume, so that their user sees where they were when a session is rebuilt.
//!
//! This is the one place where what terminals show is written to a disk: every few minutes if it has changed, when
//! the agent stops, and before a suspend. The files are root's, and end with their session.

pub mod clean;
mod shelf;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use berth_daemon::exit::chain;
use berth_daemon::state::{StateError, private_dir, write_private};
use berth_protocol::ids::SessionId;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::album::Album;
use super::picture::Picture;
use crate::host::process::Process;
use crate::terminal::survey::{SeenSession, Survey};
use crate::terminal::tmux::{Tmux, TmuxError};
use clean::{clean, tail};
pub use shelf::Shelf;

/// Lines above the visible ones that are kept.
const SCROLLBACK_LINES: u32 = 300;

/// Bytes of one pane's text.
const MAX_BYTES: usize = 256 * 1024;

/// Panes of one session whose text is kept.
const MAX_PANES: usize = 32;

/// Why not everything could be kept.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// tmux does not tell.
    #[error("failed to look at the sessions")]
    Tmux(#[from] TmuxError),
    /// The volume does not take it.
    #[error("failed to keep the sessions' last screens")]
    Volume(#[from] StateError),
}

/// The first line of a file; the text follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    /// Of people's time, to be shown.
    saved_at_ms: i64,
    /// In which the pane had the address that the file is named by.
    server: Process,
}

/// The files on the volume.
pub struct Screens {
    dir: PathBuf,
    /// What was written of each pane, told by a sum.
    written: BTreeMap<(SessionId, String), u64>,
}

/// Keeps the pictures and the last screens of all sessions, and notes that they are to be rebuilt: what is done before
/// a suspension ends them.
///
/// # Errors
/// [`SaveError`]. What could be kept is.
pub async fn save(tmux: &Tmux, state_dir: &Path) -> Result<(), SaveError> {
    if tmux.sessions().await?.is_empty() {
        return Ok(());
    }
    let survey = tmux.survey().await?;
    let Some(server) = tmux.server() else { return Ok(()) };
    let mut album = Album::open(state_dir);
    let pictures = album.refresh(&survey, &server, Instant::now(), true).and_then(|()| album.set_aside());
    Screens::open(state_dir).save(tmux, &survey, &server).await?;
    Ok(pictures?)
}

impl Screens {
    /// The screens below what the agent keeps on a volume.
    #[must_use]
    pub fn open(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("screens"), written: BTreeMap::new() }
    }

    /// Writes what panes show and have not shown before; files of panes that are gone go too.
    ///
    /// # Errors
    /// [`SaveError`] of the last that failed; the others are written.
    pub async fn save(&mut self, tmux: &Tmux, survey: &Survey, server: &Process) -> Result<(), SaveError> {
        let mut outcome = Ok(());
        for (id, session) in survey {
            if let Err(error) = self.save_session(tmux, id, session, server).await {
                outcome = Err(error);
            }
        }
        outcome
    }

    async fn save_session(
        &mut self,
        tmux: &Tmux,
        id: &SessionId,
        session: &SeenSession,
        server: &Process,
    ) -> Result<(), SaveError> {
        let dir = self.dir.join(id.as_str());
        private_dir(&dir)?;
        let mut names = BTreeSet::new();
        for pane in session.panes().take(MAX_PANES) {
            let Some(name) = file_name(&pane.id) else { continue };
            names.insert(name.to_owned());
            let Some(text) = tmux.text(&pane.id, SCROLLBACK_LINES).await? else { continue };
            let text = clean(&text);
            let text = tail(text.trim_end(), MAX_BYTES);
            let (key, sum) = ((id.clone(), name.to_owned()), sum(server, text));
            if self.written.get(&key) != Some(&sum) {
                write_private(&dir.join(name), &file(server, text))?;
                self.written.insert(key, sum);
            }
        }
        remove_others(&dir, &names);
        self.written.retain(|(session, name), _| session != id || names.contains(name));
        Ok(())
    }

    /// What the panes of a picture showed last, put where the session's user can read it; by the panes' addresses.
    #[must_use]
    pub fn hand_over(
        &self,
        session: &SessionId,
        picture: &Picture,
        shelf: &Shelf,
    ) -> BTreeMap<String, PathBuf> {
        let panes = picture.windows.iter().flat_map(|window| &window.panes);
        let shown =
            panes.filter_map(|pane| Some((pane.id.clone(), self.last(session, &pane.id, &picture.server)?)));
        shelf.put(session, &shown.collect()).unwrap_or_else(|error| {
            tracing::warn!(%session, error = chain(&error), "failed to hand over the last screens");
            BTreeMap::new()
        })
    }

    /// What a pane showed last in this server, and when that was.
    fn last(&self, session: &SessionId, pane: &str, server: &Process) -> Option<String> {
        let path = self.dir.join(session.as_str()).join(file_name(pane)?);
        let text = fs::read_to_string(path).ok()?;
        let (header, text) = text.split_once('\n')?;
        let header: Header = serde_json::from_str(header).ok()?;
        (header.server == *server && !text.trim().is_empty())
            .then(|| above_the_prompt(text, header.saved_at_ms))
    }

    /// Throws away what is kept of a session.
    pub fn forget(&mut self, session: &SessionId) {
        self.written.retain(|(of, _), _| of != session);
        let dir = self.dir.join(session.as_str());
        if dir.exists()
            && let Err(error) = fs::remove_dir_all(&dir)
        {
            tracing::warn!(%session, error = chain(&error), "failed to remove the last screens");
        }
    }
}

fn file(server: &Process, text: &str) -> Vec<u8> {
    let saved_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let saved_at_ms = i64::try_from(saved_at.as_millis()).unwrap_or(i64::MAX);
    let header = Header { saved_at_ms, server: server.clone() };
    // A header has nothing that can't be written.
    let mut file = serde_json::to_vec(&header).unwrap_or_default();
    file.push(b'\n');
    file.extend_from_slice(text.as_bytes());
    file
}

/// The text as it is shown, with a line that says what it is. Cleaned once more: it comes from a disk.
fn above_the_prompt(text: &str, saved_at_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(saved_at_ms)
        .map_or_else(|_| String::new(), |at| at.strftime(" until %Y-%m-%d %H:%M UTC").to_string());
    // Short: a phone shows forty columns.
    format!("{}\u{1b}[0m\n\u{1b}[2m── shown{at} ──\u{1b}[0m\n", clean(tail(text, MAX_BYTES)))
}

/// The name of a pane's file: its address without tmux's sign.
fn file_name(pane: &str) -> Option<&str> {
    let number = pane.strip_prefix('%')?;
    (!number.is_empty() && number.len() < 20 && number.bytes().all(|b| b.is_ascii_digit())).then_some(number)
}

fn sum(server: &Process, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (server.pid(), text).hash(&mut hasher);
    hasher.finish()
}

fn remove_others(dir: &Path, names: &BTreeSet<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(|name| names.contains(name))
            && let Err(error) = fs::remove_file(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "failed to remove an old screen");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::picture::tests::servers;

    #[test]
    fn a_screen_is_shown_with_its_time_and_without_what_could_do_something() {
        let shown = above_the_prompt("$ make\nok\u{1b}]52;c;eA==\u{7}", 1_795_644_534_000);
        assert_eq!(shown, "$ make\nok\u{1b}[0m\n\u{1b}[2m── shown until 2026-11-25 22:08 UTC ──\u{1b}[0m\n");
        assert!(above_the_prompt("x", i64::MAX).contains("── shown ──"));
    }

    #[test]
    fn a_screen_of_another_server_is_another_panes() {
        let (dir, id, [server, other]) = (tempfile::tempdir().unwrap(), SessionId::random(), servers());
        let screens = Screens::open(dir.path());
        let of_session = dir.path().join("screens").join(id.as_str());
        fs::create_dir_all(&of_session).unwrap();
        fs::write(of_session.join("3"), file(&server, "text")).unwrap();
        assert!(screens.last(&id, "%3", &server).unwrap().starts_with("text\u{1b}[0m\n"));
        assert_eq!(screens.last(&id, "%3", &other), None);
        assert_eq!(screens.last(&id, "%4", &server), None);
        fs::write(of_session.join("3"), "no header").unwrap();
        assert_eq!(screens.last(&id, "%3", &server), None);
    }

    #[test]
    fn only_a_number_names_a_file() {
        assert_eq!(file_name("%12"), Some("12"));
        for pane in ["", "%", "12", "%../x", "%1/2", "%1a"] {
            assert_eq!(file_name(pane), None, "{pane}");
        }
    }
}
