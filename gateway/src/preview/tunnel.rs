//! The bytes of a WebSocket, once both sides have agreed to it.

use std::io;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;

use super::hold::Hold;
use super::meters::Meters;

/// Bytes on their way in each direction: a WebSocket of a dev server is mostly silent.
const BUFFER_BYTES: usize = 8 * 1024;

/// Moves bytes until both sides have said all, one breaks, or the exchange has to end.
pub async fn run(browser: OnUpgrade, dev_server: OnUpgrade, hold: Hold, meters: Meters) {
    let moved = async {
        let (browser, dev_server) = tokio::try_join!(browser, dev_server).map_err(io::Error::other)?;
        let (mut browser, mut dev_server) = (TokioIo::new(browser), TokioIo::new(dev_server));
        copy_bidirectional_with_sizes(&mut browser, &mut dev_server, BUFFER_BYTES, BUFFER_BYTES).await
    };
    tokio::select! {
        outcome = moved => match outcome {
            Ok((inward, outward)) => {
                meters.inward_bytes.inc_by(inward);
                meters.outward_bytes.inc_by(outward);
                tracing::debug!(inward, outward, "the WebSocket has ended");
            }
            Err(error) => tracing::debug!(%error, "the WebSocket broke"),
        },
        // Cancel-safe: nothing of either side is used any more.
        () = hold.cancel.cancelled() => tracing::debug!("the WebSocket was cut"),
    }
}
