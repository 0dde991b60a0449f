//! Finds a program before it is needed, so that a missing one is told by name and remedy.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A program that is needed and is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "{program} was not found: install the package {package}, or set {setting} to the path of the program"
)]
pub struct MissingProgram {
    program: String,
    package: &'static str,
    setting: &'static str,
}

/// The path of `program`, a path itself or a name on `search`, which has the form of `PATH`.
///
/// # Errors
/// [`MissingProgram`], which names the setting and the package to install.
pub fn find(
    program: &Path,
    search: &std::ffi::OsStr,
    setting: &'static str,
    package: &'static str,
) -> Result<PathBuf, MissingProgram> {
    let found = if program.components().count() > 1 {
        Some(program.to_owned()).filter(|path| is_executable(path))
    } else {
        std::env::split_paths(search).map(|dir| dir.join(program)).find(|path| is_executable(path))
    };
    found.ok_or_else(|| MissingProgram { program: program.display().to_string(), package, setting })
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_and_a_path_is_taken_as_it_is() {
        let find = |program: &str, search: &str| {
            find(Path::new(program), search.as_ref(), "terminal.ttyd", "ttyd").map_err(|e| e.to_string())
        };
        assert_eq!(find("sh", "/nowhere:/bin").unwrap(), Path::new("/bin/sh"));
        assert_eq!(find("/bin/sh", "").unwrap(), Path::new("/bin/sh"));
        assert!(find("/etc/passwd", "").is_err(), "not executable");
        let error = find("ttyd", "/nowhere").unwrap_err();
        assert!(error.contains("install the package ttyd") && error.contains("terminal.ttyd"), "{error}");
    }
}
