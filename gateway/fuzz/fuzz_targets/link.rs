//! A message of a link, in either direction, or an enrolment.

#![no_main]

use gateway::links::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| invariants::message(data));
