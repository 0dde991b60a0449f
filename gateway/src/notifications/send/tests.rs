use berth_protocol::attention::{Evidence, Reason, Severity};
use berth_protocol::ids::{ChannelId, DeliveryId, NotificationId, SessionId, UserId};

use super::*;
use crate::notifications::words::words;
use crate::store::{About, Asked, AskedChoice};

fn about(session: &str, reason: Reason) -> About {
    About {
        id: NotificationId::random(),
        session: Some(SessionId::random()),
        session_name: Some(session.to_owned()),
        workspace_name: "main".into(),
        reason,
        severity: Severity::Warning,
        evidence: Evidence::Bell,
        text: "rm -rf build?".into(),
        question: None,
        signal_ms: 0,
        created_at_ms: 0,
        over: false,
    }
}

fn taken(about: Vec<About>) -> Taken {
    Taken {
        id: DeliveryId::random(),
        channel: ChannelId::random(),
        kind: "webhook".into(),
        target_sealed: None,
        includes_text: false,
        user: UserId::random(),
        what: What::Show,
        tag: "t".into(),
        urgent: true,
        attempt: 1,
        queued_at_ms: now_ms(),
        receipt: "secret".into(),
        about,
    }
}

fn refusal(status: u16) -> SendError {
    let status = StatusCode::from_u16(status).unwrap();
    SendError::Refused { host: "push.example".into(), status, retry_after_ms: None }
}

#[test]
fn one_is_told_by_name_and_many_by_number() {
    let one = words(&taken(vec![about("api", Reason::WaitingForApproval)]), true);
    assert_eq!((one.title.as_str(), one.body.as_str()), ("api wants your approval", "rm -rf build?"));
    assert!(one.path.starts_with("/sessions/ses-"));
    let silent = words(&taken(vec![about("api", Reason::WaitingForInput)]), false);
    assert_eq!((silent.title.as_str(), silent.body.as_str()), ("api waits for you", "main"));
    let names = ["a", "b", "c", "d", "e", "f"].map(|name| about(name, Reason::WaitingForInput));
    let many = words(&taken(names.to_vec()), true);
    assert_eq!((many.title.as_str(), many.body.as_str()), ("6 sessions wait", "a, b, c, d and 2 more"));
    let mut over = about("a", Reason::WaitingForInput);
    over.over = true;
    let rest = words(&taken(vec![over, about("b", Reason::Done)]), true);
    assert_eq!(rest.title, "b is done", "what is over is not told");
}

#[test]
fn what_can_be_answered_has_buttons() {
    let mut asks = about("api", Reason::WaitingForApproval);
    let choice = |id: &str| AskedChoice { id: id.into(), label: id.to_uppercase() };
    let choices = vec![choice("approve"), choice("deny"), choice("always")];
    asks.question = Some(Asked { fingerprint: "f".into(), choices, free_text: false });
    let id = asks.id.to_string();
    let words = words(&taken(vec![asks]), true);
    assert_eq!(words.notification, Some(id));
    assert_eq!(words.actions.iter().map(|one| one.label.as_str()).collect::<Vec<_>>(), ["APPROVE", "DENY"]);
}

#[test]
fn only_what_may_pass_is_tried_again_and_later_each_time() {
    let mut one = taken(Vec::new());
    for status in [500, 502, 503, 429, 408] {
        assert!(matches!(judge(&refusal(status), &one), Sent::Again { .. }), "{status}");
    }
    for status in [400, 401, 403, 413, 301] {
        assert!(matches!(judge(&refusal(status), &one), Sent::Failed { .. }), "{status}");
    }
    for status in [404, 410] {
        assert!(matches!(judge(&refusal(status), &one), Sent::Gone { .. }), "{status}");
    }
    assert!(matches!(judge(&SendError::NotPublic, &one), Sent::Failed { .. }));
    let pause = |one: &Taken| match judge(&refusal(500), one) {
        Sent::Again { due_at_ms, .. } => due_at_ms - now_ms(),
        other => panic!("{other:?}"),
    };
    let first = pause(&one);
    assert!((1_900..=2_500).contains(&first), "{first}");
    one.attempt = 5;
    assert!(pause(&one) > 30_000);
    one.attempt = 10_000;
    assert!(pause(&one) <= MAX_PAUSE_MS * 5 / 4);
    one.what = What::Test;
    assert!(matches!(judge(&refusal(500), &one), Sent::Failed { .. }), "who tries wants to know now");
}
