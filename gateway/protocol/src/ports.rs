//! What listens on a box: loopback ports that a preview can lead to, reported whole whenever it changes.

use serde::{Deserialize, Serialize};

/// Ports that are reported at most.
pub const MAX_PORTS: usize = 64;

/// Characters of a process's name that are reported at most.
pub const MAX_NAME_CHARS: usize = 32;

/// Everything that listens for this machine, among the programs of the terminals' user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedPorts {
    /// By port.
    pub ports: Vec<ObservedPort>,
}

/// One port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedPort {
    /// The port.
    pub port: u16,
    /// The name of the program that listens, as it says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// What kind of server it seems to be, such as `vite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}
