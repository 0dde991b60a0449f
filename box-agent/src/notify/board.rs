//! The status board: what is believed of each session, by the pane that needs its user most.

use std::collections::BTreeMap;

use berth_protocol::attention::{
    Activity, Belief, MAX_OBSERVED, ObservedAttention, PaneAttention, SessionAttention,
};
use berth_protocol::ids::SessionId;

/// The board of these panes.
#[must_use]
pub fn board(panes: impl IntoIterator<Item = (SessionId, PaneAttention)>) -> ObservedAttention {
    let mut sessions: BTreeMap<SessionId, Vec<PaneAttention>> = BTreeMap::new();
    for (session, pane) in panes {
        sessions.entry(session).or_default().push(pane);
    }
    let session = |(session, mut panes): (SessionId, Vec<PaneAttention>)| {
        panes.sort_by_key(|pane| (pane.pane.window, pane.pane.index));
        let belief = belief(&panes)?;
        panes.truncate(MAX_OBSERVED);
        Some(SessionAttention { session, belief, panes })
    };
    ObservedAttention { sessions: sessions.into_iter().filter_map(session).take(MAX_OBSERVED).collect() }
}

fn belief(panes: &[PaneAttention]) -> Option<Belief> {
    // Of several the one that has needed the user longest.
    let most = panes.iter().max_by_key(|pane| (need(pane.belief.activity), -pane.belief.since_ms))?;
    Some(most.belief.clone())
}

/// How much an activity needs the user.
fn need(activity: Activity) -> u8 {
    match activity {
        Activity::WaitingForApproval => 7,
        Activity::WaitingForInput => 6,
        Activity::Failed => 5,
        Activity::Done => 4,
        Activity::Working => 3,
        Activity::Idle => 2,
        Activity::Gone | Activity::Unknown => 1,
    }
}

#[cfg(test)]
mod tests {
    use berth_protocol::attention::{Evidence, PaneRef};

    use super::*;

    fn pane(index: u32, activity: Activity, since_ms: i64) -> PaneAttention {
        let belief = Belief { activity, evidence: Evidence::Hook, confidence: 90, since_ms };
        PaneAttention { pane: PaneRef { id: index, window: 0, index }, belief }
    }

    #[test]
    fn a_session_is_what_its_neediest_pane_is() {
        let [one, other] = std::array::from_fn(|_| SessionId::random());
        let board = board([
            (one.clone(), pane(2, Activity::Idle, 1)),
            (one.clone(), pane(1, Activity::WaitingForApproval, 9)),
            (one.clone(), pane(0, Activity::WaitingForApproval, 5)),
            (other.clone(), pane(0, Activity::Working, 3)),
        ]);
        let said = |id: &SessionId| board.sessions.iter().find(|session| session.session == *id).unwrap();
        assert_eq!(
            (said(&one).belief.activity, said(&one).belief.since_ms),
            (Activity::WaitingForApproval, 5)
        );
        assert_eq!(said(&other).belief.activity, Activity::Working);
        let indexes: Vec<u32> = said(&one).panes.iter().map(|pane| pane.pane.index).collect();
        assert_eq!(indexes, [0, 1, 2]);
    }
}
