//! Sessions: what should run against what runs. [`plan`] decides, [`worker`] acts.
//!
//! ```text
//!   desired ─┐                        ┌▶ make as the template says
//!   tmux ────┼▶ plan ──▶ worker ──────┼▶ rebuild as the picture shows, with the last screens
//!   album ───┘             │          └▶ end
//!     ▲                    ▼
//!     └──── pictures ◀── survey of all panes ──▶ observed state
//! ```
//!
//! A session's [`picture`] is refreshed whenever tmux is looked at, and kept on the volume in the [`album`]; what its
//! panes show is kept less often, by [`screens`]. [`rebuild`] turns them into the plan of a session. Processes of sessions
//! are put into [`scopes`], and what the kernel ends among them is found by [`oom`].

pub mod album;
pub mod keeper;
pub mod mishaps;
pub mod oom;
pub mod picture;
pub mod plan;
pub mod rebuild;
pub mod report;
pub mod scopes;
pub mod screens;
pub mod worker;
