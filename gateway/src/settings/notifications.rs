//! Settings of notifications: how push services reach the operator, and where channels may lead.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::notifications::IpRange;

/// Notifications outside of the console.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationSettings {
    /// Where operators of push services write when something is wrong: a `mailto:` or `https:` address; the console's
    /// origin when absent.
    pub contact: Option<Url>,
    /// Ranges of addresses that users' channels may lead to, beside public ones; there also without TLS.
    pub allow_addresses: Vec<IpRange>,
}

impl NotificationSettings {
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.contact {
            Some(contact) if !matches!(contact.scheme(), "mailto" | "https") => Err(format!(
                "notifications.contact = \"{contact}\" can't be written to: use mailto:… or https://…"
            )),
            _ => Ok(()),
        }
    }
}
