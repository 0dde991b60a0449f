//! Which pane a caller is in: by its terminal, by its forebears, by its session's scope. What it says itself counts only
//! where that does not contradict it.

use berth_protocol::ids::SessionId;

use super::HookMessage;
use crate::host::cgroup::is_in_unit;
use crate::host::foreground::{device_of, parent_of, terminal_of};
use crate::sessions::scopes::plan::scope_of;
use crate::terminal::survey::{SeenPane, Survey};

/// Forebears that are looked at.
const MAX_FOREBEARS: usize = 64;

/// The pane of the process `pid`, which the kernel named.
#[must_use]
pub fn pane_of(pid: i32, message: &HookMessage, survey: &Survey) -> Option<u32> {
    by_terminal(terminal_of(pid), survey)
        .or_else(|| by_forebears(pid, survey))
        .or_else(|| by_claim(message.pane, survey, |session| is_in_unit(pid, &scope_of(session))))
}

/// The pane of a process that is gone: by what it said, if there is such a pane.
#[must_use]
pub fn pane_by_words(message: &HookMessage, survey: &Survey) -> Option<u32> {
    by_terminal(message.tty, survey).or_else(|| by_claim(message.pane, survey, |_| true))
}

fn by_terminal(terminal: Option<u64>, survey: &Survey) -> Option<u32> {
    let terminal = terminal?;
    panes(survey).find(|(_, pane)| device_of(&pane.tty) == Some(terminal))?.1.number()
}

fn by_forebears(pid: i32, survey: &Survey) -> Option<u32> {
    let forebears = std::iter::successors(Some(pid), |pid| parent_of(*pid).filter(|parent| *parent > 1));
    forebears.take(MAX_FOREBEARS).find_map(|pid| panes(survey).find(|(_, pane)| pane.pid == pid)?.1.number())
}

/// A claim counts for a pane of a session whose scope the caller is in; where there are no scopes, nothing speaks
/// against it but that a program of the same user may always say what it likes.
fn by_claim(claim: Option<u32>, survey: &Survey, belongs: impl Fn(&SessionId) -> bool) -> Option<u32> {
    let claim = claim?;
    let (session, _) = panes(survey).find(|(_, pane)| pane.number() == Some(claim))?;
    (!has_scopes() || belongs(session)).then_some(claim)
}

/// Whether sessions have scopes of their own here.
fn has_scopes() -> bool {
    std::path::Path::new("/run/systemd/system").exists() && nix::unistd::Uid::effective().is_root()
}

fn panes(survey: &Survey) -> impl Iterator<Item = (&SessionId, &SeenPane)> {
    survey.iter().flat_map(|(session, seen)| seen.panes().map(move |pane| (session, pane)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::signal::HookSignal;
    use crate::terminal::survey::tests::{pane, session, window};

    fn message(pane: Option<u32>, tty: Option<u64>) -> HookMessage {
        HookMessage { id: String::new(), pane, tty, said: HookSignal::Started }
    }

    fn survey(pane: SeenPane) -> Survey {
        Survey::from([(SessionId::random(), session("s", vec![window("@1", vec![pane])]))])
    }

    #[test]
    fn a_forebear_that_is_a_panes_first_process_says_which() {
        let own = i32::try_from(std::process::id()).unwrap();
        let mut first = pane("%7");
        first.pid = nix::unistd::getppid().as_raw();
        assert_eq!(by_forebears(own, &survey(first)), Some(7));
        let mut other = pane("%7");
        other.pid = -1;
        assert_eq!(by_forebears(own, &survey(other)), None);
    }

    #[test]
    fn a_claim_counts_for_panes_that_there_are_alone() {
        assert_eq!(pane_by_words(&message(Some(7), None), &survey(pane("%7"))), Some(7));
        assert_eq!(pane_by_words(&message(Some(8), None), &survey(pane("%7"))), None);
        assert_eq!(pane_by_words(&message(None, None), &survey(pane("%7"))), None);
    }
}
