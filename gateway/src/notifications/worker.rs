//! Decides and sends, until the gateway stops.
//!
//! Nothing is kept here that could be lost: what is due, and when, is in the store. Several gateways may run this beside
//! each other: a decision is one transaction, and a message is taken by a lease.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use berth_protocol::ids::{SessionId, UserId};
use tokio::sync::Semaphore;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, timeout};

use super::plan::plan;
use super::target::Target;
use crate::app::SharedApp;
use crate::changes::Change;
use crate::store::{Sent, StoreError, Taken, now_ms};

/// Time between looks at who types where.
const LOOK: Duration = Duration::from_secs(1);

/// How long after a key a user is taken to look at a session.
const TYPED: Duration = Duration::from_secs(20);

/// Messages on their way at the same time.
const AT_ONCE: usize = 16;

/// How long a message is taken for: longer than any attempt.
const LEASE: Duration = Duration::from_secs(60);

/// How long an attempt may take in all.
const ATTEMPT: Duration = Duration::from_secs(30);

/// The longest sleep while something is due: another gateway's clock may differ.
const MAX_SLEEP_MS: i64 = 60_000;

/// The shortest: what is due and can't be done yet must not keep a processor busy.
const MIN_SLEEP_MS: i64 = 20;

/// Pause after the store has failed.
const AFTER_FAILURE_MS: i64 = 5_000;

/// Runs until the gateway stops.
pub async fn run(app: SharedApp) {
    if let Err(error) = app.store.give_up_leases(app.gateway.clone()).await {
        tracing::warn!(error = %berth_daemon::exit::chain(&error), "leases of messages not given up");
    }
    let mut changes = app.changes.subscribe();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut looked = HashSet::new();
    let (mut next_ms, mut news) = (now_ms(), true);
    loop {
        let looking = app.terminals.typed_since(Instant::now(), TYPED);
        let seen = !looking.is_empty() && (news || looking != looked);
        looked = looking;
        if seen || news || next_ms <= now_ms() {
            let looked = if seen { looked.iter().cloned().collect() } else { Vec::new() };
            next_ms = match round(&app, &places, looked).await {
                Ok(next) => next.unwrap_or(i64::MAX).clamp(now_ms() + MIN_SLEEP_MS, now_ms() + MAX_SLEEP_MS),
                Err(error) => {
                    tracing::warn!(error = %berth_daemon::exit::chain(&error), "notifications not looked at");
                    now_ms() + AFTER_FAILURE_MS
                }
            };
        }
        let until_next = u64::try_from(next_ms - now_ms()).map_or(Duration::ZERO, Duration::from_millis);
        news = tokio::select! {
            // Cancel-safe, all: what is due is in the store.
            () = app.stopping.cancelled() => return,
            () = app.notifications.wake.notified() => true,
            () = inbox_changed(&mut changes) => true,
            () = sleep(until_next.min(LOOK)) => false,
        };
    }
}

/// Waits until an inbox may have changed. Never ends once nothing changes any more.
async fn inbox_changed(changes: &mut Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(Change::Anything | Change::Inbox(_)) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Decides what is due and sends as much as may be on its way. When the next is due.
async fn round(
    app: &SharedApp,
    places: &Arc<Semaphore>,
    looked: Vec<(UserId, SessionId)>,
) -> Result<Option<i64>, StoreError> {
    if !looked.is_empty() && app.store.looked_at(looked).await? {
        app.changes.publish(Change::Inbox(None));
    }
    for user in app.store.users_due().await? {
        let present = app.notifications.is_present(&user);
        app.store.plan_for(user, present, plan).await?;
    }
    let free = u32::try_from(places.available_permits()).unwrap_or(u32::MAX);
    if free > 0 {
        for taken in app.store.take_deliveries(app.gateway.clone(), LEASE, free).await? {
            // As many were taken as there are places, and only this task takes any.
            let Ok(place) = places.clone().try_acquire_owned() else { break };
            let shared = app.clone();
            app.tasks.spawn(async move {
                deliver(&shared, taken).await;
                drop(place);
                shared.notifications.wake();
            });
        }
    }
    let next = app.store.next_due().await?;
    // With every place taken, the end of an attempt wakes this up.
    Ok(next.filter(|_| places.available_permits() > 0))
}

async fn deliver(app: &SharedApp, taken: Taken) {
    let opened =
        taken.target_sealed.as_deref().map(|sealed| Target::open(&app.sealer, &taken.channel, sealed));
    let sent = match opened {
        Some(Ok(Some(target))) => {
            let attempt = timeout(ATTEMPT, app.notifications.sender.send(&taken, &target));
            tokio::select! {
                sent = attempt => sent.unwrap_or(Sent::Again {
                    due_at_ms: now_ms() + AFTER_FAILURE_MS,
                    failure: "no answer: it took too long".to_owned(),
                }),
                // The lease is given up at the next start.
                () = app.stopping.cancelled() => return,
            }
        }
        Some(Err(error)) => Sent::Failed { failure: error.to_string() },
        Some(Ok(None)) | None => Sent::Dropped { because: "channel_gone" },
    };
    let (delivery, channel) = (&taken.id, &taken.channel);
    match &sent {
        Sent::Accepted => tracing::debug!(%delivery, %channel, kind = taken.kind, "message accepted"),
        Sent::Dropped { because } => tracing::debug!(%delivery, %channel, because, "message dropped"),
        Sent::Again { failure, .. } | Sent::Failed { failure } | Sent::Gone { failure } => {
            tracing::info!(%delivery, %channel, kind = taken.kind, failure, "message not accepted");
        }
    }
    app.metrics.notifications.sent(&taken, &sent);
    if let Err(error) = app.store.sent(taken.id.clone(), app.gateway.clone(), sent).await {
        tracing::warn!(error = %berth_daemon::exit::chain(&error), "outcome of a message not stored");
    }
}
