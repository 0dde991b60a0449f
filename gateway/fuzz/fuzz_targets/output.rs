//! A box's bytes, as they are or as the payloads of sound frames.

#![no_main]

use gateway::relay::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (choices, cuts, sent) = cuts::split(data);
    if choices & 1 == 0 {
        invariants::output(sent, &cuts);
        return;
    }
    // Lines are messages, and tabs cut them into frames.
    let messages: Vec<Vec<Vec<u8>>> = sent
        .split(|byte| *byte == b'\n')
        .map(|message| message.split(|byte| *byte == b'\t').map(<[u8]>::to_vec).collect())
        .collect();
    invariants::passes_unchanged(&messages, &cuts);
});
