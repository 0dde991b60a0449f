//! The real programs that the tests use.

use std::path::{Path, PathBuf};

/// ttyd: the one that `BERTH_TTYD` names, else the newest that was fetched into this clone, else the one on
/// `PATH`.
pub fn ttyd() -> PathBuf {
    if let Some(named) = std::env::var_os("BERTH_TTYD").filter(|named| !named.is_empty()) {
        return named.into();
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools");
    let fetched = std::fs::read_dir(tools).into_iter().flatten().filter_map(|entry| {
        let entry = entry.ok()?;
        let program = entry.path().join("bin/ttyd");
        let is_ttyd = entry.file_name().to_str()?.starts_with("ttyd-") && program.is_file();
        is_ttyd.then(|| program.canonicalize().ok()).flatten()
    });
    fetched
        .max()
        .or_else(|| on_path("ttyd"))
        .expect("no ttyd: run scripts/test, which gets one, or name one in BERTH_TTYD")
}

/// A program on `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}

/// The program under test.
pub fn box_agent() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_box-agent"))
}
