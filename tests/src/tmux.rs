//! What tmux itself says: the truth about sessions, beside what Berth reports.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmux server by its socket.
pub struct Tmux {
    socket: PathBuf,
}

impl Tmux {
    /// The server behind `socket`, running or not.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Runs a tmux command; `None` when it fails.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Option<String> {
        let output =
            Command::new("tmux").arg("-N").arg("-S").arg(&self.socket).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// The names of its sessions.
    #[must_use]
    pub fn sessions(&self) -> Vec<String> {
        let listed = self.run(&["list-sessions", "-F", "#{session_name}"]).unwrap_or_default();
        listed.lines().map(str::to_owned).collect()
    }

    /// The process ids of a session's panes, in order.
    #[must_use]
    pub fn pane_pids(&self, session: &str) -> Vec<String> {
        let target = format!("={session}:");
        let listed = self.run(&["list-panes", "-t", &target, "-F", "#{pane_pid}"]).unwrap_or_default();
        listed.lines().map(str::to_owned).collect()
    }

    /// What tmux says of a session's active pane, by a format of tmux's own.
    #[must_use]
    pub fn says(&self, session: &str, format: &str) -> String {
        let target = format!("={session}:");
        self.run(&["display-message", "-p", "-t", &target, format]).unwrap_or_default()
    }

    /// Width and height of a session's window.
    #[must_use]
    pub fn size(&self, session: &str) -> Option<(u16, u16)> {
        let target = format!("={session}:");
        let size = self.run(&["display-message", "-p", "-t", &target, "#{window_width} #{window_height}"])?;
        let (width, height) = size.split_once(' ')?;
        Some((width.parse().ok()?, height.parse().ok()?))
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.run(&["kill-server"]);
    }
}
