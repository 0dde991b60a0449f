//! What a new machine is given to become a box: user-data of the provider carries it, cloud-init writes it into a file,
//! and `box-agent provision` takes it from there.

use serde::{Deserialize, Serialize};

/// Where a machine finds it. Readable by root alone, and gone once it has been used.
pub const PROVISION_FILE: &str = "/var/lib/box-agent/provision.json";

/// What a machine is to become.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provision {
    /// An enrolment token ([`crate::enroll::EnrollmentToken::encode`]): where the gateway is, how to know it, and a
    /// secret that works once.
    pub token: String,
    /// The volume with the workspace. When absent, the machine's own settings say what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<ProvisionedVolume>,
}

/// A block device of the provider's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionedVolume {
    /// Its number at Hetzner Cloud.
    pub hcloud_id: u64,
    /// Whether it is new, so that it may be formatted if it is blank.
    #[serde(default)]
    pub new: bool,
}

// The token stays out of logs, whoever formats it.
impl std::fmt::Debug for Provision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provision").field("volume", &self.volume).finish_non_exhaustive()
    }
}
