//! A block device to be a box's volume: a loop device over a file, gone with its file when it is dropped.

use std::process::Command;

use tempfile::NamedTempFile;

use crate::process::stdout;

/// Bytes of a volume: little of it is ever written.
const SIZE: u64 = 256 << 20;

/// A loop device.
pub struct Disk {
    device: String,
    _file: NamedTempFile,
}

impl Disk {
    /// A blank one.
    ///
    /// # Panics
    /// When none can be made.
    #[must_use]
    pub fn blank() -> Self {
        let file = tempfile::Builder::new().prefix("bd-").tempfile_in("/tmp").expect("a file");
        file.as_file().set_len(SIZE).expect("a sparse file");
        let attached = Command::new("losetup").args(["--find", "--show"]).arg(file.path()).output();
        let device = stdout(&attached.expect("losetup (of util-linux)"));
        Self { device, _file: file }
    }

    /// Its path.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whatever still has it mounted is in a namespace that is about to end: it goes with that.
        let detached = Command::new("losetup").args(["--detach", &self.device]).status();
        if !detached.is_ok_and(|status| status.success()) {
            eprintln!("{} is left", self.device);
        }
    }
}
