//! The agent as a process, with the real tmux and the real ttyd, against a gateway played by the test.

#![expect(clippy::disallowed_methods, reason = "tests start the agent and look at tmux themselves")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking, its helpers too")]

mod adopt;
mod attach;
mod attention;
mod clone;
mod control;
mod dial_back;
mod disk_faults;
mod doctor;
mod door;
mod enrolment;
mod environment;
mod faults;
mod foreign;
mod layout;
mod link;
mod rebuild;
mod scopes;
mod sessions;
mod steps;
mod support;
mod survival;
mod suspend;
mod tailscale;
mod upload;
mod volume;
mod watchdog;
