//! Messages on their way: a queue that outlives every process.
//!
//! A message is taken by a lease and given back with what became of it. When the process that took it dies, the lease
//! runs out, or the same gateway gives it up at its next start, and the message is sent again: at least once.

use std::time::Duration;

use berth_protocol::attention::{Evidence, Reason, Severity};
use berth_protocol::ids::{ChannelId, DeliveryId, GatewayId, NotificationId, SessionId, UserId};
use rusqlite::{Row, params};

use super::notifications::{Asked, read_word};
use super::transaction::{Tx, parsed, parsed_optional, unsigned};
use super::{Store, StoreError, deadline_ms, hash, now_ms};
use crate::auth::new_secret;
use crate::notifications::plan::What;

/// A message that was taken to be sent.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its identifier.
    pub id: DeliveryId,
    /// Where it goes.
    pub channel: ChannelId,
    /// The channel's kind.
    pub kind: String,
    /// Where that leads, sealed.
    pub target_sealed: Option<Vec<u8>>,
    /// Whether the channel carries words of the terminal.
    pub includes_text: bool,
    /// Whose it is.
    pub user: UserId,
    /// What it is.
    pub what: What,
    /// What it replaces.
    pub tag: String,
    /// Whether somebody waits.
    pub urgent: bool,
    /// Which attempt this is, from 1.
    pub attempt: u64,
    /// When it was queued.
    pub queued_at_ms: i64,
    /// By which its receipts come back.
    pub receipt: String,
    /// What it is about, oldest first.
    pub about: Vec<About>,
}

/// What a message is about.
#[derive(Debug, Clone)]
pub struct About {
    /// The notification.
    pub id: NotificationId,
    /// Its session.
    pub session: Option<SessionId>,
    /// The session's name.
    pub session_name: Option<String>,
    /// Its workspace's name.
    pub workspace_name: String,
    /// Why.
    pub reason: Reason,
    /// How much it matters.
    pub severity: Severity,
    /// Where it comes from.
    pub evidence: Evidence,
    /// What to show: inert.
    pub text: String,
    /// What can be answered at once.
    pub question: Option<Asked>,
    /// When the evidence came, by the box's clock.
    pub signal_ms: i64,
    /// When it was stored.
    pub created_at_ms: i64,
    /// Whether it was seen or is no longer true.
    pub over: bool,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The other side has taken it.
    Accepted,
    /// It has to be tried again.
    Again {
        /// When.
        due_at_ms: i64,
        /// Why, in words.
        failure: String,
    },
    /// It will never be taken.
    Failed {
        /// Why, in words.
        failure: String,
    },
    /// There was no reason to send it any more.
    Dropped {
        /// Why, in a word.
        because: &'static str,
    },
    /// The other side does not know the channel any more.
    Gone {
        /// What it said, in words.
        failure: String,
    },
}

/// What a device says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// It is on a screen.
    Shown,
    /// Somebody acted on it.
    Acted,
}

impl Store {
    /// Takes messages that are due, for `lease`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_deliveries(
        &self,
        gateway: GatewayId,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Taken>, StoreError> {
        self.transaction(move |tx| {
            let now = now_ms();
            let ids: Vec<DeliveryId> = tx.all(
                "SELECT id FROM deliveries
                 WHERE state = 'queued' AND due_at_ms <= $1 AND COALESCE(leased_until_ms, 0) <= $1
                 ORDER BY due_at_ms LIMIT $2",
                params![now, limit],
                |row| parsed(row, "id"),
            )?;
            ids.iter().map(|id| take(tx, id, &gateway, deadline_ms(lease))).collect()
        })
        .await
    }

