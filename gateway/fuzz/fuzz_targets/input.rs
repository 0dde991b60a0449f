//! A browser's bytes.

#![no_main]

use berth_protocol::door::Role;
use gateway::relay::{Mode, invariants};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (choices, cuts, sent) = cuts::split(data);
    let mode = if choices & 1 == 0 { Mode::Berth } else { Mode::Tty };
    let role = if choices & 2 == 0 { Role::Editor } else { Role::Viewer };
    invariants::input(mode, role, sent, &cuts);
});
