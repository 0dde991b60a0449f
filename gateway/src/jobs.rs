//! What is done again and again: forgetting, under a lease, so that one gateway of an installation does it; and
//! looking for what other processes wrote.

use std::time::Duration;

use crate::app::SharedApp;
use crate::changes::Change;
use crate::store::{Head, StoreError};

/// Time between rounds.
const INTERVAL: Duration = Duration::from_secs(10 * 60);

/// The name of the lease.
const LEASE: &str = "forget-expired";

/// Time between looks for what another process wrote, such as `gateway workspace create`.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Tells everyone who watches when another process has written to the store, until the gateway stops.
pub async fn watch_store(app: SharedApp) {
    let (mut known, mut told) = (None, None);
    loop {
        match app.store.foreign_writes().await {
            // Nothing was looked at before.
            Ok(found) if known.is_none() => (known, told) = (Some(found), Some(found)),
            Ok(found) if known != Some(found) => {
                // What could not be followed is looked at again, or whom nobody believes any more would stay.
                let followed = follow(&app).await;
                if followed {
                    known = Some(found);
                }
                if told.replace(found) != Some(found) || followed {
                    app.changes.publish(Change::Anything);
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(error = %berth_daemon::exit::chain(&error), "store not looked at"),
        }
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
    }
}

/// Looks at what decides who may be here. Whether all of it was seen.
async fn follow(app: &SharedApp) -> bool {
    // First whom to believe: links look at it when they hear of the change.
    let trust = app.trust.follow(&app.store, &app.sealer).await;
    if let Err(error) = &trust {
        tracing::error!(error = %berth_daemon::exit::chain(error), "CAs not looked at");
    }
    let boxes = follow_boxes(app).await;
    if let Err(error) = &boxes {
        tracing::warn!(error = %berth_daemon::exit::chain(error), "boxes not looked at");
    }
    trust.is_ok() && boxes.is_ok()
}

/// Cuts boxes that own no workspace any more, and those whose CA was removed. Their links find out by themselves.
async fn follow_boxes(app: &SharedApp) -> Result<(), StoreError> {
    let trusted = app.trust.now();
    let mut owning = app.store.owning_instances().await?;
    owning.retain(|instance| instance.certificate_ca.as_ref().is_none_or(|ca| trusted.trusts(ca)));
    for instance in app.boxes.keep(&owning) {
        tracing::info!(%instance, "box cut off");
        app.terminals.end_instance(&instance);
    }
    Ok(())
}

/// Forgets what has expired, until the gateway stops.
pub async fn forget_again(app: SharedApp) {
    let mut told = None;
    loop {
        for done in [forget(&app).await, tell_head(&app, &mut told).await] {
            if let Err(error) = done {
                tracing::warn!(error = %berth_daemon::exit::chain(&error), "job failed");
            }
        }
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Tells the log how far the audit record goes: whoever writes it anew can't do so there.
async fn tell_head(app: &SharedApp, told: &mut Option<Head>) -> Result<(), StoreError> {
    let head = app.store.audit_head().await?;
    if told.as_ref() != Some(&head) {
        tracing::info!(%head, "audit record");
        *told = Some(head);
    }
    Ok(())
}

async fn forget(app: &SharedApp) -> Result<(), StoreError> {
    if app.store.hold_lease(LEASE, app.gateway.clone(), 2 * INTERVAL).await? {
        app.store.forget_expired().await?;
        let events = app.store.forget_history().await?;
        tracing::debug!(events, "forgot what had expired");
    }
    Ok(())
}
