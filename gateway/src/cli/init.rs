//! `gateway init`: everything that `serve` needs, ready to be looked at.

use std::path::Path;

use berth_daemon::exit::{Exit, Fatal};

use super::{Cli, DEFAULT_CONFIG, block_on, config::write_reference, open_failed};
use crate::installation::open;

pub(super) fn run(cli: &Cli) -> Result<(), Fatal> {
    let path = cli.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG));
    if path.exists() {
        println!("{} is there already and stays as it is", path.display());
    } else {
        write_reference(path).map_err(Fatal::with(Exit::State))?;
        println!("wrote {}", path.display());
    }
    let settings = cli.settings()?;
    block_on(async {
        open(&settings).await.map_err(open_failed)?;
        println!("state is in {}", settings.state_dir.display());
        println!("next: gateway serve, gateway workspace create <name>, gateway sign-in-link");
        Ok(())
    })
}
