//! Rights to see previews end in many ways: what goes on with one that has ended is found here, soon, and cut.

use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

use crate::app::SharedApp;
use crate::changes::Change;
use crate::store::StoreError;

/// Time between looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// Ends exchanges whose right has ended, and closes what nobody uses, until the gateway stops.
pub async fn watch_over(app: SharedApp) {
    let mut changes = app.changes.subscribe();
    loop {
        tokio::select! {
            // Cancel-safe, all: a change that is missed is found at the next look.
            () = app.stopping.cancelled() => return,
            () = sleep(INTERVAL) => {}
            change = changes.recv() => match change {
                Ok(Change::Anything | Change::SignedOut(_) | Change::Previews(_))
                | Err(RecvError::Lagged(_)) => {}
                Ok(_) => continue,
                Err(RecvError::Closed) => return,
            },
        }
        app.previews.forget();
        app.previews.proxy.sweep();
        app.previews.recent.sweep();
        if let Err(error) = end_ended(&app).await {
            tracing::warn!(error = %berth_daemon::exit::chain(&error), "rights to previews not looked at");
        }
    }
}

async fn end_ended(app: &SharedApp) -> Result<(), StoreError> {
    let held = app.previews.viewers.held();
    if !held.is_empty() {
        app.previews.viewers.end(&app.store.ended_views(held).await?);
    }
    Ok(())
}
