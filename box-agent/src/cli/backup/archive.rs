//! `box-agent backup export` into a file, and `export-check`. Neither needs an agent that runs; a file that is not whole
//! has another name.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use berth_daemon::exit::{Exit, Fatal};

use super::super::Options;
use super::show;
use crate::backup::export::Archive;
use crate::host::account::Account;
use crate::worker::export::Summary;
use crate::worker::export::check::check as check_archive;

/// Bytes that are moved at once.
const PIECE: usize = 256 << 10;

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
#[error("failed to write {}", .path.display())]
struct NotWritten {
    path: PathBuf,
    source: io::Error,
}

/// It is whole, and has another name.
#[derive(Debug, thiserror::Error)]
#[error("the archive is whole, and could not be named {}: it is {}", .path.display(), .part.display())]
struct NotNamed {
    path: PathBuf,
    part: PathBuf,
    source: io::Error,
}

/// Writes an archive into `to`.
pub(super) fn export(options: &Options, to: &Path, json: bool) -> Result<Exit, Fatal> {
    let is_stream = to == Path::new("-");
    let not_written = |path: &Path| {
        let path = path.to_owned();
        move |source| Fatal::with(Exit::Failure)(NotWritten { path, source })
    };
    // Nothing is read for hours for a name that is taken.
    if !is_stream && to.symlink_metadata().is_ok() {
        return Err(not_written(to)(io::Error::new(io::ErrorKind::AlreadyExists, "it exists")));
    }
    let settings = options.settings()?;
    let terminal = &settings.terminal;
    let account = Account::find(terminal.user.as_deref(), settings.home(), terminal.shell.as_deref());
    let account = account.map_err(Fatal::with(Exit::Config))?;
    let env = account.environment(|name| std::env::var_os(name));
    let agent = std::env::current_exe().map_err(Fatal::with(Exit::Failure))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Fatal::with(Exit::Failure))?;
    let tree = settings.volume.path.join("user");
    let archive = runtime.block_on(async { Archive::start(&agent, &tree, &account, env) });
    let archive = archive.map_err(Fatal::with(Exit::Failure))?;
    let summary = if is_stream {
        let mut out = io::stdout().lock();
        runtime.block_on(pour(archive, &mut out, Path::new("standard output")))?
    } else {
        let part = with_ending(to, ".part");
        // All of somebody's files are theirs alone.
        let mut new = File::options();
        let new = new.write(true).create_new(true).mode(0o600).open(&part);
        let mut file = new.map_err(not_written(&part))?;
        let poured = runtime.block_on(pour(archive, &mut file, to));
        let whole = poured.and_then(|summary| {
            file.sync_all().map_err(not_written(to))?;
            Ok(summary)
        });
        if whole.is_ok() {
            place(&part, to).map_err(Fatal::with(Exit::Failure))?;
        } else {
            let _ = std::fs::remove_file(&part);
        }
        whole?
    };
    if !is_stream {
        show::archive(&summary, json);
    }
    Ok(if summary.flawed == 0 { Exit::Success } else { Exit::Partial })
}

/// Gives a whole archive its name. A link instead of renaming: what is there stays.
fn place(part: &Path, to: &Path) -> Result<(), NotNamed> {
    std::fs::hard_link(part, to).map_err(|source| NotNamed {
        path: to.to_owned(),
        part: part.to_owned(),
        source,
    })?;
    let _ = std::fs::remove_file(part);
    Ok(())
}

async fn pour(mut archive: Archive, out: &mut impl Write, to: &Path) -> Result<Summary, Fatal> {
    let failed = |source| Fatal::with(Exit::Failure)(NotWritten { path: to.to_owned(), source });
    loop {
        let piece = archive.piece(PIECE).await.map_err(failed)?;
        if piece.is_empty() {
            break;
        }
        out.write_all(&piece).map_err(failed)?;
    }
    out.flush().map_err(failed)?;
    archive.finish().await.map_err(Fatal::with(Exit::Failure))
}

/// Checks the archive `from`.
pub(super) fn check(from: &Path, json: bool) -> Result<Exit, Fatal> {
    let checked = if from == Path::new("-") {
        check_archive(io::stdin().lock())
    } else {
        check_archive(File::open(from).map_err(Fatal::with(Exit::Usage))?)
    };
    let summary = checked.map_err(Fatal::with(Exit::Failure))?;
    show::archive(&summary, json);
    Ok(Exit::Success)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_archive_that_gets_no_name_stays_and_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (part, to) = (dir.path().join("all.part"), dir.path().join("all"));
        std::fs::write(&part, "whole").unwrap();
        std::fs::write(&to, "another").unwrap();
        let error = place(&part, &to).unwrap_err().to_string();
        assert!(part.exists() && error.contains("all.part"), "{error}");
        assert_eq!(std::fs::read(&to).unwrap(), b"another");
        std::fs::remove_file(&to).unwrap();
        place(&part, &to).unwrap();
        assert!(!part.exists() && to.exists());
    }
}
