//! Finds the device that the settings name, and waits for one that is still on its way: a volume can appear a minute
//! after the machine.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::device::Device;
use super::error::VolumeError;
use super::source::Source;
use super::tools::Tools;

/// How often a path is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// How often all devices are asked for a label.
const ASK_PAUSE: Duration = Duration::from_secs(1);

/// The device, as soon as it is there. `tell` hears how the waiting goes.
pub(super) async fn wait(
    source: &Source,
    deadline: Duration,
    tools: &Tools,
    tell: &(dyn Fn(String) + Sync),
) -> Result<Device, VolumeError> {
    let began = Instant::now();
    let pause = if source.path().is_some() { LOOK_PAUSE } else { ASK_PAUSE };
    let mut told = None;
    loop {
        if let Some(device) = find(source, tools).await? {
            return Ok(device);
        }
        let waited = began.elapsed();
        if waited >= deadline {
            return Err(VolumeError::Missing { wanted: source.clone(), deadline });
        }
        let seconds = waited.as_secs();
        if told.replace(seconds) != Some(seconds) {
            tell(format!("waiting for {source}, {seconds} s of {} s", deadline.as_secs()));
        }
        tokio::time::sleep(pause.min(deadline.saturating_sub(waited))).await;
    }
}

/// The device, if it is there now.
pub(super) async fn find(source: &Source, tools: &Tools) -> Result<Option<Device>, VolumeError> {
    let look = |path: PathBuf| {
        Device::at(&path, source).map_err(|error| VolumeError::Device { path, source: error })
    };
    if let Some(path) = source.path() {
        return look(path);
    }
    let mut found: Vec<Device> = Vec::new();
    for path in tools.with_token(&source.to_string()).await? {
        // One that has gone since is none.
        if let Some(device) = look(path)?
            && found.iter().all(|other| other.number != device.number)
        {
            found.push(device);
        }
    }
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|device| device.node.display().to_string()).collect();
        return Err(VolumeError::Several { wanted: source.clone(), found: names.join(", ") });
    }
    Ok(found.pop())
}
