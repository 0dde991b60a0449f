//! `box-agent logs`: what the box's services wrote into the journal.

use std::path::Path;

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::ids::RequestId;
use clap::Args;

use crate::host::child::exec;

/// Where the journal's program is.
const JOURNALCTL: &str = "/usr/bin/journalctl";

/// The units of a box.
const UNITS: [&str; 2] = ["--unit=box-agent.service", "--unit=box-tmux.service"];

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Go on with what comes
    #[arg(long, short)]
    follow: bool,
    /// How many lines of the past
    #[arg(long, short = 'n', value_name = "LINES", default_value_t = 100)]
    lines: u32,
    /// Only what belongs to this request, as the gateway's answers and logs name it
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
}

/// There is no journal.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to start {JOURNALCTL}: without systemd, the agent logs to the standard error of whatever started it"
)]
struct NoJournal(#[source] std::io::Error);

impl Logs {
    pub(super) fn run(self) -> Result<Exit, Fatal> {
        let Err(error) = exec(Path::new(JOURNALCTL), &self.arguments());
        Err(Fatal::with(Exit::Unavailable)(NoJournal(error)))
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = UNITS.map(str::to_owned).into();
        arguments.push(format!("--lines={}", self.lines));
        arguments.extend(self.follow.then(|| "--follow".to_owned()));
        arguments.extend(self.request.as_ref().map(|id| format!("REQUEST_ID={id}")));
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_field_and_never_an_option() {
        let id = RequestId::random();
        let logs = Logs { follow: true, lines: 7, request: Some(id.clone()) };
        let [agent, tmux] = UNITS;
        assert_eq!(logs.arguments(), [agent, tmux, "--lines=7", "--follow", &format!("REQUEST_ID={id}")]);
    }
}
