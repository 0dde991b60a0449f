//! Enters Berth's hooks into the settings of coding agents, and takes exactly them out again. Whatever else is there
//! stays, as it is written; what is not understood is left alone and said.

mod claude;
mod codex;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::{Mode, fchmod};

use super::tree::{Content, Lost, Place, Tree};
use crate::notify::hooks::upkeep::{HooksJob, HooksOutcome};

/// Claude Code's settings, in the user's tree.
const CLAUDE: &str = "home/.claude/settings.json";

/// Codex's.
const CODEX: &str = "home/.codex/config.toml";

/// Why settings are left as they are. Each names the remedy; the file is named by whoever says it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("it is not understood ({0}), so no hooks were entered: mend it")]
    Unintelligible(String),
    #[error("{0} in it is not of the shape that Berth knows, so no hooks were entered")]
    Shape(&'static str),
    #[error("it has a notify program of your own, which is kept: Berth hears of Codex by its bell alone")]
    Taken,
    #[error("it is a link or something else that is no file, so no hooks were entered: put a file there")]
    NoFile,
    #[error("{0}")]
    Lost(Lost),
}

/// Does a job. `root` is the user's tree.
#[must_use]
pub fn settle(root: &Path, job: &HooksJob) -> HooksOutcome {
    let mut outcome = HooksOutcome::default();
    let tree = match Tree::open(root) {
        Ok(tree) => tree,
        Err(error) => {
            outcome.troubles.push(format!("the user's tree can't be opened: {}", error.desc()));
            return outcome;
        }
    };
    // Codex makes its directory itself, and nobody needs it before.
    let made = job.enabled.then_some(Mode::S_IRWXU);
    for (path, make, edit) in [(CLAUDE, made, claude::edit as Edit), (CODEX, None, codex::edit as Edit)] {
        let shown = path.replacen("home", "~", 1);
        match change(&tree, path, make, |text| edit(text, job)) {
            Ok(true) => outcome.changed.push(shown),
            Ok(false) => {}
            Err(refused) => outcome.troubles.push(format!("{shown}: {refused}")),
        }
    }
    outcome
}

/// Makes new settings of old ones, or of none; nothing when they are as they should be.
type Edit = fn(Option<&str>, &HooksJob) -> Result<Option<String>, Refused>;

fn change(
    tree: &Tree,
    path: &str,
    make: Option<Mode>,
    edit: impl FnOnce(Option<&str>) -> Result<Option<String>, Refused>,
) -> Result<bool, Refused> {
    let place = match tree.place(path, make) {
        Ok(place) => place,
        // This coding agent is not used here.
        Err(Lost::System(Errno::ENOENT)) => return Ok(false),
        Err(lost) => return Err(Refused::Lost(lost)),
    };
    let lost = |error| Refused::Lost(Lost::System(error));
    let (before, mode) = match place.read().map_err(lost)? {
        Content::Nothing => (None, Mode::S_IRUSR | Mode::S_IWUSR),
        Content::File(content, mode) => {
            let text = String::from_utf8(content);
            let text = text.map_err(|_| Refused::Unintelligible("it is not UTF-8".into()))?;
            (Some(text), mode)
        }
        Content::Other => return Err(Refused::NoFile),
    };
    let Some(after) = edit(before.as_deref())? else { return Ok(false) };
    write(&place, &after, mode, before.is_some()).map_err(lost)?;
    Ok(true)
}

fn write(place: &Place, text: &str, mode: Mode, replace: bool) -> nix::Result<()> {
    let errno = |error: std::io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let mut fresh = place.directory.begin()?;
    fchmod(&fresh.file, mode)?;
    fresh.file.write_all(text.as_bytes()).map_err(errno)?;
    fresh.file.sync_all().map_err(errno)?;
    if replace { fresh.replace(&place.name) } else { fresh.link(&place.name) }
}

/// The words after this program's own path, by which a hook of Berth is known.
fn words(speaker: &str, job: &HooksJob) -> Vec<String> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let fixed = ["notify".to_owned(), speaker.to_owned(), "--socket".to_owned(), path(&job.socket)];
    fixed.into_iter().chain(["--spool".to_owned(), path(&job.spool)]).collect()
}
