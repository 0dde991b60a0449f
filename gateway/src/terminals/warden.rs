//! Rights end in many ways: a time is up, another gateway or a command line writes to the store, a session is
//! deleted while a terminal of it is being opened. What this gateway does itself it acts on at once; here all the
//! rest is found out, soon.

use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep};

use crate::app::SharedApp;
use crate::changes::Change;
use crate::store::StoreError;

/// Time between looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// Ends terminals whose right has ended, and lets time pass where people meet, until the gateway stops.
pub async fn watch_over(app: SharedApp) {
    let mut changes = app.changes.subscribe();
    loop {
        tokio::select! {
            // Cancel-safe, all: a change that is missed is found at the next look.
            () = app.stopping.cancelled() => return,
            () = sleep(INTERVAL) => {}
            () = doubt(&mut changes) => {}
        }
        app.terminals.sweep_rooms(Instant::now());
        if let Err(error) = end_ended(&app).await {
            tracing::warn!(error = %berth_daemon::exit::chain(&error), "rights not looked at");
        }
    }
}

async fn end_ended(app: &SharedApp) -> Result<(), StoreError> {
    let held = app.terminals.held();
    if !held.is_empty() {
        app.terminals.end_ended(&app.store.ended(held).await?);
    }
    Ok(())
}

/// Waits until something may have ended a right. Never ends once nothing changes any more.
async fn doubt(changes: &mut Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(Change::Anything | Change::SignedOut(_)) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
