//! Berth's box agent: the one program that runs on every box.
//!
//! ```text
//!                      ┌──────────────────────── box-agent ─────────────────────────┐
//!   gateway ◀── link ──┤ link ◀── store (events, last desired state, on the volume) │
//!      │               │   │                                                        │
//!      │               │   └─ desired ─▶ sessions ── makes, ends, lists ──▶ tmux ◀┐ │
//!      │               │                    └─ observed ─▶ link, door             │ │
//!      └──── door ─────┼▶ door ══▶ ttyd ──▶ attach ── asks control, becomes ──────┘ │
//!                      │     ╚═══▶ 127.0.0.1:<port>                                 │
//!                      └────────────────────────────────────────────────────────────┘
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`cli`] | the command line, one file per verb |
//! | [`settings`] | file, environment and flags |
//! | [`agent`] | what is started in which order, status, shutdown |
//! | [`identity`] | key and certificate, and how they are got |
//! | [`provision`], [`boot`] | what user-data makes of a new machine, and how long its boot took |
//! | [`volume`], [`layout`] | whose volume it is, and the tree on it |
//! | [`store`], [`events`] | the database on the volume, and where events come from |
//! | [`terminal`] | tmux, ttyd, templates, attachments, panes |
//! | [`sessions`] | desired against observed |
//! | [`environment`] | variables, files, repository and script that terminals find |
//! | [`door`] | what gateways reach |
//! | [`link`] | the connection to the gateway |
//! | [`notify`] | what sessions need of their user, and how that is known |
//! | [`listeners`] | what listens on the box, for previews |
//! | [`control`] | the Unix socket for `attach` and `status` |
//! | [`doctor`] | what an operator would look at |
//! | [`backup`] | snapshots of the volume, and the way back |
//! | [`suspend`] | lets the volume go, and takes it back |
//! | [`supervise`] | keeps a program running |
//! | [`worker`] | what is done as the terminals' user, in a process of its own |
//! | [`tailscale`] | the box's place in a tailnet |
//! | [`troubles`] | what goes wrong although the agent goes on |
//! | [`telemetry`], [`metrics`] | how the box is doing, for the gateway and for Prometheus |
//! | [`pulse`], [`fault`] | whether the agent's loops turn, and faults on purpose, for tests |
//! | [`host`], [`backoff`] | the machine, and pauses between attempts |
//!
//! What decides is pure and apart from what acts: `plan`, `state`, `window`, `desired` and `template` touch
//! nothing; `worker`, `driver`, `conversation` and `apply` do what they say.

pub mod agent;
pub mod backoff;
pub mod backup;
pub mod boot;
pub mod cli;
pub mod control;
pub mod doctor;
pub mod door;
pub mod environment;
pub mod events;
pub mod fault;
pub mod host;
pub mod identity;
pub mod layout;
pub mod link;
pub mod listeners;
pub mod metrics;
pub mod notify;
pub mod provision;
pub mod pulse;
pub mod sessions;
pub mod settings;
pub mod store;
pub mod supervise;
pub mod suspend;
pub mod tailscale;
pub mod telemetry;
pub mod terminal;
pub mod troubles;
pub mod volume;
pub mod worker;
