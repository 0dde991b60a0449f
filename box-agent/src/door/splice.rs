//! Moves the bytes of a `CONNECT` stream until both sides have said all.
//!
//! close_notify is half-close and is passed on as such. A connection that just breaks is an error on its side,
//! and both sides are dropped.

use std::io;

use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::server::DoorStream;

/// Bytes on their way in each direction. Small, because a terminal is mostly silent and there may be many.
const BUFFER_BYTES: usize = 8 * 1024;

/// What the door's connections are to hyper.
pub type DoorIo = TokioIo<DoorStream>;

/// Moves bytes between a gateway's stream and `target`. Returns how many went in and out.
///
/// # Errors
/// When a side breaks.
pub async fn splice<T>(upgraded: Upgraded, mut target: T) -> io::Result<(u64, u64)>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    match upgraded.downcast::<DoorIo>() {
        Ok(Parts { io, read_buf, .. }) => {
            // What came behind the request's head is the stream's beginning.
            target.write_all(&read_buf).await?;
            let (inward, outward) = copy(io.into_inner(), target).await?;
            Ok((inward + read_buf.len() as u64, outward))
        }
        // Another kind of connection carries the same bytes, a little slower.
        Err(upgraded) => copy(TokioIo::new(upgraded), target).await,
    }
}

async fn copy<A, B>(mut gateway: A, mut target: B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    tokio::io::copy_bidirectional_with_sizes(&mut gateway, &mut target, BUFFER_BYTES, BUFFER_BYTES).await
}
