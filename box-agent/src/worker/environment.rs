//! Puts variables and files of an environment in place, as the user of terminals.
//!
//! ```text
//!   <secrets>/environment.sh     variables, for shells and commands
//!   <secrets>/files/<path>       secret files, in memory ...
//!   <root>/home/<path>           ... and the links to them; plain files
//!   <secrets>/written.json       hashes of the secret files that were written: in memory, too
//! ```

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use berth_protocol::environment::report::{FileReport, FileState};
use berth_protocol::environment::{DesiredFile, Destination, FileMode};
use nix::errno::Errno;
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};

use super::tree::{Lost, Place, Tree};
use crate::environment::job::{FilesJob, FilesOutcome, Marks};
use crate::environment::plan::{Found, Hash, Step, Wanted, mark_after, step};
use crate::environment::shell;

/// The file with the variables.
pub const VARIABLES_FILE: &str = "environment.sh";

/// Where secret files are.
const FILES: &str = "files";

/// What was written of them.
const WRITTEN: &str = "written.json";

/// Where the home directory is in the user's tree.
const HOME: &str = "home";

/// Hashes of secret files, by destination.
type Written = BTreeMap<Destination, Hash>;

struct Worker {
    user: Tree,
    secrets: Tree,
    /// Where links lead.
    files: PathBuf,
    written: Written,
}

/// Does a job. `root` is the user's tree, `secrets` the user's own directory in memory.
#[must_use]
pub fn settle(root: &Path, secrets: &Path, job: FilesJob) -> FilesOutcome {
    let opened = Tree::open(root).and_then(|user| Ok((user, Tree::open(secrets)?)));
    let (user, tree) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let message =
                Some(format!("the directories of the environment can't be opened: {}", error.desc()));
            return FilesOutcome { marks: job.marks, reports: Vec::new(), message };
        }
    };
    let mut worker = Worker { user, secrets: tree, files: secrets.join(FILES), written: Written::new() };
    worker.written = worker.read_written();
    let message = job.variables.as_ref().and_then(|variables| {
        let outcome = worker.write_secret(VARIABLES_FILE, &shell::write(variables), FileMode::PRIVATE);
        outcome.err().map(|lost| format!("the variables could not be written: {lost}"))
    });
    let mut outcome = FilesOutcome { marks: job.marks.clone(), reports: Vec::new(), message };
    worker.take_back(&job, &mut outcome.marks);
    for (destination, file) in &job.files {
        let before = outcome.marks.remove(destination);
        match worker.settle(destination, file, before.clone()) {
            Ok((mark, kept)) => {
                outcome.marks.extend(mark.map(|mark| (destination.clone(), mark)));
                outcome.reports.extend(kept.map(|message| report(destination, FileState::Kept, message)));
            }
            Err(lost) => {
                outcome.marks.extend(before.map(|mark| (destination.clone(), mark)));
                outcome.reports.push(report(destination, FileState::Failed, &explained(lost)));
            }
        }
    }
    worker.forget_secrets(&job);
    outcome
}

fn report(destination: &Destination, state: FileState, message: &str) -> FileReport {
    FileReport { destination: destination.clone(), state, message: message.to_owned() }
}

fn explained(lost: Lost) -> String {
    match lost {
        Lost::System(Errno::EACCES | Errno::EPERM) => "its directory can't be written to".into(),
        Lost::System(Errno::ENOSPC | Errno::EDQUOT) => "there is no room for it".into(),
        Lost::System(Errno::EEXIST) => "something else came into its place just now".into(),
        Lost::System(error) => format!("it can't be written: {}", error.desc()),
        lost => lost.to_string(),
    }
}

impl Worker {
    /// Removes what was left and is not wanted any more.
    fn take_back(&self, job: &FilesJob, marks: &mut Marks) {
        let wanted = |path: &Destination| job.files.contains_key(path) || job.untouched.contains(path);
        let stale: Vec<Destination> = marks.keys().filter(|path| !wanted(path)).cloned().collect();
        for destination in stale {
            // What can't be looked at stays, and is looked at again the next time.
            if self.remove(&destination, marks.get(&destination)).is_ok() {
                marks.remove(&destination);
            }
        }
    }

    fn remove(
        &self,
        destination: &Destination,
        mark: Option<&crate::environment::plan::Mark>,
    ) -> Result<(), Lost> {
        let place = match self.user.place(&below_home(destination), None) {
            Ok(place) => place,
            // Where it was, nothing can be any more, or nothing that is ours.
            Err(Lost::System(Errno::ENOENT) | Lost::Outside | Lost::NotADirectory) => return Ok(()),
            Err(lost) => return Err(lost),
        };
        match step(&Wanted::Nothing, mark, &place.look()?, &self.link_of(destination)) {
            Step::Remove => Ok(unlink(&place)?),
            _ => Ok(()),
        }
    }

