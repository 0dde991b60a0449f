//! Who has to be told what, decided in one transaction: the decision itself is [`crate::notifications::plan`], and here is
//! what it looks at and what becomes of it.

use berth_protocol::attention::Severity;
use berth_protocol::ids::{DeliveryId, NotificationId, SessionId, UserId};
use rusqlite::params;

use super::{FROM, Seen, read_word, rules, see};
use crate::notifications::plan::{
    Displayed, Item, Plan, PlanChannel, Planned, RECENT_MS, STANDING_MS, Situation,
};
use crate::store::transaction::{Tx, parsed, parsed_optional};
use crate::store::{Store, StoreError, now_ms};

/// Items that are thought of at a time; the others are due still.
const AT_ONCE: u32 = 1_000;

impl Store {
    /// Users for whom something has to be decided.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn users_due(&self) -> Result<Vec<UserId>, StoreError> {
        self.transaction(|tx| {
            let sql = "SELECT DISTINCT user_id FROM inbox WHERE due_at_ms <= $1";
            tx.all(sql, [now_ms()], |row| parsed(row, "user_id"))
        })
        .await
    }

    /// When something has to be decided or sent next.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next_due(&self) -> Result<Option<i64>, StoreError> {
        self.transaction(|tx| {
            let sql = "SELECT MIN(due) AS due FROM (
                           SELECT MIN(due_at_ms) AS due FROM inbox
                           UNION ALL
                           SELECT MIN(CASE WHEN leased_until_ms > due_at_ms THEN leased_until_ms
                                           ELSE due_at_ms END)
                           FROM deliveries WHERE state = 'queued') AS dues";
            tx.one(sql, [], |row| row.get("due"))
        })
        .await
    }

    /// Marks as seen what users look at themselves. Whose inboxes changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn looked_at(&self, looked: Vec<(UserId, SessionId)>) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let mut changed = false;
            for (user, session) in looked {
                changed |= see(tx, &user, &Seen::Session(session))? > 0;
            }
            Ok(changed)
        })
        .await
    }

    /// Decides what a user's channels are told now. How many messages were queued.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn plan_for(
        &self,
        user: UserId,
        present: bool,
        decide: impl FnOnce(&Situation) -> Plan + Send + 'static,
    ) -> Result<usize, StoreError> {
        self.transaction(move |tx| {
            let situation = situation(tx, &user, present)?;
            let plan = decide(&situation);
            carry_out(tx, &user, &plan, situation.now_ms)?;
            Ok(plan.messages.len())
        })
        .await
    }
}

