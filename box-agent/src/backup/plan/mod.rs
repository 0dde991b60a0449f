//! What is decided about backups, without touching anything.
//!
//! | module | what |
//! |---|---|
//! | [`schedule`] | when the next run is due |
//! | [`retry`] | whether a failure is tried again, and when |
//! | [`excludes`] | what is left out, as restic reads it |
//! | [`alarm`] | whether the promise is kept |

pub mod alarm;
pub mod excludes;
pub mod retry;
pub mod schedule;
