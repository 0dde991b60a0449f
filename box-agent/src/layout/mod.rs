//! The tree that every volume has: said as data, compared with what is there, and what is missing made.
//!
//! Nothing is ever deleted, overwritten or reached through a link: [`rules`] say what should be, [`plan`]
//! compares without touching anything, [`apply`] acts by handle, [`home`] lets the home directory be seen where
//! programs expect it, and [`watch`] looks again from time to time.

pub mod apply;
pub mod home;
pub mod plan;
pub mod rules;
pub mod watch;

use std::path::Path;

use nix::unistd::{Gid, Uid};

use crate::host::account::Account;
use crate::settings::Settings;
use apply::{Tree, TreeError};
use home::Home;
use plan::{Finding, Owners, compare};
use rules::{Owner, RULES};

/// What a look does about what it finds.
type Choice = fn(&Finding) -> bool;

/// Whose the tree is, for terminals of this user.
#[must_use]
pub fn owners(account: &Account) -> Owners {
    let agent = (Uid::effective().as_raw(), Gid::effective().as_raw());
    Owners { agent, user: (account.uid.as_raw(), account.gid.as_raw()) }
}

/// The other place of the home directory, if the settings name one.
#[must_use]
pub fn home_of(settings: &Settings, privileged: bool) -> Option<Home> {
    Some(Home {
        root: settings.volume.path.clone(),
        place: settings.layout.home.clone()?,
        state_dir: settings.state_dir.clone(),
        privileged,
    })
}

/// What differs below `root`; nothing is changed.
///
/// # Errors
/// [`TreeError`].
pub fn check(root: &Path, owners: &Owners) -> Result<Vec<Finding>, TreeError> {
    pass(root, owners, |_| false)
}

/// Mends what mends itself below `root`, and returns what differs then.
///
/// # Errors
/// [`TreeError`].
pub fn ensure(root: &Path, owners: &Owners) -> Result<Vec<Finding>, TreeError> {
    pass(root, owners, Finding::mends_itself)
}

/// Mends everything below `root` that can be mended without losing anything, and returns what differs then.
///
/// # Errors
/// [`TreeError`].
pub fn mend_all(root: &Path, owners: &Owners) -> Result<Vec<Finding>, TreeError> {
    pass(root, owners, |_| true)
}

fn pass(root: &Path, owners: &Owners, chosen: Choice) -> Result<Vec<Finding>, TreeError> {
    let tree = Tree::open(root)?;
    let mut left = Vec::new();
    // One rule at a time: what a rule finds depends on what those before it have made.
    for rule in RULES {
        let found = match tree.look(rule.path) {
            // What is in the way was found by the rule of the directory above.
            Err(error) if error.is_cut_off() => continue,
            found => found?,
        };
        let owner = if rule.owner == Owner::User { owners.user } else { owners.agent };
        for finding in compare(rule, &found, owners) {
            match finding.mend().filter(|_| chosen(&finding)) {
                Some(mend) => tree.mend(rule, mend, owner)?,
                None => left.push(finding),
            }
        }
    }
    Ok(left)
}
