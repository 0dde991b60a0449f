//! What is behind a terminal: the tmux server that holds the sessions, the ttyd that shows them, and the
//! attachments that tie a browser's terminal to one session.
//!
//! ```text
//!   door ── CONNECT ttyd ──▶ mints an attachment id ──────────────────────┐
//!     ╚═════ bytes ════════▶ ttyd ──▶ box-agent attach <id> ── asks ──▶ agent.sock
//!                                        │ becomes                        │ redeems the id, once
//!                                        ▼                                ▼
//!                                      tmux attach ◀───────────── tmux's command line
//! ```
//!
//! [`panes`] looks at panes and types into them without any of this: it asks tmux itself. [`survey`] looks at all of
//! them at once, [`pipes`] leads what they say to a program, and a [`blueprint`] says what a session is to be made of.
//!
//! When a stream ends, the [`usher`] sees to it that its tmux client ends, too.
//!
//! ttyd is a child of the agent and ends with it. The tmux server is nobody's child and outlives both; which process
//! it is stays known, so that it is found again when its socket was removed.

pub mod attachments;
pub mod blueprint;
pub mod panes;
pub mod pipes;
mod prepare;
pub mod server;
pub mod survey;
pub mod tmux;
pub mod ttyd;
pub mod usher;
