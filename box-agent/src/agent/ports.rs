//! Everything that the agent listens on, taken at the beginning: what is in use elsewhere is told before
//! anything is changed.

use std::net::SocketAddr;

use berth_daemon::exit::{Exit, Fatal};
use berth_daemon::state::write_private;
use serde::Serialize;
use tokio::net::{TcpListener, UnixListener};

use crate::control;
use crate::door::listener::bind;
use crate::host::account::Account;
use crate::host::runtime::{RuntimeDir, share};
use crate::settings::Settings;

/// The agent's control socket can't be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {path}: make runtime_dir writable for this user, or choose another")]
struct SocketError {
    path: std::path::PathBuf,
    source: std::io::Error,
}

/// The listeners.
pub(super) struct Ports {
    pub(super) door: TcpListener,
    pub(super) metrics: TcpListener,
    pub(super) control: UnixListener,
    pub(super) addresses: Addresses,
}

/// The addresses really taken: they differ from the settings where those say port 0.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Addresses {
    pub(super) door: SocketAddr,
    pub(super) metrics: SocketAddr,
}

impl Ports {
    pub(super) async fn bind(
        settings: &Settings,
        runtime: &RuntimeDir,
        account: &Account,
    ) -> Result<Self, Fatal> {
        let door = bind(settings.door.listen, "door.listen").await.map_err(Fatal::with(Exit::Unavailable))?;
        let metrics =
            bind(settings.metrics.listen, "metrics.listen").await.map_err(Fatal::with(Exit::Unavailable))?;
        let path = runtime.agent_socket();
        let control = control::server::bind(&path)
            .map_err(|source| Fatal::with(Exit::State)(SocketError { path: path.clone(), source }))?;
        if account.is_another() {
            share(&path, account, 0o660).map_err(Fatal::with(Exit::State))?;
        }
        let address = |listener: &TcpListener| listener.local_addr().map_err(Fatal::with(Exit::Failure));
        let addresses = Addresses { door: address(&door)?, metrics: address(&metrics)? };
        Ok(Self { door, metrics, control, addresses })
    }
}

impl Addresses {
    /// Writes them where tools look for them.
    pub(super) fn publish(self, runtime: &RuntimeDir) -> Result<(), Fatal> {
        let text = serde_json::to_vec(&self).map_err(Fatal::with(Exit::Failure))?;
        write_private(&runtime.addresses(), &text).map_err(Fatal::with(Exit::State))
    }
}
