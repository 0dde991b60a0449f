//! Moves the bytes of a `CONNECT` stream until both sides have said all.
//!
//! close_notify is half-close and is passed on as such. A connection that just breaks is an error on its side,
//! and both sides are dropped.

use std::io;

use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::copy::copy;
use super::listener::loosen;
use super::server::DoorStream;

/// What the door's connections are to hyper.
pub type DoorIo = TokioIo<DoorStream>;

/// How a stream's bytes are to travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// A terminal's: little is on its way at a time, for what is on its way can only get old.
    Fresh,
    /// A program's: as many at a time as there are.
    Bulk,
}

impl Manner {
    /// Bytes that are moved at once.
    fn piece(self) -> usize {
        match self {
            Self::Fresh => 8 * 1024,
            Self::Bulk => 64 * 1024,
        }
    }
}

/// Moves bytes between a gateway's stream and `target`. Returns how many went in and out.
///
/// # Errors
/// When a side breaks.
pub async fn splice<T>(upgraded: Upgraded, mut target: T, manner: Manner) -> io::Result<(u64, u64)>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    match upgraded.downcast::<DoorIo>() {
        Ok(Parts { io, read_buf, .. }) => {
            let mut gateway = io.into_inner();
            if manner == Manner::Bulk {
                loosen(&mut gateway, manner.piece())?;
            }
            // What came behind the request's head is the stream's beginning.
            target.write_all(&read_buf).await?;
            let (inward, outward) = copy(gateway, target, manner.piece()).await?;
            Ok((inward + read_buf.len() as u64, outward))
        }
        // Another kind of connection carries the same bytes, a little slower.
        Err(upgraded) => copy(TokioIo::new(upgraded), target, manner.piece()).await,
    }
}
