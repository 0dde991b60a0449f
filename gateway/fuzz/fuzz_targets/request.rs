//! The headers of a request to the front: cookies, tokens, origins, and what proxies say.

#![no_main]

use gateway::front::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| invariants::request(data));
