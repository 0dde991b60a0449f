//! What ttyd would tell its own client first, said by us.
//!
//! ttyd's title is its command line and the box's host name, and its preferences are the box's; both are cut out of
//! the output. A stock client waits for neither, but shows the title as its window's. A page of ours gets none: it
//! knows which session it shows.

use super::frame::{self, Opcode};
use super::handshake::Mode;

/// The frames with which a client is greeted.
pub fn frames(mode: Mode, title: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if mode == Mode::Tty {
        append_title(&mut out, title);
        frame::append(&mut out, Opcode::Binary, b"2{}", None);
    }
    out
}

/// Appends what ttyd would say for its client's title to be another.
pub fn append_title(out: &mut Vec<u8>, title: &str) {
    frame::append(out, Opcode::Binary, format!("1{title}").as_bytes(), None);
}
