//! `gateway config show|path|reset`.

use std::path::Path;

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
    /// Write the commented defaults, keeping the old file beside as <FILE>.old
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
                let mut old = path.as_os_str().to_owned();
                old.push(".old");
                std::fs::rename(path, &old).map_err(Fatal::with(Exit::State))?;
                println!("kept the old file as {}", Path::new(&old).display());
            }
            write_reference(path).map_err(Fatal::with(Exit::State))?;
            println!("wrote {}", path.display());
        }
    }
    Ok(())
}

pub(super) fn write_reference(path: &Path) -> Result<(), StateError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        private_dir(parent)?;
    }
    write_private(path, REFERENCE.as_bytes())
}
