//! Boxes under a real systemd, in a container. Nearly all need root.

mod backup;
mod firewall;
mod hetzner;
mod image;
mod install;
mod packer;
mod sessions;
mod ssh;
mod units;
mod volume;
