//! `box-agent backup export` into a file, and `export-check`. Neither needs an agent that runs; a file that is not whole
//! has another name.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
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

/// Writes an archive into `to`.
pub(super) fn export(options: &Options, to: &Path, json: bool) -> Result<Exit, Fatal> {
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
    let is_stream = to == Path::new("-");
    let summary = if is_stream {
        let mut out = io::stdout().lock();
        runtime.block_on(pour(archive, &mut out, Path::new("standard output")))?
    } else {
        let part = with_ending(to, ".part");
        let written = |source| Fatal::with(Exit::Failure)(NotWritten { path: to.to_owned(), source });
        let mut file = File::options().write(true).create_new(true).open(&part).map_err(written)?;
        let poured = runtime.block_on(pour(archive, &mut file, to));
        let placed = poured.and_then(|summary| {
            file.sync_all().map_err(written)?;
            // A link instead of renaming: what is there stays.
            std::fs::hard_link(&part, to).map_err(written)?;
            Ok(summary)
        });
        let _ = std::fs::remove_file(&part);
        placed?
    };
    if !is_stream {
        show::archive(&summary, json);
    }
    Ok(if summary.flawed == 0 { Exit::Success } else { Exit::Partial })
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
