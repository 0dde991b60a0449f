//! How many files the process may have open, and what follows of it: each connection takes some, and the usual soft
//! limit is 1,024.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Open files that are left for everything but connections.
const RESERVED: u64 = 256;

/// As many as the units ask for. What the agent starts inherits it, and some programs go through all that could be open.
const ENOUGH: u64 = 64 * 1024;

/// Raises the soft limit of open files as far as the hard one lets it, to 65,536 at most. Where that is refused, the
/// limit stays as it was.
pub fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| setrlimit(Resource::RLIMIT_NOFILE, soft.max(ENOUGH.min(hard)), hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "limit of open files not raised");
    }
}

/// How many connections there may be at the same time when each takes up to `files` open files; not more than `most`.
#[must_use]
pub fn connections(files: u64, most: usize) -> usize {
    // A limit that can't be read is taken for the usual one.
    let (open, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    within(open, files, most)
}

fn within(open: u64, files: u64, most: usize) -> usize {
    let places = open.saturating_sub(RESERVED) / files.max(1);
    usize::try_from(places).unwrap_or(most).clamp(1, most)
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn connections_leave_files_for_the_rest() {
        assert_eq!(within(1024, 3, 16_384), 256);
        assert_eq!(within(65_536, 3, 16_384), 16_384);
        assert_eq!(within(u64::MAX, 3, 16_384), 16_384);
        assert_eq!(within(0, 3, 16_384), 1);
    }
}
