//! The store: the only part of the gateway that knows SQL.
//!
//! SQLite lives on one thread of its own, because its calls block. Each public method is one transaction,
//! and what it returned is on disk. Writes are conditional, so that several gateways could share a store;
//! single-use things are taken by `DELETE ... RETURNING`.
//!
//! | file | tables |
//! |---|---|
//! | `installation` | installation, gateways |
//! | `trust` | certificate_authorities, and what boxes know of them |
//! | `users`, `devices`, `tokens` | users, sign_in_codes, browser_sessions, api_tokens |
//! | `accounts`, `passkeys`, `invites` | passwords, passkeys, passkey_challenges, invites |
//! | `subjects` | issuer_subjects, issuer_flows |
//! | `members`, `organizations` | workspace_members, organizations, organization_members |
//! | `workspaces` | workspaces, workspace_volumes |
//! | `instances`, `ports` | workspace_instances, enrollment_tokens, links |
//! | `sessions`, `attention`, `desired` | sessions |
//! | `environments` | workspace_environments |
//! | `backups` | workspace_backups |
//! | `tickets`, `rights` | terminal_tickets, and what those who were given one still may |
//! | `shares` | shares |
//! | `previews`, `links`, `grants` | previews, preview_links, preview_codes, preview_grants |
//! | `events` | events, event_streams |
//! | `notifications` | notifications, inbox, session_mutes, notification_settings |
//! | `channels`, `deliveries` | channels, deliveries, delivery_notifications, push_keys |
//! | `reseal` | every sealed column |
//! | `leases` | leases |
//! | `audit` | audit, audit_head |

mod accounts;
mod attention;
mod audit;
mod backups;
mod change_seq;
mod channels;
mod deliveries;
mod desired;
mod devices;
mod environments;
mod events;
mod grants;
mod installation;
mod instances;
mod invites;
mod leases;
mod links;
mod members;
mod migrations;
mod notifications;
mod organizations;
mod passkeys;
mod ports;
mod previews;
mod records;
mod reseal;
mod rights;
mod sessions;
mod shares;
mod subjects;
mod tickets;
mod tokens;
mod transaction;
mod trust;
mod users;
mod workspaces;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use data_encoding::HEXLOWER;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use crate::caller::{Caller, Source};

pub use attention::AttentionOutcome;
pub use audit::{AuditEntry, AuditFilter, AuditNote, Broken, Deed, Head, Outcome};
pub use backups::StoredBackup;
pub use channels::{Channel, ChannelChange, LastDelivery, NewChannel};
pub use deliveries::{About, Receipt, Sent, Taken};
pub use desired::{SealedDelta, SealedSnapshot};
pub use devices::{Device, EndDevices};
pub use environments::StoredEnvironment;
pub use events::EventOutcome;
pub use grants::{Entrant, Grant, Granted, Seen, Viewer};
pub use instances::{EnrollOutcome, HelloOutcome, Shown};
pub use invites::{Invite, InvitePlace, NewInvite, Redeemed};
pub use links::PreviewLink;
pub use members::{InvalidRole, Member, MemberRole};
pub(crate) use notifications::word;
pub use notifications::{
    Arrival, Asked, AskedChoice, Inbox, Mute, Notification, Seen as SeenNotifications, Wanted,
};
pub use organizations::Organization;
pub use passkeys::{Ceremony, StoredPasskey};
pub use ports::PortsOutcome;
pub use previews::{Preview, Visibility};
pub use records::{
    Authority, BrowserSession, CurrentUser, Installation, Instance, Session, SessionChange, Workspace,
    WorkspaceView,
};
pub use rights::{Ended, Held, Right};
pub use sessions::ObservedOutcome;
pub use shares::Share;
pub use subjects::{Newcomer, Subject};
pub use tickets::{Holder, TicketFor};
pub use tokens::{ApiToken, InvalidScope, Scope, Scopes};
use transaction::Tx;
pub use trust::{
    Changed as TrustChanged, Refusal as TrustRefusal, SealedAuthority, TrustChange, TrustedSet, TrustingBox,
};
pub use users::{Account, NewSignIn, SignedIn};

/// How many calls may wait for the store's thread before callers wait too.
const QUEUE: usize = 256;

