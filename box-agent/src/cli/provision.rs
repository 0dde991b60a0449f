//! `box-agent provision`: makes this machine the box that its user-data says.

use std::path::{Path, PathBuf};

use berth_daemon::exit::{Exit, Fatal};
use berth_daemon::state::StateLock;
use berth_protocol::provision::PROVISION_FILE;
use clap::Args;

use super::Options;
use crate::identity::IdentityError;
use crate::identity::enroll::{EnrollError, enroll};
use crate::provision::{ProvisionError, erase, forget, read, write_settings};
use crate::settings::DEFAULT_FILE;

#[derive(Debug, Args)]
pub(super) struct Provision {
    /// What the machine is to become, as cloud-init has written it
    #[arg(long, value_name = "FILE", default_value = PROVISION_FILE)]
    file: PathBuf,
    /// Instead: take away what cloud-init keeps of user-data, and let it do nothing at further boots
    #[arg(long, conflicts_with = "file")]
    forget: bool,
}

impl Provision {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        if self.forget {
            forget(Path::new("/")).map_err(fatal)?;
            println!("user-data is forgotten; cloud-init does nothing at further boots");
            return Ok(Exit::Success);
        }
        let (provision, token) = read(&self.file).map_err(fatal)?;
        let config = options.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        write_settings(config, &provision).map_err(fatal)?;
        // With what was just written: wrong settings are to be told now, not when the token is used up.
        let settings = options.settings()?;
        let _lock =
            StateLock::acquire(&settings.state_dir, "agent.lock").map_err(Fatal::with(Exit::State))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fatal::with(Exit::Failure))?;
        match runtime.block_on(enroll(&settings.state_dir, &token, false)) {
            Ok(facts) => println!("enrolled as {} for workspace {}", facts.instance, facts.workspace),
            // An attempt before this one came as far as that.
            Err(EnrollError::Identity(IdentityError::AlreadyEnrolled(_))) => println!("enrolled already"),
            Err(error) => return Err(fatal(error.into())),
        }
        erase(&self.file).map_err(fatal)?;
        Ok(Exit::Success)
    }
}

fn fatal(error: ProvisionError) -> Fatal {
    Fatal::with(error.exit())(error)
}
