//! The harness of every test across processes.
//!
//! [`Stack::start`] runs a real gateway and a real agent, each a process of its own, on free ports and in a
//! temporary directory; the workspace `main` is enrolled. Dropping it ends everything that it started, tmux
//! included, and prints the logs when the test has failed.
//!
//! | module | what |
//! |---|---|
//! | [`stack`] | gateway, agent and their state |
//! | [`process`] | one child process, its log and its memory |
//! | [`backup`] | a box with backups, and where they go |
//! | [`attention`] | what a box tells of its sessions' need for the user |
//! | [`browser`], [`devtools`] | a real Chromium, and what its driver alone can't do |
//! | [`checkout`] | `scripts/start`, as a user runs it |
//! | [`client`] | the API as a browser uses it |
//! | [`environment`] | a workspace's environment through the API |
//! | [`exec`] | commands through the API |
//! | [`identity`] | what an agent keeps, and what it is worth |
//! | [`issuer`] | an issuer of identities, with real keys |
//! | [`linked`] | a box that says what a test wants over its link and at its door |
//! | [`receiver`], [`push`] | where notifications go: an HTTP server that remembers, and a browser's subscription |
//! | [`ports`] | ports that stay a test's own |
//! | [`preview`], [`upstream`] | a preview as a browser uses it, and a dev server made for tests |
//! | [`previewed`] | both, a stack and a browser that was let in: what most tests of previews begin with |
//! | [`servers`] | dev servers as people run them |
//! | [`terminal`] | a terminal's WebSocket, with a screen to wait on |
//! | [`raw`] | a terminal's WebSocket that may send any bytes |
//! | [`machine`] | a Debian system with the units, booted by a real systemd |
//! | [`metrics`] | what the gateway counts |
//! | [`network`] | namespaces joined by a link that delays, drops and cuts packets |
//! | [`s3`] | an S3 server, and a proxy before it that has bad days |
//! | [`secrets`] | what must not be in logs, and is looked for in all of them |
//! | [`screen`] | what a terminal's bytes look like |
//! | [`people`] | people with accounts |
//! | [`sse`] | server-sent events, as a page reads them |
//! | [`tmux`] | what tmux itself says |
//! | [`wait`] | waiting on conditions, never for luck |
//!
//! `bin/echo-ttyd` takes ttyd's place where a test has to see every byte again that it sent.

#![expect(clippy::disallowed_methods, reason = "the harness starts programs")]

pub mod attention;
pub mod backup;
pub mod browser;
pub mod checkout;
pub mod client;
pub mod devtools;
pub mod environment;
pub mod exec;
pub mod identity;
pub mod issuer;
pub mod linked;
pub mod machine;
pub mod metrics;
pub mod network;
pub mod people;
pub mod ports;
pub mod preview;
pub mod previewed;
pub mod process;
pub mod programs;
pub mod push;
pub mod raw;
pub mod receiver;
pub mod s3;
pub mod screen;
pub mod secrets;
pub mod servers;
pub mod sse;
pub mod stack;
pub mod terminal;
pub mod tmux;
pub mod upstream;
pub mod wait;

pub use browser::Browser;
pub use checkout::Checkout;
pub use client::Client;
pub use exec::Exec;
pub use identity::Identity;
pub use issuer::Issuer;
pub use linked::Linked;
pub use preview::Preview;
pub use previewed::Previewed;
pub use raw::Raw;
pub use receiver::Receiver;
pub use screen::Screen;
pub use stack::Stack;
pub use terminal::Terminal;
pub use upstream::Upstream;
