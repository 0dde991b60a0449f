//! Decides what is to be done about sessions, and what is said of them.
//!
//! A desired session that is not there is made, also when it was there before and its user has closed every
//! pane: what is desired runs. One that was lost with its server is rebuilt as it was instead of being made as its
//! template says. Only a tombstone ends one. What runs and is not desired is reported and left
//! alone, because a restored or lagging gateway may simply not know it.

use std::collections::{BTreeMap, BTreeSet};

use berth_protocol::desired::{DesiredSession, DesiredSnapshot};
use berth_protocol::ids::SessionId;
use berth_protocol::observed::{ObservedSession, ObservedState, SessionState};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make this session as its template says.
    Create(DesiredSession),
    /// Make this session as it was when it was lost.
    Rebuild(DesiredSession),
    /// End this one.
    End(SessionId),
}

impl Action {
    /// Whom it is done to.
    #[must_use]
    pub fn session(&self) -> &SessionId {
        match self {
            Self::Create(session) | Self::Rebuild(session) => &session.id,
            Self::End(id) => id,
        }
    }
}

/// What is to be done; `lost` has the sessions that can be rebuilt. Ends come first: they free what new sessions may
/// need.
#[must_use]
pub fn plan(
    desired: Option<&DesiredSnapshot>,
    running: &BTreeSet<SessionId>,
    lost: &BTreeSet<SessionId>,
) -> Vec<Action> {
    let Some(desired) = desired else { return Vec::new() };
    let ends = desired.tombstones.iter().filter(|id| running.contains(id)).cloned().map(Action::End);
    let creates = desired
        .sessions
        .iter()
        .filter(|session| !running.contains(&session.id) && !desired.tombstones.contains(&session.id))
        .cloned()
        .map(|session| match lost.contains(&session.id) {
            true => Action::Rebuild(session),
            false => Action::Create(session),
        });
    ends.chain(creates).collect()
}

/// What is said of the sessions: those that run, and those that could not be made. A message is why one could not
/// be made or ended, or what has happened to it.
#[must_use]
pub fn observe(
    desired: Option<&DesiredSnapshot>,
    running: &BTreeSet<SessionId>,
    messages: &BTreeMap<SessionId, String>,
    presence: &BTreeMap<SessionId, u32>,
) -> ObservedState {
    let wanted: BTreeSet<&SessionId> = desired.iter().flat_map(|all| &all.sessions).map(|s| &s.id).collect();
    let mut sessions: Vec<ObservedSession> = running
        .iter()
        .map(|id| ObservedSession {
            id: id.clone(),
            state: if wanted.contains(id) { SessionState::Running } else { SessionState::Unexpected },
            attachments: presence.get(id).copied().unwrap_or(0),
            message: messages.get(id).cloned(),
        })
        .collect();
    let failed = messages.iter().filter(|(id, _)| !running.contains(id) && wanted.contains(id));
    sessions.extend(failed.map(|(id, message)| ObservedSession {
        id: id.clone(),
        state: SessionState::Failed,
        attachments: 0,
        message: Some(message.clone()),
    }));
    ObservedState { desired: desired.map(|all| all.version.clone()), sessions }
}

#[cfg(test)]
mod tests {
    use berth_protocol::desired::DesiredVersion;
    use berth_protocol::ids::StoreIncarnation;

    use super::*;

    fn desired(sessions: &[&SessionId], tombstones: &[&SessionId]) -> DesiredSnapshot {
        let session = |id: &&SessionId| DesiredSession {
            id: (*id).clone(),
            name: "n".into(),
            template: "default".into(),
        };
        DesiredSnapshot {
            version: DesiredVersion { incarnation: StoreIncarnation::random(), generation: 1 },
            sessions: sessions.iter().map(session).collect(),
            tombstones: tombstones.iter().map(|id| (*id).clone()).collect(),
            environment: None,
            backup: None,
        }
    }

    fn running(ids: &[&SessionId]) -> BTreeSet<SessionId> {
        ids.iter().map(|id| (*id).clone()).collect()
    }

    #[test]
    fn what_is_missing_is_made_and_only_what_is_buried_is_ended() {
        let [wanted, missing, buried, stranger] = std::array::from_fn(|_| SessionId::random());
        let state = desired(&[&wanted, &missing], &[&buried, &SessionId::random()]);
        let actions = plan(Some(&state), &running(&[&wanted, &buried, &stranger]), &running(&[]));
        assert_eq!(actions, [Action::End(buried), Action::Create(state.sessions[1].clone())]);
    }

    #[test]
    fn what_was_lost_is_rebuilt_unless_it_runs_or_is_buried() {
        let [lost, fresh, alive, buried] = std::array::from_fn(|_| SessionId::random());
        let state = desired(&[&lost, &fresh, &alive, &buried], &[&buried]);
        let gone = running(&[&lost, &alive, &buried, &SessionId::random()]);
        let actions = plan(Some(&state), &running(&[&alive]), &gone);
        let [lost, fresh] = [0, 1].map(|index: usize| state.sessions[index].clone());
        assert_eq!(actions, [Action::Rebuild(lost), Action::Create(fresh)]);
    }

    #[test]
    fn without_a_desired_state_nothing_is_done() {
        assert_eq!(plan(None, &running(&[&SessionId::random()]), &running(&[&SessionId::random()])), []);
    }

    #[test]
    fn a_tombstone_outweighs_a_wish() {
        let id = SessionId::random();
        let state = desired(&[&id], &[&id]);
        assert_eq!(plan(Some(&state), &running(&[]), &running(&[&id])), []);
        assert_eq!(plan(Some(&state), &running(&[&id]), &running(&[])), [Action::End(id)]);
    }

    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_do() {
        let (a, b) = (SessionId::random(), SessionId::random());
        let state = desired(&[&a], &[&b]);
        assert_eq!(plan(Some(&state), &running(&[&a]), &running(&[])), []);
    }

    #[test]
    fn every_session_is_said_once_with_its_state() {
        let [fine, failed, stranger, gone] = std::array::from_fn(|_| SessionId::random());
        let state = desired(&[&fine, &failed], &[]);
        let failures = BTreeMap::from([(failed.clone(), "no".to_owned()), (gone, "old".to_owned())]);
        let presence = BTreeMap::from([(fine.clone(), 2)]);
        let observed = observe(Some(&state), &running(&[&fine, &stranger]), &failures, &presence);
        let find = |id: &SessionId| observed.sessions.iter().find(|session| session.id == *id).unwrap();
        assert_eq!(observed.sessions.len(), 3);
        assert_eq!((find(&fine).state, find(&fine).attachments), (SessionState::Running, 2));
        assert_eq!(find(&stranger).state, SessionState::Unexpected);
        assert_eq!(find(&failed).state, SessionState::Failed);
        assert_eq!(find(&failed).message.as_deref(), Some("no"));
        assert_eq!(observed.desired, Some(state.version));
    }
}
