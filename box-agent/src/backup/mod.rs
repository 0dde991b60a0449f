//! Backups: snapshots of the volume in a restic repository, and the way back.
//!
//! ```text
//!   clock, door, control ──orders──▶ worker ──▶ run ──▶ restic ──▶ repository
//!                     ▲                │         ├─ backup: sources, hooks, copies, snapshot, retention
//!   suspension ───────┼─ directly ─────┘         ├─ restore: staging that only root reaches ──▶ worker as the user
//!                     └──── board ◀── state ◀────┴─ drill: read back, restore a sample, compare
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | decisions, pure |
//! | [`problem`] | what can go wrong, by name and with advice |
//! | [`target`] | where to, and with which keys |
//! | [`restic`] | runs the program |
//! | [`engine`] | what all runs share: one at a time, the board, the keys' age |
//! | [`run`] | one run: phases, attempts, progress, its record |
//! | [`snapshot`], [`restore`], [`drill`], [`export`] | what runs do |
//! | [`s3`] | puts an object into a bucket, in parts |
//! | [`query`] | looks into the repository beside the runs |
//! | [`hand`] | what is done as the terminals' user |
//! | [`worker`] | begins runs when it is time, or somebody asks |
//! | [`watch`] | whether the promise is kept, and who is told |

pub mod drill;
pub mod engine;
pub mod export;
pub mod hand;
pub mod plan;
pub mod problem;
pub mod query;
pub mod restic;
pub mod restore;
pub mod run;
mod s3;
pub mod snapshot;
pub mod target;
pub mod watch;
pub mod worker;
