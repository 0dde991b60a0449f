//! `gateway sign-in-link`: how the first owner, and an owner without a session, gets in.

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::ids::UserId;
use serde_json::json;

use super::{open_failed, public_url};
use crate::auth::{SIGN_IN_LINK, new_secret};
use crate::front::SIGN_IN_PATH;
use crate::installation::open;
use crate::settings::Settings;
use crate::store::{Deed, Outcome, Store};

pub(super) async fn run(settings: &Settings) -> Result<(), Fatal> {
    let opened = open(settings).await.map_err(open_failed)?;
    let owner = opened.store.owner().await.map_err(Fatal::with(Exit::State))?;
    print_link(settings, &opened.store, owner.id).await
}

/// Prints a link that signs a user in, once.
pub(super) async fn print_link(settings: &Settings, store: &Store, user: UserId) -> Result<(), Fatal> {
    let code = new_secret();
    store.put_sign_in_code(user.clone(), &code, SIGN_IN_LINK).await.map_err(Fatal::with(Exit::State))?;
    let deed = Deed::new("sign_in_link_made", Outcome::Done, json!({ "user": user }));
    store.note(deed).await.map_err(Fatal::with(Exit::State))?;
    let origin = public_url(settings)?.origin().ascii_serialization();
    println!("{origin}{SIGN_IN_PATH}?code={code}");
    Ok(())
}
