//! Ports that nobody else takes while a test has them.
//!
//! A gateway that is killed and started again must be where it was, and a port from the kernel's ephemeral
//! range could be another connection's by then. These lie below that range, and a lock file keeps tests that
//! run side by side apart.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::path::Path;

/// Ports below the ephemeral range, above those of well-known services.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Consecutive ports, held until dropped.
pub struct Ports {
    first: u16,
    _locks: Vec<File>,
}

impl Ports {
    /// Takes `count` consecutive ports on which nothing listens.
    ///
    /// # Panics
    /// When none are to be had.
    #[must_use]
    pub fn take(count: u16) -> Self {
        let user = nix::unistd::Uid::effective();
        let directory = std::env::temp_dir().join(format!("berth-test-ports-{user}"));
        std::fs::create_dir_all(&directory).expect("the lock files have a place");
        // Each process begins elsewhere, so that most find free ports at once.
        let spread = RANGE.end - RANGE.start - count;
        let start = (std::process::id().wrapping_mul(7919) % u32::from(spread)) as u16;
        for step in 0..spread {
            let first = RANGE.start + (start + step) % spread;
            let locks: Option<Vec<File>> =
                (first..first + count).map(|port| lock(&directory, port)).collect();
            if let Some(locks) = locks {
                return Self { first, _locks: locks };
            }
        }
        panic!("no {count} consecutive ports are free");
    }

    /// The port at `index`.
    #[must_use]
    pub fn port(&self, index: u16) -> u16 {
        self.first + index
    }
}

fn lock(directory: &Path, port: u16) -> Option<File> {
    let path = directory.join(port.to_string());
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).ok()?;
    file.try_lock().ok()?;
    TcpListener::bind(("127.0.0.1", port)).ok().map(|_| file)
}
