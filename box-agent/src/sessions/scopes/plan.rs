//! Decides which processes go into which session's scope.

use std::collections::BTreeMap;

use berth_protocol::ids::SessionId;
use nix::unistd::Uid;

use crate::host::cgroup::Kinship;

/// Processes of one move: a pane that has more keeps the rest where they are.
const MAX_PROCESSES: usize = 256;

/// The name of a session's scope.
#[must_use]
pub fn scope_of(session: &SessionId) -> String {
    format!("berth-session-{session}.scope")
}

/// The session that a scope is of.
#[must_use]
pub fn session_of(scope: &str) -> Option<SessionId> {
    scope.strip_prefix("berth-session-")?.strip_suffix(".scope")?.parse().ok()
}

/// The panes' first processes that are not where they belong, by their sessions, and whether others of the session
/// are. Which process is a pane's is tmux's claim; `is_in` looks where it really is.
#[must_use]
pub fn misplaced(
    panes: &BTreeMap<SessionId, Vec<i32>>,
    is_in: impl Fn(i32, &str) -> bool,
) -> BTreeMap<SessionId, (bool, Vec<i32>)> {
    let mut sessions = BTreeMap::new();
    for (session, pids) in panes {
        let scope = scope_of(session);
        let (inside, outside): (Vec<i32>, Vec<i32>) = pids.iter().partition(|pid| is_in(**pid, &scope));
        if !outside.is_empty() {
            sessions.insert(session.clone(), (!inside.is_empty(), outside));
        }
    }
    sessions
}

/// What the first processes of a session's panes have started and what is not where they are. A process that lives
/// for a moment may be gone before it can be moved, so these are moved after the first ones and for themselves.
/// Only processes of `user` are moved, because tmux is that user's and could name any.
#[must_use]
pub fn stragglers(
    first: &[i32],
    processes: &[Kinship],
    user: Uid,
    is_in_scope: impl Fn(i32) -> bool,
) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for process in processes.iter().filter(|process| process.user == user) {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut family = Vec::new();
    let mut open: Vec<i32> = first.to_vec();
    while let Some(pid) = open.pop() {
        // What the first ones started, and not they themselves; nobody is counted twice.
        for child in children.remove(&pid).into_iter().flatten() {
            family.push(child);
            open.push(child);
        }
    }
    family.retain(|pid| !is_in_scope(*pid));
    family.truncate(MAX_PROCESSES);
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Uid = Uid::from_raw(1000);

    fn process(pid: i32, parent: i32, user: Uid) -> Kinship {
        Kinship { pid, parent, user }
    }

    #[test]
    fn a_scope_is_named_by_its_session_and_nothing_else_is_one() {
        let id = SessionId::random();
        assert_eq!(session_of(&scope_of(&id)), Some(id.clone()));
        for name in ["berth-session-.scope", "berth-session-x.scope", "session-1.scope", id.as_str()] {
            assert_eq!(session_of(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_where_it_belongs_is_left_alone() {
        let [whole, new, grown] = std::array::from_fn(|_| SessionId::random());
        let panes = BTreeMap::from([
            (whole.clone(), vec![1, 2]),
            (new.clone(), vec![3, 4]),
            (grown.clone(), vec![5, 6]),
        ]);
        let scope = scope_of(&grown);
        let is_in = |pid, unit: &str| pid <= 2 || (pid == 5 && unit == scope);
        let found = misplaced(&panes, is_in);
        assert_eq!(found, BTreeMap::from([(new, (false, vec![3, 4])), (grown, (true, vec![6]))]));
    }

    #[test]
    fn what_a_pane_has_started_follows_it() {
        let processes = [
            process(10, 1, USER),
            process(11, 10, USER),
            process(12, 11, USER),
            process(13, 10, USER),
            process(20, 1, USER),
            process(21, 20, USER),
            process(30, 1, USER),
        ];
        let mut pids = stragglers(&[10, 20], &processes, USER, |pid| pid == 13);
        pids.sort_unstable();
        assert_eq!(pids, [11, 12, 21]);
    }

    #[test]
    fn nobody_elses_process_is_moved_whatever_tmux_claims() {
        let root = Uid::from_raw(0);
        let processes =
            [process(1, 0, root), process(10, 1, USER), process(11, 10, root), process(12, 11, USER)];
        assert!(stragglers(&[10], &processes, USER, |_| false).is_empty());
        assert!(stragglers(&[99], &processes, USER, |_| false).is_empty());
    }

    #[test]
    fn a_pane_that_forks_without_end_is_moved_in_part() {
        let processes: Vec<_> = (2..2000).map(|pid| process(pid, pid - 1, USER)).collect();
        assert_eq!(stragglers(&[2], &processes, USER, |_| false).len(), MAX_PROCESSES);
        // A circle, which there can't be, is no reason to go on for ever.
        let circle = [process(2, 3, USER), process(3, 2, USER)];
        assert_eq!(stragglers(&[2], &circle, USER, |_| false).len(), 2);
    }
}