    /// Gives back what this gateway had taken when it ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_up_leases(&self, gateway: GatewayId) -> Result<(), StoreError> {
        self.transaction(move |tx| {
            let sql = "UPDATE deliveries SET leased_by = NULL, leased_until_ms = NULL WHERE leased_by = $1";
            tx.execute(sql, [gateway.as_str()])?;
            Ok(())
        })
        .await
    }

    /// Notes what became of an attempt, unless somebody else has taken the message meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sent(&self, id: DeliveryId, gateway: GatewayId, sent: Sent) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let (state, due, failure) = match &sent {
                Sent::Accepted => ("accepted", None, None),
                Sent::Again { due_at_ms, failure } => ("queued", Some(*due_at_ms), Some(failure.as_str())),
                Sent::Failed { failure } | Sent::Gone { failure } => ("failed", None, Some(failure.as_str())),
                Sent::Dropped { because } => ("dropped", None, Some(*because)),
            };
            let now = now_ms();
            let accepted = (sent == Sent::Accepted).then_some(now);
            let changed: Option<ChannelId> = tx.optional(
                "UPDATE deliveries SET state = $3, due_at_ms = COALESCE($4, due_at_ms), failure = $5,
                     accepted_at_ms = $6, leased_by = NULL, leased_until_ms = NULL
                 WHERE id = $1 AND leased_by = $2 AND state = 'queued' RETURNING channel_id",
                params![id.as_str(), gateway.as_str(), state, due, failure, accepted],
                |row| parsed(row, "channel_id"),
            )?;
            let Some(channel) = changed else { return Ok(false) };
            note_health(tx, &channel, &sent, now)?;
            Ok(true)
        })
        .await
    }

    /// Takes a receipt, each kind once. `None`: it is unknown or used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn receipt(&self, secret: &str, receipt: Receipt) -> Result<Option<ChannelId>, StoreError> {
        let receipt_hash = hash(secret);
        self.transaction(move |tx| {
            let sql = match receipt {
                Receipt::Shown => {
                    "UPDATE deliveries SET shown_at_ms = $2,
                         state = CASE WHEN state IN ('queued', 'accepted') THEN 'shown' ELSE state END,
                         accepted_at_ms = COALESCE(accepted_at_ms, $2)
                     WHERE receipt_hash = $1 AND shown_at_ms IS NULL RETURNING channel_id"
                }
                // Nothing follows it: the secret is good for nothing any more.
                Receipt::Acted => {
                    "UPDATE deliveries SET acted_at_ms = $2, state = 'acted', receipt_hash = NULL,
                         accepted_at_ms = COALESCE(accepted_at_ms, $2), shown_at_ms = COALESCE(shown_at_ms, $2)
                     WHERE receipt_hash = $1 AND acted_at_ms IS NULL RETURNING channel_id"
                }
            };
            let channel: Option<ChannelId> =
                tx.optional(sql, params![receipt_hash, now_ms()], |row| parsed(row, "channel_id"))?;
            let Some(channel) = channel else { return Ok(None) };
            let sql = "UPDATE channels SET shown_at_ms = $2 WHERE id = $1";
            tx.execute(sql, params![channel.as_str(), now_ms()])?;
            Ok(Some(channel))
        })
        .await
    }

    /// The newest key for push services, and its sealed private part.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn push_key(&self) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        self.transaction(|tx| {
            let sql = "SELECT public_key, private_sealed FROM push_keys ORDER BY created_at_ms DESC LIMIT 1";
            tx.optional(sql, [], |row| Ok((row.get("public_key")?, row.get("private_sealed")?)))
        })
        .await
    }

    /// Stores the first key for push services. When another process was faster, its key stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_first_push_key(&self, public: String, sealed: Vec<u8>) -> Result<(), StoreError> {
        self.transaction(move |tx| {
            tx.execute(
                "INSERT INTO push_keys (public_key, private_sealed, created_at_ms)
                 SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM push_keys)",
                params![public, sealed, now_ms()],
            )?;
            Ok(())
        })
        .await
    }
}

