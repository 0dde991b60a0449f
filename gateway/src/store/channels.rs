//! Channels: the ways by which users are told outside of the console. Where they lead is sealed.

use berth_protocol::ids::{ChannelId, UserId};
use rusqlite::{Row, params};

use super::notifications::queue;
use super::transaction::{Tx, parsed, unsigned};
use super::{Store, StoreError, hash, now_ms};
use crate::notifications::plan::{Planned, What};

/// Channels that a user may have.
const MAX_CHANNELS: u64 = 20;

const COLUMNS: &str = "id, kind, name, shown, target_sealed, escalation, includes_text, state, created_at_ms,
     accepted_at_ms, shown_at_ms, failed_at_ms, failure, failures";

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its identifier.
    pub id: ChannelId,
    /// `web_push`, `ntfy` or `webhook`.
    pub kind: String,
    /// What its user calls it.
    pub name: String,
    /// Where it leads, as much of it as people may see.
    pub shown: String,
    /// Whether it is told only what was not seen in time.
    pub escalation: bool,
    /// Whether it carries words of the terminal.
    pub includes_text: bool,
    /// `active`, `off`, or `gone` when the other side does not know it any more.
    pub state: String,
    /// When it was made.
    pub created_at_ms: i64,
    /// When a message was last accepted.
    pub accepted_at_ms: Option<i64>,
    /// When a message was last shown, as far as the channel tells.
    pub shown_at_ms: Option<i64>,
    /// When a message last failed.
    pub failed_at_ms: Option<i64>,
    /// Why, in words.
    pub failure: Option<String>,
    /// How often since the last success.
    pub failures: u64,
    /// The newest message.
    pub last: Option<LastDelivery>,
}

/// The newest message to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDelivery {
    /// `show`, `withdraw` or `test`.
    pub what: String,
    /// `queued`, `accepted`, `shown`, `acted`, `failed` or `dropped`.
    pub state: String,
    /// When it was queued.
    pub queued_at_ms: i64,
    /// When the channel took it.
    pub accepted_at_ms: Option<i64>,
    /// When it was on a screen.
    pub shown_at_ms: Option<i64>,
    /// When somebody acted on it.
    pub acted_at_ms: Option<i64>,
    /// Why it failed or was dropped.
    pub failure: Option<String>,
}

/// A channel to make.
#[derive(Debug)]
pub struct NewChannel {
    /// Its kind.
    pub kind: &'static str,
    /// What its user calls it.
    pub name: String,
    /// Where it leads, as much of it as people may see.
    pub shown: String,
    /// Where it leads: two channels of a user never have the same.
    pub address: String,
    /// Whether it is told only what was not seen in time.
    pub escalation: bool,
    /// Whether it carries words of the terminal.
    pub includes_text: bool,
}

/// Changes to a channel.
#[derive(Debug, Default)]
pub struct ChannelChange {
    /// What its user calls it.
    pub name: Option<String>,
    /// Whether it is told only what was not seen in time.
    pub escalation: Option<bool>,
    /// Whether it carries words of the terminal.
    pub includes_text: Option<bool>,
    /// Whether it is told anything.
    pub on: Option<bool>,
}

