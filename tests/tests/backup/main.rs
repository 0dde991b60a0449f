//! Backups, restores and the way out, with a real restic and a real S3 server.

mod api;
mod databases;
mod export;
mod faults;
mod round_trips;
mod tree;
mod trust;