fn take(tx: &Tx<'_>, id: &DeliveryId, gateway: &GatewayId, until_ms: i64) -> Result<Taken, StoreError> {
    let receipt = new_secret();
    tx.execute(
        "UPDATE deliveries SET leased_by = $2, leased_until_ms = $3, attempts = attempts + 1, receipt_hash = $4
         WHERE id = $1",
        params![id.as_str(), gateway.as_str(), until_ms, hash(&receipt)],
    )?;
    let mut taken = tx.one(
        "SELECT deliveries.id, deliveries.channel_id, channels.kind, channels.target_sealed,
             channels.includes_text, channels.user_id, deliveries.what, deliveries.tag, deliveries.urgent,
             deliveries.attempts, deliveries.queued_at_ms
         FROM deliveries JOIN channels ON channels.id = deliveries.channel_id WHERE deliveries.id = $1",
        [id.as_str()],
        |row| {
            let what: String = row.get("what")?;
            Ok(Taken {
                id: parsed(row, "id")?,
                channel: parsed(row, "channel_id")?,
                kind: row.get("kind")?,
                target_sealed: row.get("target_sealed")?,
                includes_text: row.get("includes_text")?,
                user: parsed(row, "user_id")?,
                what: What::of(&what),
                tag: row.get("tag")?,
                urgent: row.get("urgent")?,
                attempt: unsigned(row, "attempts")?,
                queued_at_ms: row.get("queued_at_ms")?,
                receipt,
                about: Vec::new(),
            })
        },
    )?;
    // Of what the user may not see any more, nothing is told.
    taken.about = tx.all(
        "SELECT notifications.id, notifications.session_id, sessions.name AS session_name,
             workspaces.name AS workspace_name, notifications.reason, notifications.severity,
             notifications.evidence, notifications.text, notifications.question, notifications.signal_ms,
             notifications.created_at_ms,
             (inbox.seen_at_ms IS NOT NULL OR notifications.ended_at_ms IS NOT NULL) AS is_over
         FROM delivery_notifications
         JOIN notifications ON notifications.id = delivery_notifications.notification_id
         JOIN inbox ON inbox.notification_id = notifications.id AND inbox.user_id = $2
         JOIN workspace_users ON workspace_users.workspace_id = notifications.workspace_id
             AND workspace_users.user_id = $2
         JOIN workspaces ON workspaces.id = notifications.workspace_id
         LEFT JOIN sessions ON sessions.id = notifications.session_id
         WHERE delivery_notifications.delivery_id = $1 ORDER BY notifications.seq",
        params![id.as_str(), taken.user.as_str()],
        about,
    )?;
    Ok(taken)
}

fn about(row: &Row<'_>) -> rusqlite::Result<About> {
    let question: Option<String> = row.get("question")?;
    Ok(About {
        id: parsed(row, "id")?,
        session: parsed_optional(row, "session_id")?,
        session_name: row.get("session_name")?,
        workspace_name: row.get("workspace_name")?,
        reason: read_word(row, "reason", Reason::Unknown)?,
        severity: read_word(row, "severity", Severity::Unknown)?,
        evidence: read_word(row, "evidence", Evidence::Unknown)?,
        text: row.get("text")?,
        question: question.and_then(|text| serde_json::from_str(&text).ok()),
        signal_ms: row.get("signal_ms")?,
        created_at_ms: row.get("created_at_ms")?,
        over: row.get("is_over")?,
    })
}

/// Keeps in mind how a channel does.
fn note_health(tx: &Tx<'_>, channel: &ChannelId, sent: &Sent, now: i64) -> Result<(), StoreError> {
    match sent {
        Sent::Accepted => {
            let sql = "UPDATE channels SET accepted_at_ms = $2, failure = NULL, failures = 0 WHERE id = $1";
            tx.execute(sql, params![channel.as_str(), now])?;
        }
        Sent::Again { failure, .. } | Sent::Failed { failure } => {
            tx.execute(
                "UPDATE channels SET failed_at_ms = $2, failure = $3, failures = failures + 1 WHERE id = $1",
                params![channel.as_str(), now, failure],
            )?;
        }
        Sent::Gone { failure } => {
            // Its secrets are of no use to anybody.
            tx.execute(
                "UPDATE channels SET state = 'gone', target_sealed = NULL, failed_at_ms = $2, failure = $3,
                     failures = failures + 1
                 WHERE id = $1",
                params![channel.as_str(), now, failure],
            )?;
            tx.execute(
                "UPDATE deliveries SET state = 'dropped', failure = 'channel_gone'
                 WHERE channel_id = $1 AND state = 'queued'",
                [channel.as_str()],
            )?;
        }
        Sent::Dropped { .. } => {}
    }
    Ok(())
}
