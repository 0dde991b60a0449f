//! What a message about the desired state makes of the one that is held: pure, and the only place that knows.

use berth_protocol::desired::{DesiredDelta, DesiredSnapshot};

/// A message that speaks of the desired state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// All of it.
    Snapshot(DesiredSnapshot),
    /// What changed.
    Delta(DesiredDelta),
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
pub enum Outcome {
    /// Nothing: the message is older than what is held.
    Stale,
    /// This is the desired state now.
    Changed(DesiredSnapshot),
}

/// The delta does not begin where this box is; everything must be told anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedSnapshot;

/// Applies a message.
///
/// A snapshot of the same incarnation counts from the generation that is held on; one of another incarnation
/// always counts, because a restored gateway may be behind. A delta counts exactly from the generation held.
///
/// # Errors
/// [`NeedSnapshot`] for a delta that can't be applied.
pub fn apply(current: Option<&DesiredSnapshot>, change: Change) -> Result<Outcome, NeedSnapshot> {
    match (current, change) {
        (Some(held), Change::Snapshot(new))
            if held.version.incarnation == new.version.incarnation
                && new.version.generation < held.version.generation =>
        {
            Ok(Outcome::Stale)
        }
        (_, Change::Snapshot(new)) => Ok(Outcome::Changed(new)),
        (None, Change::Delta(_)) => Err(NeedSnapshot),
        (Some(held), Change::Delta(delta)) => {
            if held.version.incarnation != delta.to.incarnation || delta.to.generation <= delta.from {
                Err(NeedSnapshot)
            } else if delta.to.generation <= held.version.generation {
                Ok(Outcome::Stale)
            } else if delta.from == held.version.generation {
                Ok(Outcome::Changed(merge(held, delta)))
            } else {
                Err(NeedSnapshot)
            }
        }
    }
}

fn merge(held: &DesiredSnapshot, delta: DesiredDelta) -> DesiredSnapshot {
    let mut tombstones = held.tombstones.clone();
    for id in delta.tombstones {
        if !tombstones.contains(&id) {
            tombstones.push(id);
        }
    }
    let mut sessions = held.sessions.clone();
    for session in delta.sessions {
        match sessions.iter_mut().find(|known| known.id == session.id) {
            Some(known) => *known = session,
            None => sessions.push(session),
        }
    }
    // Identifiers are never used again, so the end of a session is final.
    sessions.retain(|session| !tombstones.contains(&session.id));
    let environment = delta.environment.or_else(|| held.environment.clone());
    let backup = delta.backup.or_else(|| held.backup.clone());
    DesiredSnapshot { version: delta.to, sessions, tombstones, environment, backup }
}

#[cfg(test)]
mod tests {
    use berth_protocol::desired::{DesiredSession, DesiredVersion};
    use berth_protocol::environment::DesiredEnvironment;
    use berth_protocol::ids::{SessionId, StoreIncarnation};

    use super::*;

    fn session(id: &SessionId, name: &str) -> DesiredSession {
        DesiredSession { id: id.clone(), name: name.into(), template: "default".into() }
    }

    fn version(incarnation: &StoreIncarnation, generation: u64) -> DesiredVersion {
        DesiredVersion { incarnation: incarnation.clone(), generation }
    }

    fn snapshot(incarnation: &StoreIncarnation, generation: u64, ids: &[&SessionId]) -> DesiredSnapshot {
        DesiredSnapshot {
            version: version(incarnation, generation),
            sessions: ids.iter().map(|id| session(id, "s")).collect(),
            tombstones: vec![],
            environment: None,
            backup: None,
        }
    }

    fn delta(incarnation: &StoreIncarnation, from: u64, to: u64) -> DesiredDelta {
        DesiredDelta {
            from,
            to: version(incarnation, to),
            sessions: vec![],
            tombstones: vec![],
            environment: None,
            backup: None,
        }
    }

    #[test]
    fn an_older_snapshot_changes_nothing_and_a_new_incarnation_always_counts() {
        let (inc, restored) = (StoreIncarnation::random(), StoreIncarnation::random());
        let id = SessionId::random();
        let held = snapshot(&inc, 5, &[&id]);
        let apply = |new: &DesiredSnapshot| apply(Some(&held), Change::Snapshot(new.clone())).unwrap();
        assert_eq!(apply(&snapshot(&inc, 4, &[])), Outcome::Stale);
        for new in [snapshot(&inc, 5, &[]), snapshot(&inc, 6, &[]), snapshot(&restored, 1, &[])] {
            assert_eq!(apply(&new), Outcome::Changed(new));
        }
    }

    #[test]
    fn a_delta_counts_exactly_from_the_generation_held() {
        let (inc, other) = (StoreIncarnation::random(), StoreIncarnation::random());
        let held = snapshot(&inc, 5, &[]);
        let try_delta = |delta| apply(Some(&held), Change::Delta(delta));
        assert!(
            matches!(try_delta(delta(&inc, 5, 7)), Ok(Outcome::Changed(new)) if new.version.generation == 7)
        );
        assert_eq!(try_delta(delta(&inc, 3, 5)), Ok(Outcome::Stale));
        assert_eq!(try_delta(delta(&inc, 6, 7)), Err(NeedSnapshot));
        assert_eq!(try_delta(delta(&inc, 4, 7)), Err(NeedSnapshot));
        assert_eq!(try_delta(delta(&other, 5, 7)), Err(NeedSnapshot));
        assert_eq!(try_delta(delta(&inc, 7, 7)), Err(NeedSnapshot));
        assert_eq!(apply(None, Change::Delta(delta(&inc, 0, 1))), Err(NeedSnapshot));
    }

    #[test]
    fn an_environment_stays_until_another_comes() {
        let inc = StoreIncarnation::random();
        let environment = |script: &str| {
            Some(DesiredEnvironment { post_start: Some(script.into()), ..DesiredEnvironment::default() })
        };
        let held = DesiredSnapshot { environment: environment("one"), ..snapshot(&inc, 1, &[]) };
        let after = |delta| match apply(Some(&held), Change::Delta(delta)) {
            Ok(Outcome::Changed(new)) => new.environment,
            other => panic!("{other:?}"),
        };
        assert_eq!(after(delta(&inc, 1, 2)), environment("one"));
        let other = DesiredDelta { environment: environment("two"), ..delta(&inc, 1, 2) };
        assert_eq!(after(other), environment("two"));
    }

    #[test]
    fn a_delta_adds_renames_and_ends_and_an_end_is_final() {
        let inc = StoreIncarnation::random();
        let (kept, ended, added) = (SessionId::random(), SessionId::random(), SessionId::random());
        let held = snapshot(&inc, 1, &[&kept, &ended]);
        let change = DesiredDelta {
            sessions: vec![session(&kept, "renamed"), session(&added, "new")],
            tombstones: vec![ended.clone()],
            ..delta(&inc, 1, 2)
        };
        let Ok(Outcome::Changed(new)) = apply(Some(&held), Change::Delta(change)) else {
            panic!("a delta from here applies")
        };
        assert_eq!(new.sessions, [session(&kept, "renamed"), session(&added, "new")]);
        assert_eq!(new.tombstones, std::slice::from_ref(&ended));
        let again = DesiredDelta { sessions: vec![session(&ended, "back")], ..delta(&inc, 2, 3) };
        let Ok(Outcome::Changed(newer)) = apply(Some(&new), Change::Delta(again)) else {
            panic!("a delta from here applies")
        };
        assert_eq!(newer.sessions, new.sessions);
    }
}
