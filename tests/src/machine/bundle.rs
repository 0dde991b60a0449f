//! The archive with all that a machine needs to become a box.

use std::ffi::OsStr;

use tempfile::TempDir;

use crate::process::{run_with, stdout};
use crate::programs;

/// A bundle as `scripts/image bundle` makes it: `berth.tar.gz`, and unpacked in `berth/`.
///
/// # Panics
/// When it can't be made.
#[must_use]
pub fn bundle() -> TempDir {
    let directory = tempfile::Builder::new().prefix("bu-").tempdir_in("/tmp").expect("a directory");
    let archive = directory.path().join("berth.tar.gz");
    let archive = archive.to_str().expect("a plain path");
    let programs = programs::built("box-agent");
    let built =
        [(OsStr::new("BERTH_BINARIES"), programs.parent().expect("it is in a directory").as_os_str())];
    let image = programs::repository().join("scripts/image");
    let _ = stdout(&run_with(&image, &["bundle", archive], &built));
    let tar = programs::on_path("tar").expect("tar");
    let place = directory.path().to_str().expect("a plain path");
    let _ = stdout(&run_with(&tar, &["--extract", "--file", archive, "--directory", place], &[]));
    directory
}
