//! Buffers that all terminals of a thread share.
//!
//! A buffer of its own would be most of what an idle terminal costs. None is needed: within one poll bytes are
//! read, looked at and written, and what is left over goes to the terminal's own, exactly sized buffers. So a
//! thread has one set, borrowed for the length of a closure that never awaits.

use std::cell::RefCell;

/// Bytes that are read at once.
pub const READ_SIZE: usize = 64 * 1024;

/// The shared buffers. Their content is another terminal's unless the borrower wrote it.
pub struct Scratch {
    /// To read into.
    pub read: Box<[u8]>,
    /// To put frames together in; empty when borrowed.
    pub frames: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        RefCell::new(Scratch { read: vec![0; READ_SIZE].into(), frames: Vec::new() });
}

/// Lends this thread's buffers.
pub fn with<R>(borrow: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.frames.clear();
        borrow(scratch)
    })
}
