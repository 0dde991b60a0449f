//! Attention: whether a session needs its user, how that is known, and what the user is told of it.
//!
//! ```text
//!   coding agent ── hook ──▶ box-agent notify ──▶ agent.sock ─┐
//!   pane ── pipe-pane ─────▶ box-agent tap ─────▶ agent.sock ─┼─▶ desk ─▶ events, status board
//!   pane ── capture-pane (the referee) ───────────────────────┘    └─ one mind for each pane
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`signal`] | the pieces of evidence |
//! | [`tap`] | reads a pane's output, in a process of its own |
//! | [`patterns`] | what questions look like, in a file |
//! | [`hooks`] | what coding agents say by themselves |
//! | [`evidence`] | what a tap's report is evidence of |
//! | [`fusion`] | the mind of a pane: evidence in, decisions out; pure |
//! | [`desk`] | the task that keeps the minds, and does what they say |
//! | [`intake`] | the way to the desk |
//! | [`answer`] | types an answer, if the question still stands |
//! | [`board`] | what is believed of sessions |
//! | [`text`] | what of a program's text may be shown |
//!
//! Taps and hooks are programs of the box's user: all that they say is a claim, bounded, and shown as text.

pub mod answer;
pub mod board;
pub mod desk;
pub mod evidence;
pub mod fusion;
pub mod hooks;
pub mod intake;
pub mod patterns;
pub mod signal;
pub mod tap;
pub mod text;
