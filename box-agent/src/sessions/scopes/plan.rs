//! Decides which processes go into which session's scope.

use std::collections::{BTreeMap, BTreeSet};

use berth_protocol::ids::SessionId;
use nix::unistd::Uid;

use crate::host::cgroup::Kinship;

/// Processes of one move: a pane that has more keeps the rest where they are.
const MAX_PROCESSES: usize = 256;

/// The processes that go into the scope of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The session.
    pub session: SessionId,
    /// Whether the scope is there already.
    pub exists: bool,
    /// The processes.
    pub pids: Vec<i32>,
}

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

/// The moves: what is misplaced with all that it has started. Only processes of `user` are moved, because tmux is
/// that user's and could name any.
#[must_use]
pub fn plan(
    misplaced: &BTreeMap<SessionId, (bool, Vec<i32>)>,
    processes: &[Kinship],
    user: Uid,
) -> Vec<Move> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let mut own = BTreeSet::new();
    for process in processes.iter().filter(|process| process.user == user) {
        children.entry(process.parent).or_default().push(process.pid);
        own.insert(process.pid);
    }
    let family = |roots: &[i32]| {
        let mut pids: Vec<i32> = Vec::new();
        let mut open: Vec<i32> = roots.iter().copied().filter(|pid| own.contains(pid)).rev().collect();
        while let Some(pid) = open.pop() {
            if pids.len() < MAX_PROCESSES && !pids.contains(&pid) {
                pids.push(pid);
                open.extend(children.get(&pid).into_iter().flatten());
            }
        }
        pids
    };
    let moves = misplaced.iter().map(|(session, (exists, pids))| Move {
        session: session.clone(),
        exists: *exists,
        pids: family(pids),
    });
    moves.filter(|wanted| !wanted.pids.is_empty()).collect()
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
    fn a_pane_moves_with_all_that_it_has_started() {
        let id = SessionId::random();
        let processes = [
            process(10, 1, USER),
            process(11, 10, USER),
            process(12, 11, USER),
            process(13, 10, USER),
            process(20, 1, USER),
            process(30, 1, USER),
        ];
        let moves = plan(&BTreeMap::from([(id.clone(), (false, vec![10, 20]))]), &processes, USER);
        let mut pids = moves[0].pids.clone();
        pids.sort_unstable();
        assert_eq!((moves.len(), moves[0].exists, pids), (1, false, vec![10, 11, 12, 13, 20]));
    }

    #[test]
    fn nobody_elses_process_is_moved_whatever_tmux_claims() {
        let id = SessionId::random();
        let root = Uid::from_raw(0);
        let processes =
            [process(1, 0, root), process(10, 1, USER), process(11, 10, root), process(12, 11, USER)];
        let claimed = |pids| plan(&BTreeMap::from([(id.clone(), (true, pids))]), &processes, USER);
        assert_eq!(claimed(vec![1]), []);
        assert_eq!(claimed(vec![99]), []);
        assert_eq!(claimed(vec![10, 11])[0].pids, [10]);
    }

    #[test]
    fn a_pane_that_forks_without_end_is_moved_in_part() {
        let id = SessionId::random();
        let processes: Vec<_> = (2..2000).map(|pid| process(pid, pid - 1, USER)).collect();
        let moves = plan(&BTreeMap::from([(id, (false, vec![2]))]), &processes, USER);
        assert_eq!(moves[0].pids.len(), MAX_PROCESSES);
    }
}
