//! Faults on purpose, for tests: `BERTH_FAULT=after:<step>` ends the agent as a crash would right after a step of its
//! start, `freeze:<part>` lets a part of it hang. Builds for release know nothing of it.

/// The variable.
const VARIABLE: &str = "BERTH_FAULT";

/// Whether this fault is to happen.
fn wanted(kind: &str, name: &str) -> bool {
    cfg!(debug_assertions)
        && std::env::var(VARIABLE).is_ok_and(|fault| fault.split_once(':') == Some((kind, name)))
}

/// Ends the process, if that is the fault: nothing is tidied up.
pub fn after(step: &str) {
    if wanted("after", step) {
        std::process::abort();
    }
}

/// Never returns, if that is the fault.
pub async fn freeze(part: &str) {
    if wanted("freeze", part) {
        std::future::pending().await
    }
}
