//! What there must be before sessions can be made: a tmux that is new enough, its files, and a server where somebody
//! else starts that.

use std::path::Path;
use std::time::{Duration, Instant};

use berth_daemon::state::write_private;

use super::blueprint::Surroundings;
use super::tmux::{Tmux, TmuxError};
use crate::host::runtime::share;

/// The configuration that the server starts with.
const CONFIG: &str = include_str!("tmux.conf");

/// The first process of each pane.
const PANE_SCRIPT: &str = include_str!("pane.sh");

/// The oldest tmux that knows all that is used here (`attach -f`, `new-session -e`, `-N`).
pub(super) const OLDEST: (u32, u32) = (3, 2);

/// How long a server that somebody else starts may take to come.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(30);

/// Pause between looks for it.
const ARRIVAL_PAUSE: Duration = Duration::from_millis(100);

impl Tmux {
    /// Checks the version and writes configuration and script. A server that runs already keeps its own.
    ///
    /// # Errors
    /// [`TmuxError`].
    pub async fn prepare(&self) -> Result<(), TmuxError> {
        let version = self.invocation(["-V"]).run().await?;
        if parse_version(&version).is_some_and(|version| version < OLDEST) {
            let found = version.trim().to_owned();
            return Err(TmuxError::TooOld { program: self.program.clone(), found });
        }
        self.write_files()
    }

    pub(super) fn write_files(&self) -> Result<(), TmuxError> {
        for (path, text) in [(&self.config, CONFIG), (&self.script, PANE_SCRIPT)] {
            write_private(path, text.as_bytes())?;
            if self.account.is_another() {
                share(path, &self.account, 0o640)?;
            }
        }
        Ok(())
    }

    /// Whether sessions can be looked at and made: a server that somebody else starts may still have to come.
    ///
    /// # Errors
    /// [`TmuxError`].
    pub async fn is_there(&self) -> Result<bool, TmuxError> {
        Ok(!self.foreign || self.list().await?.is_some())
    }

    /// Waits for a server that somebody else starts.
    ///
    /// # Errors
    /// [`TmuxError::Away`] when it does not come.
    pub async fn arrival(&self) -> Result<(), TmuxError> {
        let begun = Instant::now();
        while !self.is_there().await? {
            if begun.elapsed() > ARRIVAL_LIMIT {
                return Err(TmuxError::Away(self.socket.clone()));
            }
            tokio::time::sleep(ARRIVAL_PAUSE).await;
        }
        Ok(())
    }

    /// What panes of this server need to know, those of a session with a scope among them.
    #[must_use]
    pub fn surroundings(&self, scope: Option<String>) -> Surroundings {
        Surroundings { script: self.script.clone(), environment: self.environment.clone(), scope }
    }

    /// The server's socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

/// Major and minor of what `tmux -V` says: `tmux 3.3a`, `tmux next-3.6`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let (major, rest) = text[start..].split_once('.')?;
    Some((major.parse().ok()?, digits(rest).parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_every_shape_are_read() {
        assert_eq!(parse_version("tmux 3.3a\n"), Some((3, 3)));
        assert_eq!(parse_version("tmux next-3.6"), Some((3, 6)));
        assert_eq!(parse_version("tmux 2.9"), Some((2, 9)));
        assert_eq!(parse_version("tmux master"), None);
    }
}
