//! What the tests share.

pub mod agent;
pub mod ca;
pub mod disk;
pub mod door;
pub mod gateway;
pub mod programs;
pub mod systemd;
pub mod wait;
