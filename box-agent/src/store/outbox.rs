//! Events that the gateway has not yet said to have stored.
//!
//! The outbox is bounded. When it is full the oldest telemetry gives way first; a row that says so takes its
//! place, so that the gateway learns of the gap in order. Neighbouring gaps become one.

use berth_protocol::event::{Dropped, Event, EventId, Telemetry};
use berth_protocol::ids::{InstanceId, StreamId};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Store, StoreError};

/// How much the outbox holds at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Events.
    pub events: u64,
    /// Bytes of payload.
    pub bytes: u64,
}

impl Default for Bounds {
    /// A week of telemetry.
    fn default() -> Self {
        Self { events: 10_000, bytes: 16 * 1024 * 1024 }
    }
}

/// One thing to tell the gateway, with its place in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place: entries are sent in this order.
    pub id: i64,
    /// What it is.
    pub item: Item,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Something happened.
    Event(Event),
    /// Something happened and will not be told.
    Dropped(Dropped),
}

impl Item {
    /// The stream that it belongs to.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        match self {
            Self::Event(event) => &event.id.stream,
            Self::Dropped(dropped) => &dropped.stream,
        }
    }

    /// The last number that it speaks of.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        match self {
            Self::Event(event) => event.id.seq,
            Self::Dropped(dropped) => dropped.to,
        }
    }
}

/// How full the outbox is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    /// Events in it.
    pub events: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

const COLUMNS: &str = "id, stream, seq, last_seq, kind, instance, at_ms, payload";

impl Store {
    /// Adds an event and makes room for it if need be.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn append(&self, event: &Event, bounds: Bounds) -> Result<Fill, StoreError> {
        let event = event.clone();
        self.call(move |tx| append(tx, &event, bounds)).await
    }

    /// The entries after place `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entries_after(&self, after: i64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.call(move |tx| {
            let mut statement = tx.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM outbox WHERE id > ?1 ORDER BY id LIMIT ?2"
            ))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            statement.query_map(params![after, limit], entry)?.collect()
        })
        .await
    }

    /// The first entry of a stream that speaks of a number above `stored`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn first_beyond(&self, stream: &StreamId, stored: u64) -> Result<Option<Entry>, StoreError> {
        let stream = stream.clone();
        self.call(move |tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM outbox WHERE stream = ?1 AND last_seq > ?2 ORDER BY seq LIMIT 1"
            );
            tx.query_row(&sql, params![stream.as_str(), stored], entry).optional()
        })
        .await
    }

    /// Forgets what the gateway has stored: everything of a stream up to `seq`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn acknowledge(&self, stream: &StreamId, seq: u64) -> Result<Fill, StoreError> {
        let stream = stream.clone();
        self.call(move |tx| {
            tx.execute(
                "DELETE FROM outbox WHERE stream = ?1 AND last_seq <= ?2",
                params![stream.as_str(), seq],
            )?;
            fill(tx)
        })
        .await
    }
}

/// Adds an event within a transaction.
pub(super) fn append(tx: &Transaction<'_>, event: &Event, bounds: Bounds) -> rusqlite::Result<Fill> {
    tx.execute(
        "INSERT INTO outbox (stream, seq, last_seq, kind, instance, at_ms, payload)
         VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6)",
        params![
            event.id.stream.as_str(),
            event.id.seq,
            event.kind,
            event.instance.as_str(),
            event.at_ms,
            event.payload.to_string()
        ],
    )?;
    let mut fill = fill(tx)?;
    while fill.events > bounds.events || fill.bytes > bounds.bytes {
        if !drop_one(tx)? {
            break;
        }
        fill = self::fill(tx)?;
    }
    Ok(fill)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let unreadable = |column, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let stream: StreamId =
        row.get::<_, String>(1)?.parse().map_err(|error| unreadable(1, Box::new(error)))?;
    let (seq, last_seq): (u64, u64) = (row.get(2)?, row.get(3)?);
    let item = match row.get::<_, Option<String>>(4)? {
        None => Item::Dropped(Dropped { stream, from: seq, to: last_seq }),
        Some(kind) => {
            let instance: InstanceId =
                row.get::<_, String>(5)?.parse().map_err(|error| unreadable(5, Box::new(error)))?;
            let payload = serde_json::from_str(&row.get::<_, String>(7)?)
                .map_err(|error| unreadable(7, Box::new(error)))?;
            Item::Event(Event { id: EventId { stream, seq }, instance, kind, at_ms: row.get(6)?, payload })
        }
    };
    Ok(Entry { id: row.get(0)?, item })
}

fn fill(tx: &Transaction<'_>) -> rusqlite::Result<Fill> {
    tx.query_row(
        "SELECT count(*), coalesce(sum(length(CAST(payload AS BLOB))), 0) FROM outbox WHERE kind IS NOT NULL",
        [],
        |row| Ok(Fill { events: row.get(0)?, bytes: row.get(1)? }),
    )
}

/// Drops one event: the oldest telemetry, or else the oldest of all. Says whether there was one.
fn drop_one(tx: &Transaction<'_>) -> rusqlite::Result<bool> {
    let victim = tx
        .query_row(
            "SELECT id, stream, seq FROM outbox WHERE kind IS NOT NULL ORDER BY kind <> ?1, id LIMIT 1",
            [Telemetry::KIND],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, u64>(2)?)),
        )
        .optional()?;
    let Some((id, stream, seq)) = victim else { return Ok(false) };
    let mut gap = (seq, seq);
    // A gap just before or after is joined, so that a long time offline leaves one row and not thousands.
    for (sql, joined) in [
        ("SELECT seq, id FROM outbox WHERE stream = ?1 AND last_seq = ?2 - 1 AND kind IS NULL", true),
        ("SELECT last_seq, id FROM outbox WHERE stream = ?1 AND seq = ?2 + 1 AND kind IS NULL", false),
    ] {
        let neighbour = tx
            .query_row(sql, params![stream, seq], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        if let Some((end, neighbour)) = neighbour {
            if joined {
                gap.0 = end
            } else {
                gap.1 = end
            }
            tx.execute("DELETE FROM outbox WHERE id = ?1", [neighbour])?;
        }
    }
    tx.execute(
        "UPDATE outbox SET seq = ?2, last_seq = ?3, kind = NULL, payload = '' WHERE id = ?1",
        params![id, gap.0, gap.1],
    )?;
    Ok(true)
}

#[cfg(test)]
mod tests;
