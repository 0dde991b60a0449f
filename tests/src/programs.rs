//! Where the programs under test and their helpers are.

use std::path::{Path, PathBuf};

/// The repository's root.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// A program of this workspace, built beside whoever asks.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    // A test is target/<profile>/deps/<test>, a program beside it target/<profile>/<name>.
    let own = std::env::current_exe().expect("a program knows where it is");
    let directory = own.parent().expect("a program lies in a directory");
    let directory = if directory.ends_with("deps") { directory.parent() } else { Some(directory) };
    let directory = directory.expect("tests lie in target/<profile>/deps");
    let program = directory.join(name);
    assert!(program.exists(), "{} is not built: run scripts/test", program.display());
    program
}

/// ttyd: as `BERTH_TTYD` says, else the one that `scripts/test` unpacked, else the distribution's.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn ttyd() -> PathBuf {
    if let Some(path) = std::env::var_os("BERTH_TTYD") {
        return path.into();
    }
    unpacked("ttyd").or_else(|| on_path("ttyd")).expect("ttyd is missing: run scripts/test, which fetches it")
}

/// restic: as `BERTH_RESTIC` says, else the one that `scripts/test` unpacked.
///
/// # Panics
/// When there is none. The distribution's is not taken: it may be too old.
#[must_use]
pub fn restic() -> PathBuf {
    let named = std::env::var_os("BERTH_RESTIC").map(PathBuf::from);
    named.or_else(|| unpacked("restic")).expect("restic is missing: run scripts/test, which fetches it")
}

/// rclone, which serves S3: as `BERTH_RCLONE` says, else the one that `scripts/test` unpacked.
///
/// # Panics
/// When there is none. The distribution's is not taken: Debian's serves no S3.
#[must_use]
pub fn rclone() -> PathBuf {
    let named = std::env::var_os("BERTH_RCLONE").map(PathBuf::from);
    named.or_else(|| unpacked("rclone")).expect("rclone is missing: run scripts/test, which fetches it")
}

/// A program that `scripts/test` put into `.tools`.
fn unpacked(name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(repository().join(".tools")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join("bin").join(name)).filter(|path| path.exists()).max()
}

/// A program on `PATH`.
#[must_use]
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.is_file())
}
