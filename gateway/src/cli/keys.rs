//! `gateway keys`: the key with which stored secrets are sealed.

use berth_daemon::exit::{Exit, Fatal};
use clap::Subcommand;
use serde_json::json;

use super::open_failed;
use crate::installation::open;
use crate::sealing::{RotationError, new_key, rotate};
use crate::settings::Settings;
use crate::store::{Deed, Outcome};

#[derive(Debug, Subcommand)]
pub(super) enum KeysVerb {
    /// Seal every stored secret with a new key, also while the gateway serves; the old key is removed at the end
    Rotate,
    /// Print a new key, for a place that this program does not write to
    Generate,
}

pub(super) async fn run(settings: &Settings, verb: &KeysVerb) -> Result<(), Fatal> {
    match verb {
        KeysVerb::Generate => {
            println!("{}", new_key());
            Ok(())
        }
        KeysVerb::Rotate => {
            let opened = open(settings).await.map_err(open_failed)?;
            let failed = |error: RotationError| Fatal::with(Exit::State)(error);
            let rotated = rotate(&opened.sealer, &opened.store, &settings.state_dir).await.map_err(failed)?;
            let detail = json!({ "values": rotated.values, "old_key_removed": rotated.removed });
            let deed = Deed::new("sealing_key_rotated", Outcome::Done, detail);
            opened.store.note(deed).await.map_err(Fatal::with(Exit::State))?;
            println!("{} stored secrets have another key", rotated.values);
            if rotated.removed {
                println!("copies of the store from before need the old key, which is gone: make a new copy");
            } else {
                println!("nothing needs the older keys any more: remove their lines where the key is kept");
            }
            Ok(())
        }
    }
}
