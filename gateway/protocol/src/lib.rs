//! What Berth's gateway and box agent say to each other.
//!
//! Both sides depend on this crate and never on each other. It holds wire types, the names that
//! certificates carry and the rule by which a peer is trusted; it does no I/O.
//!
//! | module | conversation |
//! |---|---|
//! | [`ids`] | identifiers that travel in every conversation |
//! | [`name`], [`trust`], [`tls`], [`standing`] | who a certificate says it is, whether to believe it, and for how long |
//! | [`enroll`], [`renew`] | a box exchanges a one-time token for a certificate, and that for newer ones |
//! | [`provision`] | what a new machine finds in its user-data |
//! | [`link`], [`desired`], [`environment`], [`observed`], [`ports`], [`attention`], [`event`] | agent → gateway WebSocket, always on |
//! | [`door`], [`control`], [`keys`], [`suspend`], [`backup`] | gateway → box, `CONNECT` streams and the control API |
//! | [`terminal`] | browser ↔ gateway text messages of the `berth.v1` subprotocol |
//! | [`error`] | the error body of every HTTP answer |
//!
//! A stored or wire shape changes only together with a new fixture below `data/`; the old one stays and
//! `tests/compat.rs` goes on reading it. Unknown fields and unknown message types are tolerated.

pub mod attention;
pub mod backup;
pub mod control;
pub mod desired;
pub mod door;
pub mod enroll;
pub mod environment;
pub mod error;
pub mod event;
pub mod ids;
pub mod keys;
pub mod link;
pub mod name;
pub mod observed;
pub mod ports;
pub mod provision;
pub mod renew;
pub mod standing;
pub mod suspend;
pub mod terminal;
pub mod tls;
pub mod trust;
