//! Browsers in which a user is signed in.

use serde::Serialize;
use utoipa::ToSchema;

use crate::store;

/// A browser in which the user is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Device {
    /// Its identifier.
    pub id: String,
    /// What it runs on, such as `Chrome on Android`.
    pub device: String,
    /// Whether it is the one that asks.
    pub this: bool,
    /// When it was signed in, milliseconds since 1970.
    pub created_at_ms: i64,
    /// When it was last used, to ten minutes.
    pub used_at_ms: i64,
    /// When it is signed out, if it is not used until then.
    pub expires_at_ms: i64,
}

/// Where a user is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Devices {
    /// Each browser, the one that was used last first.
    pub devices: Vec<Device>,
}

impl Device {
    /// As the user sees it in the browser `here`.
    #[must_use]
    pub fn new(device: store::Device, here: &store::BrowserSession) -> Self {
        Self {
            this: device.sign_in == *here,
            id: device.id.into(),
            device: device.device,
            created_at_ms: device.created_at_ms,
            used_at_ms: device.used_at_ms,
            expires_at_ms: device.expires_at_ms,
        }
    }
}