    /// Puts a file in place: what is left then, and why something of the user's was kept.
    fn settle(
        &mut self,
        destination: &Destination,
        file: &DesiredFile,
        before: Option<crate::environment::plan::Mark>,
    ) -> Result<(Option<crate::environment::plan::Mark>, Option<&'static str>), Lost> {
        let make = if file.mode.is_shared() { 0o755 } else { 0o700 };
        let place = self.user.place(&below_home(destination), Some(Mode::from_bits_truncate(make)))?;
        let found = place.look()?;
        let wanted = if file.secret {
            Wanted::Secret
        } else {
            Wanted::Plain { hash: Hash::of(file.content.expose()), mode: file.mode }
        };
        let link = self.link_of(destination);
        let step = step(&wanted, before.as_ref(), &found, &link);
        let mut kept = None;
        match &step {
            Step::Keep(message) => kept = Some(*message),
            // First the content, then the link to it: nobody finds it dangling.
            Step::Leave | Step::Make | Step::Replace if file.secret => {
                kept = self.write_file_in_memory(destination, file)?;
                match step {
                    Step::Make => symlinkat(link.as_str(), place.directory.handle(), place.name.as_str())?,
                    Step::Replace => {
                        unlink(&place)?;
                        symlinkat(link.as_str(), place.directory.handle(), place.name.as_str())?;
                    }
                    _ => {}
                }
            }
            Step::Make => write(&place, file.content.expose(), file.mode, false)?,
            Step::Replace => write(&place, file.content.expose(), file.mode, true)?,
            Step::Leave | Step::Remove | Step::Forget => {}
        }
        Ok((mark_after(&step, wanted, before), kept))
    }

    /// Writes a secret file, unless the user has changed it since it was last written.
    fn write_file_in_memory(
        &mut self,
        destination: &Destination,
        file: &DesiredFile,
    ) -> Result<Option<&'static str>, Lost> {
        let path = format!("{FILES}/{destination}");
        let wanted = Hash::of(file.content.expose());
        let found = match self.secrets.place(&path, None) {
            Ok(place) => place.look()?,
            Err(_) => Found::Nothing,
        };
        let there = if let Found::File(hash) = found { Some(hash) } else { None };
        let changed = there.is_some() && there.as_ref() != self.written.get(destination);
        if changed && there.as_ref() != Some(&wanted) {
            return Ok(Some(
                "it was changed on the box and is kept until the next start; move it away there",
            ));
        }
        self.write_secret(&path, file.content.expose(), file.mode)?;
        self.written.insert(destination.clone(), wanted);
        self.keep_written()?;
        Ok(None)
    }

    fn write_secret(&self, path: &str, content: &[u8], mode: FileMode) -> Result<(), Lost> {
        put_with(&self.secrets, path, content, mode)
    }

    /// Removes secret files that are not wanted any more.
    fn forget_secrets(&mut self, job: &FilesJob) {
        let kept = |path: &Destination| {
            job.untouched.contains(path) || job.files.get(path).is_some_and(|file| file.secret)
        };
        let stale: Vec<Destination> = self.written.keys().filter(|path| !kept(path)).cloned().collect();
        for destination in stale {
            remove(&self.secrets, &format!("{FILES}/{destination}"));
            self.written.remove(&destination);
        }
        // What could not be noted is written once more, which does no harm.
        let _ = self.keep_written();
    }

    fn read_written(&self) -> Written {
        let path = self.files.with_file_name(WRITTEN);
        std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    fn keep_written(&self) -> Result<(), Lost> {
        self.write_secret(WRITTEN, &serde_json::to_vec(&self.written).unwrap_or_default(), FileMode::PRIVATE)
    }

    fn link_of(&self, destination: &Destination) -> String {
        self.files.join(destination.as_str()).to_string_lossy().into_owned()
    }
}

fn below_home(destination: &Destination) -> String {
    format!("{HOME}/{destination}")
}

/// Writes a file in memory, for the user alone.
pub(super) fn put(memory: &Tree, path: &str, content: &[u8]) -> Result<(), Lost> {
    put_with(memory, path, content, FileMode::PRIVATE)
}

/// The same with other permissions.
pub(super) fn put_with(memory: &Tree, path: &str, content: &[u8], mode: FileMode) -> Result<(), Lost> {
    let place = memory.place(path, Some(Mode::S_IRWXU))?;
    Ok(write(&place, content, mode, true)?)
}

/// Removes a file in memory.
pub(super) fn remove(memory: &Tree, path: &str) {
    // One that is gone already is as it should be.
    let _ = memory.place(path, None).map(|place| unlink(&place));
}

pub(super) fn unlink(place: &Place) -> nix::Result<()> {
    match unlinkat(place.directory.handle(), place.name.as_str(), UnlinkatFlags::NoRemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        outcome => outcome,
    }
}

/// Writes a file whole; without `replace`, what has come into its place meanwhile stays.
fn write(place: &Place, content: &[u8], mode: FileMode, replace: bool) -> nix::Result<()> {
    let errno = |error: std::io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let mut fresh = place.directory.begin()?;
    // Before there is anything to read in it.
    fchmod(&fresh.file, Mode::from_bits_truncate(mode.bits().into()))?;
    fresh.file.write_all(content).map_err(errno)?;
    fresh.file.sync_all().map_err(errno)?;
    if replace { fresh.replace(&place.name) } else { fresh.link(&place.name) }
}

#[cfg(test)]
mod tests;
