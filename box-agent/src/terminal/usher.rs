//! Sees terminals out: when a stream has ended, the program that showed its terminal has to go, too.
//!
//! ttyd sends it SIGHUP, and that is usually all. But it does not read the terminal any more then, nor close it before
//! the program has ended; tmux, which has something to say when it detaches, waits for ever to say it if the terminal is
//! full at that moment, as it is in a flood. It is no client of the tmux server any more by then, and takes no other
//! signal while it writes. So what does not go of itself is detached, in case it still is a client, and then killed: the
//! session is the server's and does not notice.

use std::time::Duration;

use berth_daemon::exit::chain;
use nix::sys::signal::Signal;
use tokio::time::{sleep, timeout};

use super::tmux::Tmux;
use crate::host::process::Process;

/// How long a program may take to go of itself.
const GRACE: Duration = Duration::from_secs(5);

/// How long it may take once tmux has been asked to detach it.
const DETACH_GRACE: Duration = Duration::from_secs(2);

/// Time between looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes sure that the program of a terminal whose stream has ended goes.
pub async fn see_out(tmux: &Tmux, program: &Process) {
    if gone_within(GRACE, program).await {
        return;
    }
    // A process id that was given anew since is another process, and another user's is none of ours.
    let owner = tmux.account().uid;
    if !program.belongs_to(owner) {
        return;
    }
    if let Err(error) = tmux.detach(program.pid()).await {
        tracing::debug!(error = %chain(&error), pid = program.pid(), "a terminal's program was not detached");
    }
    if gone_within(DETACH_GRACE, program).await || !program.belongs_to(owner) {
        return;
    }
    tracing::info!(pid = program.pid(), "killing the program of a terminal that has ended");
    if let Err(error) = program.signal(Signal::SIGKILL) {
        tracing::debug!(%error, pid = program.pid(), "a terminal's program was not killed");
    }
}

async fn gone_within(time: Duration, program: &Process) -> bool {
    let gone = async {
        while program.is_alive() {
            sleep(PAUSE).await;
        }
    };
    timeout(time, gone).await.is_ok()
}
