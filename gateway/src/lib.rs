//! Berth's gateway: authenticates users and relays terminals and previews to boxes.
//!
//! ```text
//!  browser ──▶ front ─▶ api ─▶ store                 box
//!                │       │       ▲
//!                │       ▼       │
//!                │   terminals ──┼── boxes ─(door)──▶ agent ▶ ttyd ▶ tmux
//!                │       │       │
//!                │     relay     │
//!                └───▶ changes ◀─┴── links ◀─(link)── agent
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`front`] | HTTP(S) listener, web UI, sign-in links, what surrounds every request |
//! | [`api`] | the API under `/api/v1`: routes, policies, handlers, OpenAPI |
//! | [`auth`] | origin, cookies, secrets |
//! | [`issuer`] | sign-in by somebody else's word: tokens, their keys, and whose account it is |
//! | [`terminals`] | open terminals: from ticket to relay, and how they are ended |
//! | [`previews`] | who may see which preview, and how they are let in |
//! | [`preview`] | moves HTTP and WebSockets between browsers and dev servers; knows nothing of users |
//! | [`relay`] | moves a terminal's bytes between two WebSockets; knows nothing else |
//! | [`boxes`] | dials doors, keeps connections warm, knows who answers |
//! | [`links`] | listener for boxes: enrolment, reports, desired state |
//! | [`notifications`] | who is told what their sessions need, by which channel, and whether it arrived |
//! | [`backups`] | where they go: sealed for the store, opened for boxes, shown once on a recovery sheet |
//! | [`environments`] | sealed for the store, opened for boxes |
//! | [`caller`] | for whom a task works: from where, in which request |
//! | [`limits`] | how often something may be tried, per address and per account |
//! | [`patience`] | a timer for what mostly comes in time |
//! | [`changes`] | tells this process what was committed |
//! | [`store`] | all SQL |
//! | [`ca`], [`trust`] | certificates, and which CAs are believed while they are rotated |
//! | [`sealing`], [`installation`] | sealed secrets, and opening everything |
//! | [`server`], [`app`], [`jobs`], [`metrics`] | the running gateway as a whole |
//! | [`settings`], [`cli`] | configuration and command line |

pub mod api;
pub mod app;
pub mod auth;
pub mod backups;
pub mod boxes;
pub mod ca;
pub mod caller;
pub mod changes;
pub mod cli;
pub mod environments;
pub mod front;
pub mod installation;
pub mod issuer;
pub mod jobs;
pub mod limits;
pub mod links;
pub mod metrics;
pub mod notifications;
pub mod patience;
pub mod preview;
pub mod previews;
pub mod relay;
pub mod sealing;
pub mod server;
pub mod settings;
pub mod store;
pub mod terminals;
pub mod trust;
