//! Names what the user's own processes have on a device: who suspends a volume wants to know, and only its own user may
//! look into a process.

use std::path::Path;

use crate::host::command::Invocation;
use crate::host::mounts::Number;

/// How the worker is started.
#[must_use]
pub fn invocation(agent: &Path, device: Number, unmounted: bool) -> Invocation {
    let (major, minor) = (device.0.to_string(), device.1.to_string());
    let words = ["worker", "holders", "--major", &major, "--minor", &minor];
    Invocation::new(agent, words.into_iter().chain(unmounted.then_some("--unmounted")))
}
