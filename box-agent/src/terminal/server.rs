//! Which process the tmux server is. Its socket is only a name in a directory, and a cleaner may remove it: then
//! nobody can connect, although every session is there. Whoever took that for "no server" would start a second
//! one and leave the work in the first out of reach.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use berth_daemon::exit::chain;
use berth_daemon::state::write_private;
use nix::unistd::Uid;

use crate::host::process::Process;

/// The server that was seen last. Clones share it, and a file tells the next agent.
#[derive(Debug, Clone)]
pub struct KnownServer {
    file: PathBuf,
    /// Whose it must be: its process id is its own claim, and root signals what it names.
    owner: Uid,
    seen: Arc<Mutex<Option<Process>>>,
}

impl KnownServer {
    /// What is known by way of `file` of a server that belongs to `owner`.
    #[must_use]
    pub fn new(file: PathBuf, owner: Uid) -> Self {
        Self { file, owner, seen: Arc::default() }
    }

    /// The server, if it still lives.
    #[must_use]
    pub fn alive(&self) -> Option<Process> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none() {
            *seen = std::fs::read(&self.file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        }
        seen.clone().filter(|server| server.belongs_to(self.owner))
    }

    /// Keeps in mind that the server has this process id.
    pub fn remember(&self, pid: i32) {
        // Who removes sockets may remove files, too.
        if self.alive().is_some_and(|known| known.pid() == pid) && self.file.exists() {
            return;
        }
        let Some(server) = Process::with_id(pid).filter(|server| server.belongs_to(self.owner)) else {
            return;
        };
        // It is known to this agent all the same.
        let written = serde_json::to_vec(&server).map(|text| write_private(&self.file, &text));
        if let Ok(Err(error)) = written {
            tracing::warn!(error = chain(&error), "failed to note which process the tmux server is");
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_another_user_is_no_tmux_server() {
        let dir = tempfile::tempdir().unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        let known = |owner| {
            let server = KnownServer::new(dir.path().join(format!("{owner}.json")), owner);
            server.remember(pid);
            server.alive().map(|process| process.pid())
        };
        assert_eq!(known(Uid::effective()), Some(pid));
        assert_eq!(known(Uid::from_raw(4_000_000)), None);
    }
}
