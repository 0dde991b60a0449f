//! The agent as a process, with the real tmux and the real ttyd, against a gateway played by the test.

#![expect(clippy::disallowed_methods, reason = "tests start the agent and look at tmux themselves")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking, its helpers too")]

mod attach;
mod clone;
mod control;
mod dial_back;
mod doctor;
mod door;
mod enrolment;
mod environment;
mod faults;
mod link;
mod sessions;
mod support;
mod survival;
mod tailscale;
mod upload;
