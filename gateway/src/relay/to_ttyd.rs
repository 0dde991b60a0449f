//! The only place that writes towards ttyd.
//!
//! ttyd (1.7.7) crashes on an empty message, and with it every terminal of the box; it reassembles fragments
//! without limit. So each function here appends exactly one unfragmented, masked frame, and those that carry a
//! message never an empty one.

use super::frame::{self, Opcode};
use super::size::Size;

/// Appends ttyd's first message, at which it starts its command.
pub fn start(out: &mut Vec<u8>, size: Size) {
    message(out, size.start_message().as_bytes());
}

/// Appends an INPUT message, given with its type byte.
pub fn input(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert_eq!(bytes.first(), Some(&b'0'));
    message(out, bytes);
}

/// Appends a RESIZE message.
pub fn resize(out: &mut Vec<u8>, size: Size) {
    message(out, size.resize_message().as_bytes());
}

/// Appends a ping: its answer tells that ttyd has everything before it.
pub fn ping(out: &mut Vec<u8>, payload: &[u8]) {
    frame::append(out, Opcode::Ping, payload, Some(mask()));
}

/// Appends the answer to a ping with that payload.
pub fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    frame::append(out, Opcode::Pong, payload, Some(mask()));
}

/// Appends a close frame: the terminal ends, tmux's client detaches.
pub fn close(out: &mut Vec<u8>) {
    frame::append_close(out, Some(frame::CLOSE_NORMAL), "", Some(mask()));
}

fn message(out: &mut Vec<u8>, payload: &[u8]) {
    frame::append(out, Opcode::Binary, payload, Some(mask()));
}

/// A mask. It only has to vary: its purpose is to keep a page's script from choosing the bytes that a careless
/// HTTP proxy sees, and between gateway and ttyd there is TLS and a Unix socket but no proxy. A fast generator,
/// seeded by the operating system, is enough.
fn mask() -> [u8; 4] {
    fastrand::u32(..).to_ne_bytes()
}
