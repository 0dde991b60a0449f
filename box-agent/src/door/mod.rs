//! The door: the one open port of a box. Gateways of its installation come in with their certificates and get
//! streams to terminals and loopback ports, and answers to commands; nobody else gets as far as HTTP. Where the
//! port can't be reached, the agent dials the gateway that asks for it, and serves the same there.
//!
//! | module | what |
//! |---|---|
//! | [`listener`] | the TCP port |
//! | [`server`] | TLS, handshakes, one connection's life |
//! | [`dial_back`] | connections that the agent dials |
//! | [`hall`] | what all of them share, and how they end |
//! | [`request`] | what is asked, read strictly |
//! | [`service`] | what is answered |
//! | [`calls`] | commands that want an answer |
//! | [`splice`] | the bytes after a `CONNECT` |

pub mod calls;
mod copy;
pub mod dial_back;
pub mod hall;
pub mod listener;
pub mod request;
pub mod server;
pub mod service;
pub mod splice;
