//! The pictures of all sessions, in memory and on the volume: one file for each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_daemon::state::{StateError, private_dir, write_private};
use berth_protocol::ids::SessionId;
use tokio::time::Instant;

use super::picture::{Picture, VERSION};
use crate::host::process::Process;
use crate::terminal::survey::Survey;

/// A picture with other panes or directories is written at most this often.
const PACE: Duration = Duration::from_secs(5);

/// One with other titles only, at most this often: there are programs that count in theirs.
const PACE_OF_TITLES: Duration = Duration::from_mins(1);

/// The pictures.
pub struct Album {
    dir: PathBuf,
    kept: BTreeMap<SessionId, Kept>,
}

struct Kept {
    /// As it is on the volume.
    picture: Picture,
    written_at: Option<Instant>,
    /// The server that has it, if this agent has seen it: a picture may still be of the one before.
    seen_in: Option<Process>,
}

impl Album {
    /// The pictures below what the agent keeps on a volume. One that is damaged, or of a newer agent, is as none.
    #[must_use]
    pub fn open(state_dir: &Path) -> Self {
        let dir = state_dir.join("sessions");
        let mut kept = BTreeMap::new();
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<SessionId>().ok());
            let Some(id) = id else { continue };
            match read(&entry.path()) {
                Some(picture) => drop(kept.insert(id, Kept { picture, written_at: None, seen_in: None })),
                None => tracing::warn!(session = %id, "the picture of a session is not understood"),
            }
        }
        Self { dir, kept }
    }

    /// The picture of a session.
    #[must_use]
    pub fn get(&self, session: &SessionId) -> Option<&Picture> {
        self.kept.get(session).map(|kept| &kept.picture)
    }

    /// The sessions that there are pictures of, and that are gone with their server if they are gone.
    pub fn lost(&self, server: Option<&Process>) -> impl Iterator<Item = &SessionId> {
        let is_lost = move |kept: &Kept| match &kept.seen_in {
            Some(seen_in) => server != Some(seen_in),
            None => kept.picture.is_lost(server),
        };
        self.kept.iter().filter(move |(_, kept)| is_lost(kept)).map(|(id, _)| id)
    }

    /// Takes new pictures of what was seen and writes those that are due, or all that have changed.
    ///
    /// # Errors
    /// [`StateError`] of the last one that can't be written; the others are.
    pub fn refresh(
        &mut self,
        survey: &Survey,
        server: &Process,
        now: Instant,
        all: bool,
    ) -> Result<(), StateError> {
        let mut outcome = Ok(());
        for (id, session) in survey {
            let mut picture = Picture::of(session, server);
            if let Some(kept) = self.kept.get_mut(id) {
                kept.seen_in = Some(server.clone());
            }
            let due = match self.kept.get(id) {
                None => true,
                Some(kept) => is_due(&kept.picture, &picture, kept.written_at.map(|at| now - at), all),
            };
            if !due || picture.windows.is_empty() {
                continue;
            }
            // A suspension that goes on beside this must not lose what it has noted.
            let known = self.kept.get(id).is_some_and(|kept| kept.picture.set_aside);
            picture.set_aside = !known && read(&self.file(id)).is_some_and(|written| written.set_aside);
            match self.write(id, &picture) {
                Ok(()) => drop(self.kept.insert(
                    id.clone(),
                    Kept { picture, written_at: Some(now), seen_in: Some(server.clone()) },
                )),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Notes of all sessions that they are ended for a suspension.
    ///
    /// # Errors
    /// [`StateError`] of the last picture that can't be written; the others are.
    pub fn set_aside(&self) -> Result<(), StateError> {
        let mut outcome = Ok(());
        for (id, kept) in &self.kept {
            let picture = Picture { set_aside: true, ..kept.picture.clone() };
            outcome = outcome.and(self.write(id, &picture));
        }
        outcome
    }

    /// Keeps the pictures of these sessions as they are for a while: their panes are just being made.
    pub fn hold(&mut self, session: &SessionId, now: Instant) {
        if let Some(kept) = self.kept.get_mut(session) {
            kept.written_at = Some(now);
        }
    }

    /// Throws a picture away.
    pub fn forget(&mut self, session: &SessionId) {
        if self.kept.remove(session).is_some() {
            remove(&self.file(session));
        }
    }

    fn write(&self, session: &SessionId, picture: &Picture) -> Result<(), StateError> {
        private_dir(&self.dir)?;
        let path = self.file(session);
        let text = serde_json::to_vec(picture)
            .map_err(|error| StateError::Unwritable { path: path.clone(), source: error.into() })?;
        write_private(&path, &text)
    }

    fn file(&self, session: &SessionId) -> PathBuf {
        self.dir.join(format!("{session}.json"))
    }
}

fn read(path: &Path) -> Option<Picture> {
    let picture: Picture = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (picture.version <= VERSION && !picture.windows.is_empty()).then_some(picture)
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), error = chain(&error), "failed to remove the picture of a session");
    }
}

