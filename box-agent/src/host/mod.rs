//! Everything that the agent does to the machine it runs on, apart from sockets: the only place that starts
//! programs, and the few facts that are read from the kernel.
//!
//! | module | what |
//! |---|---|
//! | [`command`] | runs a program and collects what it said |
//! | [`child`] | starts a program that is meant to stay, and replaces this process by another |
//! | [`group`] | starts a program whose whole process group ends with it |
//! | [`account`] | the user that the agent and its terminals run as |
//! | [`users`], [`names`] | users and hosts, as the machine knows them |
//! | `oom` | whom the kernel ends when memory runs out |
//! | [`cgroup`] | which unit processes are in |
//! | [`foreground`] | what runs in the foreground of a terminal |
//! | [`process`] | a process that is known again later |
//! | [`programs`] | finds a program on `PATH` |
//! | [`runtime`] | the directory of sockets |
//! | [`machine`] | boot id, load, memory, disk |
//! | [`mount`], [`mounts`] | mounts, unmounts, and what is mounted |
//! | [`holders`] | who uses a file system |
//! | [`tool`] | runs a tool that must be let finish |

#![expect(clippy::disallowed_methods, reason = "programs are started here and nowhere else")]

pub mod account;
pub mod cgroup;
pub mod child;
pub mod command;
pub mod foreground;
pub mod group;
pub mod holders;
pub mod machine;
pub mod mount;
pub mod mounts;
pub mod names;
mod oom;
pub mod process;
pub mod programs;
pub mod runtime;
pub mod tool;
pub mod users;
