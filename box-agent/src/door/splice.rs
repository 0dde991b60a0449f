//! Moves the bytes of a `CONNECT` stream until both sides have said all.
//!
//! close_notify is half-close and is passed on as such. A connection that just breaks is an error on its side,
//! and both sides are dropped.

use std::io;

use futures_util::future::BoxFuture;
use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::copy::Copy;
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

/// Moves bytes between a gateway's stream and `target`; how many went in and out. Boxed: it is what an idle terminal
/// consists of, and whoever awaited it in place would have room for more than one.
///
/// # Errors
/// When a side breaks.
pub fn splice<T>(
    upgraded: Upgraded,
    target: T,
    manner: Manner,
) -> io::Result<BoxFuture<'static, io::Result<(u64, u64)>>>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match upgraded.downcast::<DoorIo>() {
        Ok(Parts { io, read_buf, .. }) => {
            let mut gateway = io.into_inner();
            if manner == Manner::Bulk {
                loosen(&mut gateway, manner.piece())?;
            }
            // What came behind the request's head is the stream's beginning. It is copied: however little it is, it
            // keeps the buffer that the head was read into.
            Ok(Box::pin(Copy::new(gateway, target, &read_buf, manner.piece())))
        }
        // Another kind of connection carries the same bytes, a little slower.
        Err(upgraded) => Ok(Box::pin(Copy::new(TokioIo::new(upgraded), target, &[], manner.piece()))),
    }
}
