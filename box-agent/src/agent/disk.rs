//! The thread of what runs on the volume.
//!
//! A volume is on a network, and one that is slow stops whoever reads or writes there, to the last `fsync`. So that open
//! terminals go on meanwhile and the gateway hears of it, everything that uses the volume is done on one thread, and door and
//! link on another. Each has a runtime of its own, of a single thread, which passes nothing from processor to processor.

use std::future::pending;
use std::io;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::unistd::{Pid, gettid};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How long the thread may take to end: a disk that hangs keeps it for longer than anybody waits.
const GRACE: Duration = Duration::from_secs(2);

/// The thread.
pub(super) struct DiskThread {
    runtime: Handle,
    id: Pid,
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl DiskThread {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, stop) = (runtime.handle().clone(), CancellationToken::new());
        let (stopped, (end, ended), (tell, told)) = (stop.clone(), oneshot::channel(), mpsc::channel());
        thread::Builder::new().name("disk".to_owned()).spawn(move || {
            // Nobody asks who has not heard it.
            let _ = tell.send(gettid());
            runtime.block_on(stopped.cancelled());
            // What was begun there is dropped, and programs that it has started end.
            runtime.shutdown_background();
            let _ = end.send(());
        })?;
        let id = told.recv().map_err(io::Error::other)?;
        Ok(Self { runtime: handle, id, stop, ended })
    }

    /// Where work of this thread is begun.
    pub(super) fn handle(&self) -> &Handle {
        &self.runtime
    }

    /// Who can tell whether the thread is stopped by a disk.
    pub(super) fn gauge(&self) -> Gauge {
        Gauge(format!("/proc/self/task/{}/stat", self.id).into())
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

    /// Ends it, and what was begun there and not finished.
    pub(super) async fn end(self) {
        self.stop.cancel();
        if tokio::time::timeout(GRACE, self.ended).await.is_err() {
            tracing::warn!("what runs on the volume did not end: its disk does not answer");
        }
    }
}

/// Tells whether the thread waits for a disk.
pub(super) struct Gauge(PathBuf);

impl Gauge {
    /// Whether it does, so that neither a signal nor the end of this process would free it.
    pub(super) fn is_stuck(&self) -> bool {
        std::fs::read_to_string(&self.0).is_ok_and(|stat| state(&stat) == Some('D'))
    }
}

/// What a thread does, of the line that the kernel writes of it: the state follows its name, which may hold anything.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_for_a_disk_is_told_from_others() {
        assert_eq!(state("4711 (disk) D 1 4711 4711 0 -1"), Some('D'));
        assert_eq!(state("4711 (a) D (b)) S 1 4711 4711 0 -1"), Some('S'));
        assert_eq!(state(""), None);
    }

    #[tokio::test]
    async fn what_is_not_finished_ends_with_the_thread() {
        let disk = DiskThread::start().unwrap();
        assert_eq!(disk.run(async { thread::current().name().map(str::to_owned) }).await.unwrap(), "disk");
        assert!(!disk.gauge().is_stuck());
        let (kept, dropped) = oneshot::channel::<()>();
        let mut parts = JoinSet::new();
        disk.begin(&mut parts, || async move {
            let _kept = kept;
            pending().await
        });
        disk.end().await;
        assert!(dropped.await.is_err(), "it was dropped");
    }
}
