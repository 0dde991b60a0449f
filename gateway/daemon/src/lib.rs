//! What every Berth program does the same way, and that has nothing to do with Berth's own subject.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | settings from defaults, file, environment and flags, with errors that name the remedy |
//! | [`limits`] | open files |
//! | [`logging`] | tracing to journald, a terminal or JSON lines |
//! | [`metrics`] | Prometheus text on a loopback listener |
//! | [`state`] | private files written whole, and the lock of a state directory |
//! | [`exit`] | exit codes that a supervisor can tell apart |
//! | [`signals`] | the request to stop |
//!
//! Gateway and agent share wire types through `berth-protocol` only; this crate knows nothing of either.

pub mod config;
pub mod exit;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod signals;
pub mod state;