/// Why a call of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is not a database, or a part of it is damaged.
    #[error(
        "the store {0} is damaged: put back a copy of the state directory, or move the file away to begin anew"
    )]
    Damaged(PathBuf),
    /// There is no store yet, and its file can't be made.
    #[error("failed to make the store {path}")]
    NotMade {
        /// The file.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// A newer gateway wrote the schema.
    #[error("the store has schema {found}, and this gateway knows {known}: run the newer gateway")]
    Newer {
        /// The schema found.
        found: i64,
        /// The newest schema known.
        known: i64,
    },
    /// There is no user of that name.
    #[error("there is no user \"{0}\"")]
    NoSuchUser(String),
    /// There is no organisation of that name.
    #[error("there is no organisation \"{0}\"")]
    NoSuchOrganization(String),
    /// The issuer's user is somebody else here.
    #[error("the issuer's user \"{0}\" is linked to another account: unlink that first")]
    SubjectTaken(String),
    /// The name is in use.
    #[error("the name \"{0}\" is taken")]
    NameTaken(String),
    /// The workspace has as many sessions as a workspace may have.
    #[error("the workspace has {0} sessions, and that is as many as it may have: delete one first")]
    TooManySessions(u64),
    /// The session has as many shares as a session may have.
    #[error("the session is shared {0} times, and that is as many as it may be: end one first")]
    TooManyShares(u64),
    /// The port is published already.
    #[error("port {0} has a preview already")]
    PreviewExists(u16),
    /// The workspace has as many previews as a workspace may have.
    #[error("the workspace has {0} previews, and that is as many as it may have: delete one first")]
    TooManyPreviews(u64),
    /// The preview has as many links as a preview may have.
    #[error("the preview has {0} links, and that is as many as it may have: end one first")]
    TooManyLinks(u64),
    /// The user has as many tokens as a user may have.
    #[error("there are {0} tokens, and that is as many as there may be: revoke one first")]
    TooManyTokens(u64),
    /// The user has as many invites as a user may have.
    #[error("there are {0} invites of yours, and that is as many as there may be: take one back first")]
    TooManyInvites(u64),
    /// An invite into what is not its maker's.
    #[error("only an owner of a workspace or an organisation can invite into it")]
    NotTheirs,
    /// It would leave an organisation without an owner.
    #[error("an organisation keeps an owner: make somebody else one first")]
    LastOwner,
    /// The user has as many passkeys as a user may have.
    #[error("there are {0} passkeys, and that is as many as there may be: remove one first")]
    TooManyPasskeys(u64),
    /// The user has as many channels as a user may have.
    #[error("there are {0} channels, and that is as many as a user may have: delete one first")]
    TooManyChannels(u64),
    /// Where backups go is not what it was when the change was begun.
    #[error("where backups go was changed meanwhile: look at what it is now, and change that")]
    BackupChanged,
    /// Somebody else has changed it meanwhile.
    #[error("the environment was changed meanwhile: load it again, and make the change there")]
    EnvironmentChanged,
    /// A number does not fit.
    #[error("{0} is too large to store")]
    TooLarge(u64),
    /// The thread is gone.
    #[error("the store has stopped")]
    Stopped,
    /// SQLite refuses.
    #[error("the store failed")]
    Sqlite(#[from] rusqlite::Error),
}

impl StoreError {
    /// Whether a uniqueness rule was broken.
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Sqlite(rusqlite::Error::SqliteFailure(error, _))
            if error.code == ErrorCode::ConstraintViolation)
    }
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the store's thread.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    /// From where calls come of tasks that work for nobody.
    source: Source,
}

impl Store {
    /// Opens the store in `path`, or makes it, checks it and brings its schema up to date. Two processes must not
    /// make it at once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = connect(path).map_err(|error| match error {
            StoreError::Sqlite(rusqlite::Error::SqliteFailure(cause, _))
                if matches!(cause.code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) =>
            {
                StoreError::Damaged(path.to_owned())
            }
            other => other,
        })?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || work(connection, queue))
            .map_err(|_| StoreError::Stopped)?;
        Ok(Self { jobs, source: Source::command_line() })
    }

    /// The same store, used by a gateway that serves.
    #[must_use]
    pub fn serving(self) -> Self {
        Self { source: Source::Gateway, ..self }
    }

    /// Moves everything into the one database file, so that a stopped gateway's store can be copied as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle(&self) -> Result<(), StoreError> {
        self.run(|connection| {
            // The pragma answers with a row, which says nothing that matters here.
            Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
        })
        .await
    }

    /// A number that changes when another process writes to the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn foreign_writes(&self) -> Result<i64, StoreError> {
        self.transaction(|tx| tx.one("PRAGMA data_version", [], |row| row.get("data_version"))).await
    }

    /// Runs one transaction on the store's thread. It commits when `body` succeeds.
    async fn transaction<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let caller = Caller::current().unwrap_or(self.source.into());
        self.run(move |connection| {
            // Immediate: a transaction never finds out half-way that another process writes.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let tx = Tx(transaction, caller);
            let value = body(&tx)?;
            tx.0.commit()?;
            Ok(value)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // The caller may have gone away; what was done counts all the same.
            let _ = answer.send(body(connection));
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Stopped)?;
        outcome.await.map_err(|_| StoreError::Stopped)?
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    // SQLite takes an empty file for a new database, and everything that was stored would be forgotten.
    match fs::metadata(path) {
        Ok(file) if file.len() == 0 => return Err(StoreError::Damaged(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path)?,
        _ => {}
    }
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // With FULL, a transaction that was reported done survives a power cut, not only a killed process.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(StoreError::Damaged(path.to_owned()));
    }
    migrations::migrate(&mut connection)?;
    Ok(connection)
}

/// Makes the file, never an empty one: begun beside it, since a start may be cut short at any moment.
fn make(path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::NotMade { path: path.to_owned(), source };
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    Connection::open(&new)?.pragma_update(None, "journal_mode", "WAL")?;
    fs::rename(&new, path).map_err(failed)
}

fn work(mut connection: Connection, mut queue: mpsc::Receiver<Job>) {
    while let Some(job) = queue.blocking_recv() {
        job(&mut connection);
    }
}

/// Milliseconds since 1970 by this machine's clock.
#[must_use]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What is stored of a secret that someone else holds.
fn hash(secret: &str) -> String {
    HEXLOWER.encode(&digest(secret))
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn deadline_ms(lifetime: Duration) -> i64 {
    now_ms().saturating_add(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
