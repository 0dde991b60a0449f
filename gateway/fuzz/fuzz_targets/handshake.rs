//! The headers of a browser's upgrade, or ttyd's answer to ours.

#![no_main]

use gateway::relay::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (choices, cuts, sent) = cuts::split(data);
    if choices & 1 == 0 {
        invariants::upgrade(sent);
    } else {
        invariants::answer(sent, &cuts);
    }
});
