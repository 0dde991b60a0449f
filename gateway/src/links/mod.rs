//! Links: what boxes reach. Enrolment without a certificate, then one WebSocket per box with one.
//!
//! | file | what |
//! |---|---|
//! | `listener` | TLS with the installation's CA; who is at the other end |
//! | `enroll` | a one-time token becomes a certificate |
//! | `renew` | a certificate becomes a newer one |
//! | `trusting` | what a link is told of CAs and of its certificate's end |
//! | `invariants` | what holds for any message, for tests and fuzzing |
//! | `connection`, `socket` | hello, then reports in and desired state out |

mod connection;
mod enroll;
pub mod invariants;
mod listener;
mod renew;
mod socket;
mod trusting;

pub use listener::serve;
