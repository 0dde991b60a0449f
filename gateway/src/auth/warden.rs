//! Rights by which requests are answered end in many ways: what goes on by one that has ended is found here, soon, and
//! cut.

use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

use crate::app::SharedApp;
use crate::changes::Change;
use crate::store::StoreError;

/// Time between looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// Ends answers whose right has ended, until the gateway stops.
pub async fn watch_over(app: SharedApp) {
    let mut changes = app.changes.subscribe();
    loop {
        tokio::select! {
            // Cancel-safe, all: a change that is missed is found at the next look.
            () = app.stopping.cancelled() => return,
            () = sleep(INTERVAL) => {}
            change = changes.recv() => match change {
                Ok(Change::Anything | Change::SignedOut(_)) | Err(RecvError::Lagged(_)) => {}
                Ok(_) => continue,
                Err(RecvError::Closed) => return,
            },
        }
        if let Err(error) = end_ended(&app).await {
            tracing::warn!(error = %berth_daemon::exit::chain(&error), "rights to answers not looked at");
        }
    }
}

async fn end_ended(app: &SharedApp) -> Result<(), StoreError> {
    let held = app.rights.held();
    if !held.is_empty() {
        app.rights.end(&app.store.ended_rights(held).await?);
    }
    Ok(())
}
