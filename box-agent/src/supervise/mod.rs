//! Keeps a program running: [`state`] decides, [`driver`] acts.

pub mod driver;
pub mod state;
