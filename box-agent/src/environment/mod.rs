//! The workspace's environment on this box: variables, files, a repository, and a script after a start.
//!
//! ```text
//!   desired ──▶ settle ──────────────▶ sessions (they begin when variables and files are there)
//!                 │  └─ worker environment: variables, files
//!                 ▼
//!               toil ─ worker clone ─ files in the repository ─ worker post-start
//!                 │
//!                 └──▶ report ──▶ link
//! ```
//!
//! Everything below the user's tree is done by `box-agent worker` as the user of terminals. Secret values are in
//! memory only: in the desired state as it came over the link, and in the user's own directory of the runtime
//! directory. The volume holds the rest, so that a box without network has it after a start.
//!
//! | module | what |
//! |---|---|
//! | [`settle`] | variables and files, before sessions |
//! | [`toil`] | what takes its time: repository and script |
//! | [`board`] | what both know and say |
//! | [`plan`] | what becomes of one file |
//! | [`shell`] | variables as a file for shells, and back |
//! | [`record`] | what Berth has done, kept on the volume |
//! | [`job`], [`ask`] | what workers are told and tell |

pub mod ask;
pub mod board;
pub mod job;
pub mod plan;
pub mod record;
pub mod settle;
pub mod shell;
pub mod toil;
pub mod variables;
