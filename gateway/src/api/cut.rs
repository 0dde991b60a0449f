//! An answer's body that goes on for as long as the right to it, and no longer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

/// How long whoever answers may take to say itself that the right to the answer has ended.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// The right to an answer ended while it was given.
#[derive(Debug, thiserror::Error)]
#[error("the right to this answer has ended")]
pub(super) struct RightEnded;

/// A body that breaks off when its right ends, unless it has ended by itself soon after.
pub(super) struct Cut {
    body: Body,
    /// Has the right, too: until the body is done, it is used.
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Cut {
    /// A body, and what is cancelled when the right to it ends.
    pub(super) fn new(body: Body, used: Arc<CancellationToken>) -> Self {
        let over = async move {
            used.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        Self { body, over: Box::pin(over) }
    }
}

impl HttpBody for Cut {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.over.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new(RightEnded))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_breaks_off_with_its_right_and_is_whole_without_that() {
        let right = Arc::new(CancellationToken::new());
        let whole = Cut::new(Body::from("whole"), right.clone());
        assert_eq!(whole.size_hint().exact(), Some(5));
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "whole");
        let mut endless =
            Cut::new(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()), right.clone());
        right.cancel();
        assert!(endless.frame().await.unwrap().is_err());
    }
}
