//! `box-agent suspend` and `box-agent resume`: lets the volume go, and takes it back.

use std::time::Duration;

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::suspend::{SuspendState, Suspension};
use clap::Args;

use super::{Options, ask_agent, unexpected};
use crate::control::{Answer, Request};

/// How often the agent is asked how far it is.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct Suspend {}

#[derive(Debug, Args)]
pub(super) struct Resume {}

impl Suspend {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        follow(options, &Request::Suspend, SuspendState::Suspended)
    }
}

impl Resume {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        follow(options, &Request::Resume, SuspendState::Serving)
    }
}

/// Asks, says how it goes, and tells whether it went where it should.
fn follow(options: &Options, request: &Request, goal: SuspendState) -> Result<Exit, Fatal> {
    let mut now = ask(options, request)?;
    let mut said = None;
    while matches!(now.state, SuspendState::Suspending | SuspendState::Resuming) {
        if let Some(message) = now.message.take().filter(|message| said.as_ref() != Some(message)) {
            println!("{message}");
            said = Some(message);
        }
        std::thread::sleep(PAUSE);
        now = ask(options, &Request::Suspension)?;
    }
    println!("{}", shown(&now));
    for holder in &now.holders {
        println!("  process {}  {}  ({})", holder.pid, holder.name, holder.what);
    }
    Ok(if now.state == goal { Exit::Success } else { Exit::Failure })
}

fn ask(options: &Options, request: &Request) -> Result<Suspension, Fatal> {
    match ask_agent(options, request)? {
        Answer::Suspension(suspension) => Ok(suspension),
        _ => Err(unexpected()),
    }
}

fn shown(now: &Suspension) -> String {
    let state = match now.state {
        SuspendState::Serving => "serving",
        SuspendState::Suspended => "suspended: the volume is not mounted",
        SuspendState::Suspending | SuspendState::Resuming | SuspendState::Unknown => "on its way",
    };
    match &now.message {
        Some(message) => format!("{state}; {message}"),
        None => state.to_owned(),
    }
}
