//! The sessions as people at the machine see them.

use berth_protocol::attention::{Activity, ObservedAttention};
use berth_protocol::desired::DesiredSnapshot;
use berth_protocol::ids::SessionId;
use berth_protocol::observed::{ObservedState, SessionState};
use serde::{Deserialize, Serialize};

use crate::terminal::survey::Survey;

/// Sessions of one report, at most: it is one line of a socket.
const MAX_SESSIONS: usize = 100;

/// Characters of a message.
const MAX_MESSAGE: usize = 200;

/// One session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReport {
    /// The session.
    pub id: SessionId,
    /// What its owner calls it; nothing when nobody asked for it.
    pub name: Option<String>,
    /// How it is.
    pub state: SessionState,
    /// Its panes, in all windows.
    pub panes: usize,
    /// Terminals attached to it.
    pub attachments: u32,
    /// Seconds since somebody typed or came.
    pub idle_secs: Option<u64>,
    /// What is to be said of it.
    pub message: Option<String>,
    /// What it is doing, as far as that is known.
    #[serde(default)]
    pub activity: Option<Activity>,
}

/// Everything that is known; `now_secs` counts since 1970, as tmux does.
#[must_use]
pub fn report(
    desired: Option<&DesiredSnapshot>,
    observed: Option<&ObservedState>,
    survey: &Survey,
    attention: Option<&ObservedAttention>,
    now_secs: i64,
) -> Vec<SessionReport> {
    let name = |id: &SessionId| {
        let session = desired?.sessions.iter().find(|session| session.id == *id)?;
        Some(session.name.clone())
    };
    let sessions = observed.iter().flat_map(|observed| &observed.sessions).take(MAX_SESSIONS);
    sessions
        .map(|session| {
            let seen = survey.get(&session.id);
            SessionReport {
                id: session.id.clone(),
                name: name(&session.id),
                state: session.state,
                panes: seen.map_or(0, |seen| seen.panes().count()),
                attachments: session.attachments,
                // A clock that was set back is no reason for a negative time.
                idle_secs: seen.map(|seen| u64::try_from(now_secs - seen.activity).unwrap_or_default()),
                activity: attention.and_then(|board| activity(board, &session.id)),
                message: session.message.as_ref().map(|text| text.chars().take(MAX_MESSAGE).collect()),
            }
        })
        .collect()
}

fn activity(board: &ObservedAttention, session: &SessionId) -> Option<Activity> {
    let line = board.sessions.iter().find(|line| line.session == *session)?;
    Some(line.belief.activity)
}

#[cfg(test)]
mod tests {
    use berth_protocol::attention::{Belief, Evidence, SessionAttention};
    use berth_protocol::desired::{DesiredSession, DesiredVersion};
    use berth_protocol::ids::StoreIncarnation;
    use berth_protocol::observed::ObservedSession;

    use super::*;
    use crate::terminal::survey::tests::{pane, session, window};

    #[test]
    fn sessions_are_told_with_all_that_is_known_of_them() {
        let [runs, failed] = std::array::from_fn(|_| SessionId::random());
        let wanted = DesiredSession { id: runs.clone(), name: "work".into(), template: "default".into() };
        let desired = DesiredSnapshot {
            version: DesiredVersion { incarnation: StoreIncarnation::random(), generation: 1 },
            sessions: vec![wanted],
            environment: None,
            backup: None,
            tombstones: vec![],
        };
        let observed = |id: &SessionId, state, message: Option<&str>| ObservedSession {
            id: id.clone(),
            state,
            attachments: 2,
            message: message.map(Into::into),
        };
        let observed = ObservedState {
            desired: None,
            sessions: vec![
                observed(&runs, SessionState::Running, None),
                observed(&failed, SessionState::Failed, Some("no")),
            ],
        };
        let mut seen = session("s", vec![window("@1", vec![pane("%1"), pane("%2")])]);
        seen.activity = 1000;
        let survey = Survey::from([(runs.clone(), seen)]);
        let belief = Belief {
            activity: Activity::WaitingForApproval,
            evidence: Evidence::Hook,
            confidence: 98,
            since_ms: 1,
        };
        let line = SessionAttention { session: runs, belief, panes: vec![] };
        let board = ObservedAttention { sessions: vec![line] };
        let told = report(Some(&desired), Some(&observed), &survey, Some(&board), 1060);
        let activities: Vec<_> = told.iter().map(|session| session.activity).collect();
        assert_eq!(activities, [Some(Activity::WaitingForApproval), None]);
        assert_eq!((told[0].name.as_deref(), told[0].panes, told[0].idle_secs), (Some("work"), 2, Some(60)));
        assert_eq!((told[1].name.as_deref(), told[1].panes, told[1].idle_secs), (None, 0, None));
        assert_eq!(told[1].message.as_deref(), Some("no"));
        // A day back, and a day on.
        let idle = |now| report(None, Some(&observed), &survey, None, now)[0].idle_secs;
        assert_eq!((idle(1060 - 86_400), idle(1060 + 86_400)), (Some(0), Some(86_460)));
        assert!(report(Some(&desired), None, &survey, None, 0).is_empty());
    }
}
