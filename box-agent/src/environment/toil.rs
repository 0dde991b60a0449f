//! The task that does what takes its time.

use std::sync::Arc;

use berth_protocol::environment::DesiredEnvironment;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::board::Board;

/// Clones and runs, until `stop`.
pub async fn run(
    board: Arc<Board>,
    wishes: watch::Receiver<Option<DesiredEnvironment>>,
    stop: CancellationToken,
) {
    let _ = (board, wishes);
    stop.cancelled().await;
}