impl Store {
    /// Makes a channel, or renews the one that leads to the same place. `seal` makes the sealed target for its id.
    ///
    /// # Errors
    /// [`StoreError::TooManyChannels`].
    pub async fn put_channel(
        &self,
        user: UserId,
        new: NewChannel,
        seal: impl FnOnce(&ChannelId) -> Vec<u8> + Send + 'static,
    ) -> Result<Channel, StoreError> {
        let target_hash = hash(&format!("{} {}", new.kind, new.address));
        self.transaction(move |tx| {
            let sql = "SELECT id FROM channels WHERE user_id = $1 AND target_hash = $2";
            let known: Option<ChannelId> =
                tx.optional(sql, params![user.as_str(), target_hash], |row| parsed(row, "id"))?;
            if known.is_none() {
                let sql = "SELECT COUNT(*) AS n FROM channels WHERE user_id = $1";
                if tx.one(sql, [user.as_str()], |row| unsigned(row, "n"))? >= MAX_CHANNELS {
                    return Err(StoreError::TooManyChannels(MAX_CHANNELS));
                }
            }
            let id = known.unwrap_or_else(ChannelId::random);
            let sql = format!(
                "INSERT INTO channels (id, user_id, kind, name, shown, target_sealed, target_hash, escalation,
                     includes_text, state, created_at_ms, failures)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'active', $10, 0)
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, shown = excluded.shown,
                     target_sealed = excluded.target_sealed, escalation = excluded.escalation,
                     includes_text = excluded.includes_text, state = 'active', failures = 0, failure = NULL
                 RETURNING {COLUMNS}"
            );
            let values = params![
                id.as_str(),
                user.as_str(),
                new.kind,
                new.name,
                new.shown,
                seal(&id),
                target_hash,
                new.escalation,
                new.includes_text,
                now_ms()
            ];
            tx.one(&sql, values, channel)
        })
        .await
    }

    /// A user's channels, oldest first, each with its newest message.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn channels_of(&self, user: UserId) -> Result<Vec<Channel>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM channels WHERE user_id = $1 ORDER BY created_at_ms, id");
            let found = tx.all(&sql, [user.as_str()], channel)?;
            found.into_iter().map(|one| with_last(tx, one)).collect()
        })
        .await
    }

    /// A user's channel.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn channel(&self, user: UserId, id: ChannelId) -> Result<Option<Channel>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM channels WHERE user_id = $1 AND id = $2");
            let found = tx.optional(&sql, params![user.as_str(), id.as_str()], channel)?;
            found.map(|one| with_last(tx, one)).transpose()
        })
        .await
    }

    /// Changes a channel. One that is gone stays so: only making it anew helps. `None`: there is no such channel.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_channel(
        &self,
        id: ChannelId,
        change: ChannelChange,
    ) -> Result<Option<Channel>, StoreError> {
        self.transaction(move |tx| {
            let state = change.on.map(|on| if on { "active" } else { "off" });
            let sql = format!(
                "UPDATE channels SET name = COALESCE($2, name), escalation = COALESCE($3, escalation),
                     includes_text = COALESCE($4, includes_text),
                     state = CASE WHEN state = 'gone' THEN state ELSE COALESCE($5, state) END
                 WHERE id = $1 RETURNING {COLUMNS}"
            );
            let values = params![id.as_str(), change.name, change.escalation, change.includes_text, state];
            let found = tx.optional(&sql, values, channel)?;
            if change.on == Some(false) {
                tx.execute(
                    "UPDATE deliveries SET state = 'dropped', failure = 'channel_off'
                     WHERE channel_id = $1 AND state = 'queued'",
                    [id.as_str()],
                )?;
            }
            found.map(|one| with_last(tx, one)).transpose()
        })
        .await
    }

    /// Deletes a channel with all that was to be sent there. `false`: there is no such channel.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_channel(&self, id: ChannelId) -> Result<bool, StoreError> {
        self.transaction(move |tx| Ok(tx.execute("DELETE FROM channels WHERE id = $1", [id.as_str()])? > 0))
            .await
    }

    /// Queues a message by which the user tries a channel.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn test_channel(&self, id: ChannelId) -> Result<(), StoreError> {
        self.transaction(move |tx| {
            let test = Planned {
                channel: id,
                what: What::Test,
                tag: What::Test.as_str().to_owned(),
                urgent: true,
                about: Vec::new(),
            };
            queue(tx, &test, now_ms())
        })
        .await
    }
}

fn with_last(tx: &Tx<'_>, mut channel: Channel) -> Result<Channel, StoreError> {
    let sql = "SELECT what, state, queued_at_ms, accepted_at_ms, shown_at_ms, acted_at_ms, failure
               FROM deliveries WHERE channel_id = $1 ORDER BY queued_at_ms DESC, id LIMIT 1";
    channel.last = tx.optional(sql, [channel.id.as_str()], |row| {
        Ok(LastDelivery {
            what: row.get("what")?,
            state: row.get("state")?,
            queued_at_ms: row.get("queued_at_ms")?,
            accepted_at_ms: row.get("accepted_at_ms")?,
            shown_at_ms: row.get("shown_at_ms")?,
            acted_at_ms: row.get("acted_at_ms")?,
            failure: row.get("failure")?,
        })
    })?;
    Ok(channel)
}

fn channel(row: &Row<'_>) -> rusqlite::Result<Channel> {
    Ok(Channel {
        id: parsed(row, "id")?,
        kind: row.get("kind")?,
        name: row.get("name")?,
        shown: row.get("shown")?,
        escalation: row.get("escalation")?,
        includes_text: row.get("includes_text")?,
        state: row.get("state")?,
        created_at_ms: row.get("created_at_ms")?,
        accepted_at_ms: row.get("accepted_at_ms")?,
        shown_at_ms: row.get("shown_at_ms")?,
        failed_at_ms: row.get("failed_at_ms")?,
        failure: row.get("failure")?,
        failures: unsigned(row, "failures")?,
        last: None,
    })
}
