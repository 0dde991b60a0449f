//! The bytes of a WebSocket, once both sides have agreed to it.

use std::io;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::hold::Hold;
use super::meters::Meters;

/// How long one side may go on when the other has said all. Both close a WebSocket at once.
const LINGER: Duration = Duration::from_secs(5);

/// Moves bytes until both sides have said all, one breaks, or the exchange has to end.
pub async fn run(browser: OnUpgrade, dev_server: OnUpgrade, hold: Hold, meters: Meters) {
    let half_done = Notify::new();
    let moved = async {
        let (browser, dev_server) = tokio::try_join!(browser, dev_server).map_err(io::Error::other)?;
        let (from_browser, to_browser) = split(TokioIo::new(browser));
        let (from_dev_server, to_dev_server) = split(TokioIo::new(dev_server));
        tokio::try_join!(
            pass(from_browser, to_dev_server, &meters.inward_bytes, &half_done),
            pass(from_dev_server, to_browser, &meters.outward_bytes, &half_done),
        )
    };
    let lingered = async {
        half_done.notified().await;
        sleep(LINGER).await;
    };
    tokio::select! {
        outcome = moved => match outcome {
            Ok(_) => tracing::debug!("the WebSocket has ended"),
            Err(error) => tracing::debug!(%error, "the WebSocket broke"),
        },
        // Cancel-safe, both: nothing of either side is used any more.
        () = lingered => tracing::debug!("one side of the WebSocket did not end"),
        () = hold.cancel.cancelled() => tracing::debug!("the WebSocket was cut"),
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    bytes: &Counter,
    half_done: &Notify,
) -> io::Result<()> {
    let moved = copy(&mut from, &mut to).await;
    half_done.notify_one();
    bytes.inc_by(moved?);
    to.shutdown().await
}
