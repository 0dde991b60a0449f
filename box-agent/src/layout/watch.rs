//! Looks at the tree from time to time: what mends itself is mended, and the rest is told.

use std::path::PathBuf;
use std::time::Duration;

use berth_daemon::exit::chain;
use tokio_util::sync::CancellationToken;

use super::home::{Home, HomeError};
use super::plan::{Finding, Owners};
use super::{apply, ensure};
use crate::troubles::Troubles;

/// The part that has trouble.
const PART: &str = "layout";

/// A tree that is looked after.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The volume.
    pub root: PathBuf,
    /// Whose it is.
    pub owners: Owners,
    /// Where the home directory is seen, too.
    pub home: Option<Home>,
    /// Where trouble is told.
    pub troubles: Troubles,
}

/// Why nothing can be started on a volume.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The tree can't be made.
    #[error(transparent)]
    Tree(#[from] apply::TreeError),
    /// Something else is where the agent needs an entry.
    #[error("{finding}; the agent can't work with that: move it away, and start again")]
    Obstructed {
        /// What is wrong.
        finding: Finding,
    },
    /// The home directory is not seen where it should be.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl Watched {
    /// Makes what is missing, for a start.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn begin(&self) -> Result<(), LayoutError> {
        let (findings, hidden) = self.look()?;
        match findings.iter().find(|finding| finding.fatal) {
            Some(finding) => Err(LayoutError::Obstructed { finding: finding.clone() }),
            None => {
                self.tell(&findings, hidden);
                Ok(())
            }
        }
    }

    /// Looks again, at this pace, until `stop`.
    pub async fn run(self, pause: Duration, stop: CancellationToken) {
        loop {
            tokio::select! {
                // Cancel-safe, both: a timer and a token.
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            match self.look() {
                Ok((findings, hidden)) => self.tell(&findings, hidden),
                Err(error) => self.troubles.set(PART, chain(&error)),
            }
        }
    }

    fn look(&self) -> Result<(Vec<Finding>, usize), LayoutError> {
        let findings = ensure(&self.root, &self.owners)?;
        // Without a home directory there is nothing to be seen elsewhere.
        let fatal = findings.iter().any(|finding| finding.fatal);
        let hidden = self.home.as_ref().filter(|_| !fatal).map(Home::ensure).transpose()?;
        Ok((findings, hidden.unwrap_or(0)))
    }

    fn tell(&self, findings: &[Finding], hidden: usize) {
        let mut sentences: Vec<String> =
            findings.iter().filter(|finding| !finding.is_harmless()).map(ToString::to_string).collect();
        if let Some(home) = self.home.as_ref().filter(|_| hidden > 0) {
            sentences.push(hides(home, hidden));
        }
        match sentences.split_first() {
            None => self.troubles.clear(PART),
            Some((first, [])) => self.troubles.set(PART, first),
            Some((first, more)) => self
                .troubles
                .set(PART, format!("{first}; and {} more, which `box-agent layout check` names", more.len())),
        }
    }
}

/// What is said of files below the bind mount.
#[must_use]
pub fn hides(home: &Home, hidden: usize) -> String {
    let entries = if hidden == 1 { "entry" } else { "entries" };
    format!(
        "the home directory hides {hidden} {entries} that were in {} on the root disk; they are untouched",
        home.place.display()
    )
}
