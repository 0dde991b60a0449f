//! The agent's database on the volume: events on their way to the gateway, and the last desired state.
//!
//! SQLite blocks, so one thread owns the connection and everybody else has a [`Store`], which sends it
//! closures. What is written has reached the disk when a call returns (`synchronous=FULL`).
//!
//! | module | what |
//! |---|---|
//! | [`schema`] | opening, and the migrations |
//! | [`outbox`] | events |
//! | [`attention`] | what the user was told of panes, and hooks |
//! | [`desired`] | the desired state |
//! | [`backups`] | runs of backups, and what is remembered of them |

pub mod attention;
pub mod backups;
pub mod desired;
pub mod outbox;
pub mod schema;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

/// Calls that may wait: callers are few, and each waits for its answer.
const QUEUE: usize = 64;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is no database, or a damaged one.
    #[error(
        "the agent's database {path} is damaged: move it away and start again; projects and sessions are not \
         touched, only reports that were not yet delivered are lost"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says, when it says something.
        source: Option<rusqlite::Error>,
    },
    /// A newer agent wrote it.
    #[error(
        "the agent's database {path} is of a newer agent (version {found}, this one knows {known}): install that \
         agent, or move the file away"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this build knows.
        known: i64,
    },
    /// The file system or SQLite refuses.
    #[error("failed to use the agent's database {path}: check that the volume has space and is writable")]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// It takes longer than anybody can wait.
    #[error("the agent's database does not answer: the volume that it is on may hang")]
    Slow,
    /// The thread can't be started.
    #[error("failed to start the database's thread")]
    Thread(#[source] std::io::Error),
    /// The thread is gone: the agent is stopping.
    #[error("the agent's database is closed")]
    Closed,
}

type Job = Box<dyn FnOnce(&mut Connection) -> ControlFlow<()> + Send>;

/// A way to the database's thread.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
    jobs: mpsc::Sender<Job>,
}

impl Store {
    /// Opens the database at `path`, and makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = schema::open(path)?;
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                while let Some(job) = queue.blocking_recv() {
                    if job(&mut connection).is_break() {
                        break;
                    }
                }
                // In this order: that the queue is gone says that the file is closed.
                drop(connection);
                drop(queue);
            })
            .map_err(StoreError::Thread)?;
        Ok(Self { path: path.to_owned(), jobs })
    }

    /// Brings everything into the one file, so that a copy of it is whole. Done at a clean stop.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        self.job(|connection| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))).await
    }

    /// Writes a copy that is whole, whatever is written meanwhile. Nothing may be at `path`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_string_lossy().into_owned();
        self.job(move |connection| connection.execute("VACUUM INTO ?1", [path]).map(drop)).await
    }

    /// Writes what is there already, to see whether the database works.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn try_writing(&self) -> Result<(), StoreError> {
        self.call(schema::rewrite_version).await
    }

    /// Closes the database, for all who have a way to it: what they ask from now on fails. Its file is not open any
    /// more when this returns.
    pub async fn close(&self) {
        // One that is closed already takes no job.
        let _ = self.jobs.send(Box::new(|_| ControlFlow::Break(()))).await;
        self.jobs.closed().await;
    }

    /// Runs one transaction on the database's thread.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.job(|connection| {
            let transaction = connection.transaction()?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
        .await
    }

    async fn job<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // A caller that has gone has no use for the outcome.
            let _ = answer.send(work(connection));
            ControlFlow::Continue(())
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        let outcome = answered.await.map_err(|_| StoreError::Closed)?;
        outcome.map_err(|source| StoreError::Failed { path: self.path.clone(), source })
    }
}
