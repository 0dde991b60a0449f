//! `gateway config show|path|reset`.

use std::path::{Path, PathBuf};
use std::{fs, io, iter};

use berth_daemon::config::show;
use berth_daemon::exit::{Exit, Fatal};
use berth_daemon::state::{StateError, private_dir, write_private};
use clap::Subcommand;

use super::{Cli, DEFAULT_CONFIG};
use crate::settings::REFERENCE;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Print the settings in force, secrets masked
    Show,
    /// Print which file they come from
    Path,
    /// Write the commented defaults, keeping the old file beside as <FILE>.old, or .old.2 and so on
    Reset,
}

pub(super) fn run(cli: &Cli, verb: &ConfigVerb) -> Result<(), Fatal> {
    let path = cli.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG));
    match verb {
        ConfigVerb::Show => print!("{}", show(&cli.settings()?)),
        ConfigVerb::Path => match cli.config_file() {
            Some(path) => println!("{}", path.display()),
            None => println!("{} (not there: defaults are in force)", path.display()),
        },
        ConfigVerb::Reset => {
            if path.exists() {
                let old = keep(path).map_err(Fatal::with(Exit::State))?;
                println!("kept the old file as {}", old.display());
            }
            write_reference(path).map_err(Fatal::with(Exit::State))?;
            println!("wrote {}", path.display());
        }
    }
    Ok(())
}

/// Moves the file aside, to the first name that nothing has: what an earlier reset kept stays.
fn keep(path: &Path) -> io::Result<PathBuf> {
    let later = (2_u32..).map(|nth| format!(".old.{nth}"));
    for ending in iter::once(".old".to_owned()).chain(later) {
        let mut old = path.as_os_str().to_owned();
        old.push(ending);
        if fs::symlink_metadata(&old).is_err() {
            fs::rename(path, &old)?;
            return Ok(old.into());
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

pub(super) fn write_reference(path: &Path) -> Result<(), StateError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        private_dir(parent)?;
    }
    write_private(path, REFERENCE.as_bytes())
}
