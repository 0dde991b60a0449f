//! Events of boxes: stored once, in order, together with the high-water mark of their stream.

use std::time::Duration;

use berth_protocol::event::{Dropped, Event, Telemetry};
use berth_protocol::ids::{InstanceId, StreamId, WorkspaceId};
use rusqlite::params;

use super::change_seq::count_change;
use super::instances::link_counts;
use super::notifications::{self, Arrival};
use super::transaction::{Tx, signed, unsigned};
use super::{Store, StoreError, now_ms};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long telemetry is kept.
const TELEMETRY_KEPT: Duration = DAY.saturating_mul(7);

/// How long everything else that happened on boxes is kept, tombstones included.
const HISTORY_KEPT: Duration = DAY.saturating_mul(90);

/// What became of an event or of a note that events were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOutcome {
    /// Everything up to this number is stored, or known never to come.
    Stored(u64),
    /// Numbers are missing before it; everything up to this one is stored.
    Gap(u64),
    /// A newer link has begun, or the stream is another instance's; nothing was stored.
    Refused,
}

impl Store {
    /// Stores an event, unless it is stored already, and what it means for inboxes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_event(
        &self,
        workspace: WorkspaceId,
        instance: InstanceId,
        link_epoch: u64,
        event: Event,
    ) -> Result<(EventOutcome, Option<Arrival>), StoreError> {
        self.transaction(move |tx| {
            let Some(stored) = high_water(tx, &instance, link_epoch, &event.id.stream)? else {
                return Ok((EventOutcome::Refused, None));
            };
            if event.id.seq <= stored {
                return Ok((EventOutcome::Stored(stored), None));
            }
            if event.id.seq > stored + 1 {
                return Ok((EventOutcome::Gap(stored), None));
            }
            tx.execute(
                "INSERT INTO events
                     (stream, seq, workspace_id, instance_id, kind, at_ms, received_at_ms, payload)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                params![
                    event.id.stream.as_str(),
                    signed(event.id.seq)?,
                    workspace.as_str(),
                    instance.as_str(),
                    event.kind,
                    event.at_ms,
                    now_ms(),
                    event.payload.to_string()
                ],
            )?;
            raise(tx, &event.id.stream, event.id.seq)?;
            if event.kind == Telemetry::KIND {
                tx.execute(
                    "UPDATE workspace_instances SET telemetry = $2 WHERE id = $1",
                    params![instance.as_str(), event.payload.to_string()],
                )?;
                count_change(tx, &workspace)?;
            }
            let arrival = notifications::arrive(tx, &workspace, &event)?;
            Ok((EventOutcome::Stored(event.id.seq), arrival))
        })
        .await
    }

    /// Notes that events will never come.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_dropped(
        &self,
        instance: InstanceId,
        link_epoch: u64,
        dropped: Dropped,
    ) -> Result<EventOutcome, StoreError> {
        self.transaction(move |tx| {
            let Some(stored) = high_water(tx, &instance, link_epoch, &dropped.stream)? else {
                return Ok(EventOutcome::Refused);
            };
            if dropped.from > stored + 1 {
                return Ok(EventOutcome::Gap(stored));
            }
            if dropped.to <= stored {
                return Ok(EventOutcome::Stored(stored));
            }
            raise(tx, &dropped.stream, dropped.to)?;
            Ok(EventOutcome::Stored(dropped.to))
        })
        .await
    }

    /// Forgets telemetry after a week and everything else after a quarter: events, and tombstones of sessions
    /// that are gone. High-water marks stay: without them an old copy of an outbox could tell its events again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_history(&self) -> Result<usize, StoreError> {
        self.transaction(move |tx| {
            let sql = "DELETE FROM events WHERE received_at_ms < $1 OR (kind = $2 AND received_at_ms < $3)";
            let old = params![before_ms(HISTORY_KEPT), Telemetry::KIND, before_ms(TELEMETRY_KEPT)];
            let events = tx.execute(sql, old)?;
            tx.execute("DELETE FROM sessions WHERE gone_at_ms < $1", [before_ms(HISTORY_KEPT)])?;
            tx.execute("DELETE FROM notifications WHERE created_at_ms < $1", [before_ms(HISTORY_KEPT)])?;
            tx.execute("DELETE FROM deliveries WHERE queued_at_ms < $1", [before_ms(HISTORY_KEPT)])?;
            Ok(events)
        })
        .await
    }
}

/// The last number stored of a stream, 0 for a new one; `None` when this link may not write to it.
fn high_water(
    tx: &Tx<'_>,
    instance: &InstanceId,
    link_epoch: u64,
    stream: &StreamId,
) -> Result<Option<u64>, StoreError> {
    if !link_counts(tx, instance, link_epoch)? {
        return Ok(None);
    }
    // A volume moves from instance to instance of its workspace, and its outbox with it.
    tx.execute(
        "INSERT INTO event_streams (stream, instance_id, stored_seq) VALUES ($1, $2, 0)
         ON CONFLICT (stream) DO NOTHING",
        params![stream.as_str(), instance.as_str()],
    )?;
    tx.optional(
        "SELECT stored_seq FROM event_streams
         JOIN workspace_instances AS writer ON writer.id = event_streams.instance_id
         JOIN workspace_instances AS sender ON sender.workspace_id = writer.workspace_id
         WHERE stream = $1 AND sender.id = $2",
        params![stream.as_str(), instance.as_str()],
        |row| unsigned(row, "stored_seq"),
    )
}

fn before_ms(kept: Duration) -> i64 {
    now_ms().saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX))
}

fn raise(tx: &Tx<'_>, stream: &StreamId, to: u64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE event_streams SET stored_seq = $2 WHERE stream = $1",
        params![stream.as_str(), signed(to)?],
    )?;
    Ok(())
}
