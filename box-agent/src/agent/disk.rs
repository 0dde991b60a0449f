//! The thread of what runs on the volume.
//!
//! A volume is on a network, and one that is slow stops whoever reads or writes there, to the last `fsync`. So that open
//! terminals go on meanwhile and the gateway hears of it, everything that uses the volume is done on one thread, and door and
//! link on another. Each has a runtime of its own, of a single thread, which passes nothing from processor to processor.

use std::future::pending;
use std::io;
use std::panic::resume_unwind;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

/// The thread. It ends when this is dropped, as soon as no disk keeps it.
pub(super) struct DiskThread {
    runtime: Handle,
    _stop: DropGuard,
}

impl DiskThread {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, stop) = (runtime.handle().clone(), CancellationToken::new());
        let stopped = stop.clone();
        thread::Builder::new().name("disk".to_owned()).spawn(move || {
            runtime.block_on(stopped.cancelled());
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, _stop: stop.drop_guard() })
    }

    /// Does some work there. Dropped, it is broken off.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match AbortOnDropHandle::new(self.runtime.spawn(work)).await {
            Ok(outcome) => outcome,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // Only with its runtime, which ends after everybody who asks here.
                Err(_) => pending().await,
            },
        }
    }

    /// Begins a part of the agent there.
    #[inline(never)]
    pub(super) fn begin<F>(&self, parts: &mut JoinSet<()>, part: impl FnOnce() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        parts.spawn_on(part(), &self.runtime);
    }
}
