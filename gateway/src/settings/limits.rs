//! Settings of limits.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// How often something may be tried. So often at once, and after that at this pace.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Attempts to sign in or to open a link, from one address and into one account.
    pub sign_ins_per_minute: NonZeroU32,
    /// Tickets and WebSockets of terminals, for one address and for one account.
    pub terminals_per_minute: NonZeroU32,
    /// Event streams, for one address and for one account.
    pub streams_per_minute: NonZeroU32,
    /// WebSockets of previews, for one address and for one account.
    pub preview_sockets_per_minute: NonZeroU32,
    /// Attempts to enrol a box, from one address, and to renew a box's certificate, of one box.
    pub enrollments_per_minute: NonZeroU32,
    /// Connections from one address to the front at the same time.
    pub connections_per_address: NonZeroU32,
}

const fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            sign_ins_per_minute: number(20),
            terminals_per_minute: number(600),
            streams_per_minute: number(600),
            preview_sockets_per_minute: number(600),
            enrollments_per_minute: number(20),
            connections_per_address: number(4096),
        }
    }
}