fn situation(tx: &Tx<'_>, user: &UserId, present: bool) -> Result<Situation, StoreError> {
    let now = now_ms();
    // Whoever has lost the right to see it is told nothing of it any more.
    tx.execute(
        "UPDATE inbox SET due_at_ms = NULL
         WHERE user_id = $1 AND due_at_ms IS NOT NULL AND NOT EXISTS (
             SELECT 1 FROM notifications
             JOIN workspace_users ON workspace_users.workspace_id = notifications.workspace_id
             WHERE notifications.id = inbox.notification_id AND workspace_users.user_id = $1)",
        [user.as_str()],
    )?;
    let sql = format!(
        "SELECT notifications.id, notifications.session_id, notifications.severity, notifications.signal_ms,
             notifications.created_at_ms, inbox.pushed_at_ms, inbox.escalated_at_ms,
             (inbox.seen_at_ms IS NOT NULL OR notifications.ended_at_ms IS NOT NULL) AS is_over,
             EXISTS (SELECT 1 FROM session_mutes
                     WHERE session_mutes.user_id = inbox.user_id
                         AND session_mutes.session_id = notifications.session_id
                         AND (session_mutes.until_ms IS NULL OR session_mutes.until_ms > $2)) AS is_muted
         {FROM} AND (inbox.due_at_ms IS NOT NULL
             OR (inbox.pushed_at_ms > $3 AND inbox.seen_at_ms IS NULL AND notifications.ended_at_ms IS NULL))
         ORDER BY notifications.seq LIMIT $4"
    );
    let items = tx.all(&sql, params![user.as_str(), now, now - STANDING_MS, AT_ONCE], |row| {
        Ok(Item {
            id: parsed(row, "id")?,
            session: parsed_optional(row, "session_id")?,
            severity: read_word(row, "severity", Severity::Unknown)?,
            signal_ms: row.get("signal_ms")?,
            created_at_ms: row.get("created_at_ms")?,
            pushed_at_ms: row.get("pushed_at_ms")?,
            escalated_at_ms: row.get("escalated_at_ms")?,
            over: row.get("is_over")?,
            muted: row.get("is_muted")?,
        })
    })?;
    let recent = |column: &str| {
        let sql = format!(
            "SELECT DISTINCT {column} AS at FROM inbox WHERE user_id = $1 AND {column} > $2 ORDER BY at"
        );
        tx.all(&sql, params![user.as_str(), now - RECENT_MS], |row| row.get("at"))
    };
    let (pushes, escalations) = (recent("pushed_at_ms")?, recent("escalated_at_ms")?);
    let sql = "SELECT id, kind, escalation FROM channels WHERE user_id = $1 AND state = 'active' ORDER BY id";
    let channels = tx.all(sql, [user.as_str()], |row| {
        let kind: String = row.get("kind")?;
        Ok(PlanChannel {
            id: parsed(row, "id")?,
            escalation: row.get("escalation")?,
            replaces: kind == "web_push",
        })
    })?;
    let sql = "SELECT deliveries.id, deliveries.channel_id, deliveries.tag,
                   NOT EXISTS (
                       SELECT 1 FROM delivery_notifications
                       JOIN notifications ON notifications.id = delivery_notifications.notification_id
                       JOIN inbox ON inbox.notification_id = notifications.id AND inbox.user_id = $1
                       WHERE delivery_notifications.delivery_id = deliveries.id
                           AND inbox.seen_at_ms IS NULL AND notifications.ended_at_ms IS NULL) AS is_over
               FROM deliveries JOIN channels ON channels.id = deliveries.channel_id
               WHERE channels.user_id = $1 AND channels.kind = 'web_push' AND deliveries.what = 'show'
                   AND deliveries.state IN ('accepted', 'shown') AND deliveries.withdrawn_at_ms IS NULL
                   AND deliveries.queued_at_ms > $2";
    let displayed = tx.all(sql, params![user.as_str(), now - STANDING_MS], |row| {
        Ok(Displayed {
            delivery: parsed(row, "id")?,
            channel: parsed(row, "channel_id")?,
            tag: row.get("tag")?,
            over: row.get("is_over")?,
        })
    })?;
    let preferences = rules::preferences(tx, user)?;
    Ok(Situation { now_ms: now, preferences, present, items, pushes, escalations, channels, displayed })
}

fn carry_out(tx: &Tx<'_>, user: &UserId, plan: &Plan, now: i64) -> Result<(), StoreError> {
    let set = |column: &str, ids: &[NotificationId]| -> Result<(), StoreError> {
        let sql = format!("UPDATE inbox SET {column} = $3 WHERE user_id = $1 AND notification_id = $2");
        for id in ids {
            tx.execute(&sql, params![user.as_str(), id.as_str(), now])?;
        }
        Ok(())
    };
    set("pushed_at_ms", &plan.pushed)?;
    set("escalated_at_ms", &plan.escalated)?;
    for (id, due) in &plan.due {
        let sql = "UPDATE inbox SET due_at_ms = $3
                   WHERE user_id = $1 AND notification_id = $2 AND due_at_ms IS DISTINCT FROM $3";
        tx.execute(sql, params![user.as_str(), id.as_str(), due])?;
    }
    for delivery in &plan.withdrawn {
        let sql = "UPDATE deliveries SET withdrawn_at_ms = $2 WHERE id = $1";
        tx.execute(sql, params![delivery.as_str(), now])?;
    }
    plan.messages.iter().try_for_each(|message| queue(tx, message, now))
}

/// Queues a message, in the place of one that waits with the same tag.
pub(in crate::store) fn queue(tx: &Tx<'_>, planned: &Planned, now: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE deliveries SET state = 'dropped', failure = 'replaced'
         WHERE channel_id = $1 AND tag = $2 AND state = 'queued' AND leased_until_ms IS NULL",
        params![planned.channel.as_str(), planned.tag],
    )?;
    let id = DeliveryId::random();
    tx.execute(
        "INSERT INTO deliveries (id, channel_id, what, tag, urgent, state, attempts, due_at_ms, queued_at_ms)
         VALUES ($1, $2, $3, $4, $5, 'queued', 0, $6, $6)",
        params![
            id.as_str(),
            planned.channel.as_str(),
            planned.what.as_str(),
            planned.tag,
            planned.urgent,
            now
        ],
    )?;
    for about in &planned.about {
        tx.execute(
            "INSERT INTO delivery_notifications (delivery_id, notification_id) VALUES ($1, $2)",
            params![id.as_str(), about.as_str()],
        )?;
    }
    Ok(())
}
