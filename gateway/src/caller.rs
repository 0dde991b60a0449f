//! For whom a task works: from where, and in which request. It goes with the task, so that whatever is written to the
//! audit record on the way says it, without every handler passing it on.

use std::fmt;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;

use berth_protocol::ids::RequestId;
use futures_util::future::Either;

tokio::task_local! {
    static CALLER: Caller;
}

/// For whom a task works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// From where.
    pub source: Source,
    /// In which request.
    pub request_id: Option<RequestId>,
}

/// From where something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A client of the front, or a box.
    Address(IpAddr),
    /// The command line, as this user of the machine.
    CommandLine(u32),
    /// The gateway itself.
    Gateway,
}

impl Source {
    /// This process's command line.
    #[must_use]
    pub fn command_line() -> Self {
        // Owned by the user that the process runs as.
        Self::CommandLine(std::fs::metadata("/proc/self").map_or(u32::MAX, |process| process.uid()))
    }
}

impl From<Source> for Caller {
    fn from(source: Source) -> Self {
        Self { source, request_id: None }
    }
}

impl Caller {
    /// For whom the running task works, if for somebody.
    #[must_use]
    pub fn current() -> Option<Self> {
        CALLER.try_with(Self::clone).ok()
    }

    /// Lets a task that is about to be spawned work for whom this one does.
    pub fn keep<T>(task: impl Future<Output = T>) -> impl Future<Output = T> {
        // No future around the task's own: that would have room for it twice.
        match Self::current() {
            Some(caller) => Either::Left(caller.run(task)),
            None => Either::Right(task),
        }
    }

    /// Does something for this caller.
    pub fn run<T>(self, task: impl Future<Output = T>) -> impl Future<Output = T> {
        CALLER.scope(self, task)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::CommandLine(user) => write!(f, "command line, user {user}"),
            Self::Gateway => write!(f, "gateway"),
        }
    }
}