/// Whether a picture is to be written in the place of another that was written so long ago.
fn is_due(old: &Picture, new: &Picture, age: Option<Duration>, all: bool) -> bool {
    if old == new {
        return false;
    }
    let pace = if old.without_titles() == new.without_titles() { PACE_OF_TITLES } else { PACE };
    all || age.is_none_or(|age| age >= pace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::picture::tests::servers;
    use crate::terminal::survey::tests::{pane, session, window};

    fn survey(id: &SessionId, title: &str, panes: usize) -> Survey {
        let mut seen: Vec<_> = (0..panes).map(|n| pane(&format!("%{n}"))).collect();
        seen[0].title = title.into();
        Survey::from([(id.clone(), session("s", vec![window("@0", seen)]))])
    }

    #[test]
    fn titles_that_change_all_the_time_are_written_now_and_then_and_panes_soon() {
        let (dir, id, [server, _]) = (tempfile::tempdir().unwrap(), SessionId::random(), servers());
        let mut album = Album::open(dir.path());
        let begin = Instant::now();
        let mut look = |title: &str, panes, after: u64, all| {
            let now = begin + Duration::from_secs(after);
            album.refresh(&survey(&id, title, panes), &server, now, all).unwrap();
            let kept = Album::open(dir.path());
            let panes = &kept.get(&id).unwrap().windows[0].panes;
            (panes[0].title.clone(), panes.len())
        };
        assert_eq!(look("a", 1, 0, false), ("a".into(), 1));
        assert_eq!(look("b", 1, 59, false), ("a".into(), 1));
        assert_eq!(look("b", 1, 60, false), ("b".into(), 1));
        assert_eq!(look("b", 2, 62, false), ("b".into(), 1));
        assert_eq!(look("b", 2, 65, false), ("b".into(), 2));
        assert_eq!(look("c", 2, 66, true), ("c".into(), 2), "before a suspend all is written");
    }

    #[test]
    fn what_has_not_changed_is_not_written() {
        let (dir, id, [server, _]) = (tempfile::tempdir().unwrap(), SessionId::random(), servers());
        let mut album = Album::open(dir.path());
        let begin = Instant::now();
        album.refresh(&survey(&id, "a", 1), &server, begin, false).unwrap();
        fs::remove_file(album.file(&id)).unwrap();
        album.refresh(&survey(&id, "a", 1), &server, begin + Duration::from_hours(24), true).unwrap();
        assert!(!album.file(&id).exists());
    }

    #[test]
    fn a_session_that_was_just_rebuilt_is_of_the_new_server_before_its_picture_is() {
        let (dir, id, [old, new]) = (tempfile::tempdir().unwrap(), SessionId::random(), servers());
        let (mut album, begin) = (Album::open(dir.path()), Instant::now());
        album.refresh(&survey(&id, "a", 2), &old, begin, false).unwrap();
        album.hold(&id, begin);
        album.refresh(&survey(&id, "a", 1), &new, begin, false).unwrap();
        assert_eq!(album.get(&id).unwrap().windows[0].panes.len(), 2, "its panes were not all there yet");
        assert_eq!((album.lost(Some(&new)).count(), album.lost(Some(&old)).count()), (0, 1));
        assert_eq!(album.lost(None).count(), 1);
    }

    #[test]
    fn what_was_set_aside_is_lost_with_a_living_server_until_it_runs_again() {
        let (dir, id, [server, _]) = (tempfile::tempdir().unwrap(), SessionId::random(), servers());
        let (mut album, begin) = (Album::open(dir.path()), Instant::now());
        let lost = || Album::open(dir.path()).lost(Some(&server)).count();
        album.refresh(&survey(&id, "a", 1), &server, begin, false).unwrap();
        Album::open(dir.path()).set_aside().unwrap();
        assert_eq!(lost(), 1);
        // The agent's own album has not ended yet, and writes once more.
        album.refresh(&survey(&id, "b", 1), &server, begin, true).unwrap();
        assert_eq!(lost(), 1, "the note was lost");
        let mut next = Album::open(dir.path());
        next.refresh(&survey(&id, "b", 1), &server, begin, false).unwrap();
        assert_eq!((lost(), next.lost(Some(&server)).count()), (0, 0));
    }

    #[test]
    fn pictures_outlive_the_agent_until_they_are_thrown_away() {
        let (dir, id, [server, other]) = (tempfile::tempdir().unwrap(), SessionId::random(), servers());
        Album::open(dir.path()).refresh(&survey(&id, "a", 1), &server, Instant::now(), false).unwrap();
        fs::write(dir.path().join("sessions").join(format!("{}.json", SessionId::random())), "{").unwrap();
        let mut album = Album::open(dir.path());
        assert_eq!(album.lost(Some(&other)).collect::<Vec<_>>(), [&id]);
        assert_eq!(album.lost(Some(&server)).count(), 0);
        album.forget(&id);
        assert!(Album::open(dir.path()).get(&id).is_none());
    }
}
