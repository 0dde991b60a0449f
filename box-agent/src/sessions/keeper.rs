//! Keeps what it takes to rebuild sessions, and gives it out: pictures and last screens together.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use berth_protocol::ids::SessionId;
use tokio::time::Instant;

use super::album::Album;
use super::rebuild::rebuild;
use super::screens::{SaveError, Screens, Shelf};
use crate::host::process::Process;
use crate::settings::Template;
use crate::terminal::blueprint::Blueprint;
use crate::terminal::survey::Survey;
use crate::terminal::tmux::{Tmux, TmuxError};

/// How often last screens are kept while nothing happens.
const SCREENS_PACE: Duration = Duration::from_mins(3);

/// How soon after a session was made: until then its panes have no screens of their own.
const FIRST_SCREENS: Duration = Duration::from_secs(20);

/// Pictures and screens of all sessions.
pub struct Keeper {
    album: Album,
    screens: Screens,
    shelf: Shelf,
    screens_due: Instant,
}

impl Keeper {
    /// What is kept below what the agent keeps on a volume. `shelf` is where screens are handed over.
    #[must_use]
    pub fn open(state_dir: &Path, shelf: Shelf) -> Self {
        let (album, screens) = (Album::open(state_dir), Screens::open(state_dir));
        Self { album, screens, shelf, screens_due: Instant::now() + FIRST_SCREENS }
    }

    /// The sessions that can be rebuilt if they are not there; `server` is the tmux server that lives.
    #[must_use]
    pub fn lost(&self, server: Option<&Process>) -> BTreeSet<SessionId> {
        self.album.lost(server).cloned().collect()
    }

    /// The plan of a lost session, its last screens handed over; nothing if there is no picture of it.
    #[must_use]
    pub fn blueprint(
        &self,
        session: &SessionId,
        template: Option<&Template>,
        home: &Path,
    ) -> Option<Blueprint> {
        let picture = self.album.get(session)?;
        let screens = self.screens.hand_over(session, picture, &self.shelf);
        Some(rebuild(picture, template, home, &screens))
    }

    /// Does to a session that was rebuilt what may fail without harm: the arrangement of its panes, and the name that
    /// its user gave it.
    pub async fn finish(&mut self, tmux: &Tmux, session: &SessionId, blueprint: &Blueprint) {
        let now = Instant::now();
        self.album.hold(session, now);
        self.screens_due = self.screens_due.min(now + FIRST_SCREENS);
        let name = self.album.get(session).map(|picture| picture.name.clone());
        if let Err(error) = finish(tmux, session, blueprint, name.as_deref()).await {
            tracing::info!(%session, %error, "the rebuilt session is not arranged as it was");
        }
    }

    /// Keeps what is due of what was seen.
    ///
    /// # Errors
    /// [`SaveError`].
    pub async fn keep(&mut self, tmux: &Tmux, survey: &Survey) -> Result<(), SaveError> {
        let Some(server) = tmux.server() else { return Ok(()) };
        let now = Instant::now();
        let pictures = self.album.refresh(survey, &server, now, false);
        if self.screens_due <= now {
            self.screens_due = now + SCREENS_PACE;
            self.screens.save(tmux, survey, &server).await?;
        }
        Ok(pictures?)
    }

    /// Keeps everything: the agent stops, and perhaps the machine.
    ///
    /// # Errors
    /// [`SaveError`].
    pub async fn farewell(&mut self, tmux: &Tmux) -> Result<(), SaveError> {
        if tmux.sessions().await?.is_empty() {
            return Ok(());
        }
        let survey = tmux.survey().await?;
        let Some(server) = tmux.server() else { return Ok(()) };
        let pictures = self.album.refresh(&survey, &server, Instant::now(), true);
        self.screens.save(tmux, &survey, &server).await?;
        Ok(pictures?)
    }

    /// Throws away what is kept of a session.
    pub fn forget(&mut self, session: &SessionId) {
        self.album.forget(session);
        self.screens.forget(session);
        self.shelf.clear(session);
    }
}

async fn finish(
    tmux: &Tmux,
    session: &SessionId,
    blueprint: &Blueprint,
    name: Option<&str>,
) -> Result<(), TmuxError> {
    let mut survey = tmux.survey().await?;
    let Some(seen) = survey.remove(session) else { return Ok(()) };
    let mut outcome = Ok(());
    for (window, plan) in seen.windows.iter().zip(&blueprint.windows) {
        if let Some(layout) =
            plan.layout.as_deref().filter(|layout| !layout.is_empty() && plan.panes.len() > 1)
        {
            outcome = outcome.and(tmux.arrange(&window.id, layout).await);
        }
    }
    if let Some(name) = name.filter(|name| !name.is_empty() && *name != seen.name) {
        outcome = outcome.and(tmux.rename(&seen.target, name).await);
    }
    outcome
}
