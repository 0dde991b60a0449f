//! The box's place in a tailnet, where there is one: a second way for the gateway to reach the door.
//!
//! ```text
//!   status --json ──▶ plan ──▶ join (up, with a key from a file) │ wait │ be in trouble │ publish the address ──▶ link
//!         ▲                                                                                       │
//!         └──────────────────────── pause: short while joining, longer when all is well ◀─────────┘
//! ```
//!
//! Nothing waits for it: a box whose tailnet is away is ready all the same, and says what is wrong. The daemon is
//! Tailscale's own unit; its state is kept on the volume, so that the address stays with the workspace.
//!
//! | module | what |
//! |---|---|
//! | [`status`] | understands what `tailscale status --json` says |
//! | [`plan`] | what is to be done about it |
//! | [`worker`] | asks, and does it |

pub mod plan;
pub mod status;
pub mod worker;
