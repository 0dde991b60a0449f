//! `gateway sign-in-link`: how the first owner, and an owner without a session, gets in.

use berth_daemon::exit::{Exit, Fatal};
use serde_json::json;

use super::open_failed;
use crate::auth::{SIGN_IN_LINK, new_secret};
use crate::front::SIGN_IN_PATH;
use crate::installation::open;
use crate::server::Addresses;
use crate::settings::Settings;
use crate::store::{Deed, Outcome};

pub(super) async fn run(settings: &Settings) -> Result<(), Fatal> {
    let opened = open(settings).await.map_err(open_failed)?;
    let owner = opened.store.owner().await.map_err(Fatal::with(Exit::State))?;
    let code = new_secret();
    let stored = opened.store.put_sign_in_code(owner.id.clone(), &code, SIGN_IN_LINK).await;
    stored.map_err(Fatal::with(Exit::State))?;
    let deed = Deed::new("sign_in_link_made", Outcome::Done, json!({ "user": owner.id }));
    opened.store.note(deed).await.map_err(Fatal::with(Exit::State))?;
    let origin = match (&settings.front.public_url, Addresses::read(&settings.state_dir)) {
        (None, Some(running)) => running.public_url,
        _ => {
            let url = settings.public_url(settings.front.listen).map_err(Fatal::with(Exit::Config))?;
            url.origin().ascii_serialization()
        }
    };
    println!("{origin}{SIGN_IN_PATH}?code={code}");
    Ok(())
}
