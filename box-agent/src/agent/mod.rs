//! The agent itself: what is started, in which order, and how it stops.
//!
//! ```text
//!   lock ─ identity ─ ports ─┬─ link (reports from here on)
//!                            └─ volume ─ layout ─ database ─ tmux ─ ttyd ─ door ─ environment ─ sessions ─ READY
//! ```
//!
//! Each step can be done again without harm, is timed, and fails with its own words and exit code. Nothing
//! waits for the network: the last desired state is in the database.
//!
//! What runs on the volume (volume, layout, database, environment, sessions) is a [`stay`], which a suspension ends and a resume
//! begins anew; everything else runs for as long as the agent does. A stay has a thread of its own, the [`disk`]'s: door and link
//! are on another, which no slow disk stops.

mod disk;
mod hub;
mod notify;
mod ports;
mod start;
mod status;
mod stay;
mod suspend;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use berth_daemon::exit::{Exit, Fatal, chain};
use berth_daemon::state::StateLock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::host::account::Account;
use crate::host::programs::find;
use crate::host::runtime::RuntimeDir;
use crate::identity;
use crate::identity::papers::Papers;
use crate::settings::Settings;
use disk::DiskThread;
use hub::Hub;
use ports::Ports;

/// How long the parts of the agent may take to stop.
const GRACE: Duration = Duration::from_secs(8);

/// A part of the agent ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
#[error("a part of the agent ended by itself; its last words are in the log")]
struct PartEnded;

/// The programs behind terminals, found.
struct Programs {
    ttyd: PathBuf,
    tmux: PathBuf,
    /// This program, which ttyd starts for each terminal, and which writes files in a process of its own.
    agent: PathBuf,
}

/// Runs until `stop`. `agent` is the path of this program.
///
/// # Errors
/// [`Fatal`], with the exit code that tells a supervisor whether starting again may help.
pub async fn run(settings: Settings, agent: &Path, stop: CancellationToken) -> Result<(), Fatal> {
    let hub = Arc::new(Hub::new());
    let _state_lock =
        StateLock::acquire(&settings.state_dir, "agent.lock").map_err(Fatal::with(Exit::State))?;
    let identity = identity::load(&settings.state_dir).map_err(|error| {
        let exit =
            if matches!(error, identity::IdentityError::NotEnrolled) { Exit::Config } else { Exit::State };
        Fatal::with(exit)(error)
    })?;
    identity::tidy(&settings.state_dir);
    let papers = Papers::new(identity.clone()).map_err(Fatal::with(Exit::State))?;
    let papers = watch::Sender::new(papers);
    let home = settings.home();
    let (user, shell) = (settings.terminal.user.as_deref(), settings.terminal.shell.as_deref());
    let account = Account::find(user, home, shell).map_err(Fatal::with(Exit::Config))?;
    let tmux = settings.terminal.tmux_directory.as_deref();
    let patterns = Arc::new(settings.notify.patterns().map_err(Fatal::with(Exit::Config))?);
    let runtime =
        RuntimeDir::open(&settings.runtime_dir, tmux, &account).map_err(Fatal::with(Exit::State))?;
    let _runtime_lock = StateLock::acquire(runtime.path(), "agent.lock").map_err(Fatal::with(Exit::State))?;
    let programs = find_programs(&settings, agent).map_err(Fatal::with(Exit::Unavailable))?;
    let ports = Ports::bind(&settings, &runtime, &account).await?;
    let disk = DiskThread::start().map_err(Fatal::with(Exit::Failure))?;

    let mut parts = JoinSet::new();
    // A token of its own: a part that ends before this one is cancelled has ended by itself.
    let parts_stop = CancellationToken::new();
    let foundation =
        Arc::new(start::Foundation { settings, identity, papers, runtime, account, programs, patterns });
    let started = tokio::select! {
        started = start::start(&foundation, ports, &hub, &disk, &mut parts, &parts_stop) => started,
        // Cancel-safe: every step can be done again, and the parts are stopped below.
        () = stop.cancelled() => Ok(()),
    };
    let ended = match started {
        Ok(()) => tokio::select! {
            // Cancel-safe, both.
            () = stop.cancelled() => Ok(()),
            Some(_) = parts.join_next() => Err(Fatal::with(Exit::Failure)(PartEnded)),
        },
        failed => failed,
    };
    notify::stopping();
    parts_stop.cancel();
    if tokio::time::timeout(GRACE, async { while parts.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!(grace_secs = GRACE.as_secs(), "not every part stopped in time");
    }
    let store = hub.store.borrow().clone();
    if let Some(store) = store {
        // If not, nothing is lost: the next start reads the log beside the file.
        match tokio::time::timeout(GRACE, store.checkpoint()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "failed to tidy up the database"),
            Err(_) => tracing::warn!("the database was not tidied up: its disk does not answer"),
        }
    }
    disk.end().await;
    ended
}

/// Begins a part of the agent. Not a part of its caller: a future lies on the stack until it is spawned, and a caller would have
/// room there for everything that it ever spawns, for as long as the agent runs.
#[inline(never)]
fn begin<F>(parts: &mut JoinSet<()>, part: impl FnOnce() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    parts.spawn(part());
}

fn find_programs(
    settings: &Settings,
    agent: &Path,
) -> Result<Programs, crate::host::programs::MissingProgram> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    Ok(Programs {
        ttyd: find(&settings.terminal.ttyd, &search, "terminal.ttyd", "ttyd")?,
        tmux: find(&settings.terminal.tmux, &search, "terminal.tmux", "tmux")?,
        agent: agent.to_owned(),
    })
}
