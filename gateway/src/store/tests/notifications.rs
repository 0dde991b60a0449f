//! Inboxes, what is decided of them, and messages on their way.

use berth_protocol::attention::{Evidence, Notification, Reason, Severity, Withdrawn};
use berth_protocol::ids::{ChannelId, NotificationId, SessionId};
use serde_json::json;

use super::*;
use crate::notifications::plan::{Plan, Planned, What, plan};
use crate::notifications::{Preferences, Quiet};

/// A box that tells things over its link.
struct Teller {
    instance: InstanceId,
    link: u64,
    stream: StreamId,
    seq: u64,
}

impl Teller {
    async fn new(f: &Fixture) -> Self {
        let instance = f.enrolled().await;
        let link = f.linked(&instance).await;
        Self { instance, link, stream: StreamId::random(), seq: 0 }
    }

    async fn says(&mut self, f: &Fixture, kind: &str, payload: serde_json::Value) -> Option<Arrival> {
        self.seq += 1;
        self.repeats(f, kind, payload).await
    }

    async fn repeats(&self, f: &Fixture, kind: &str, payload: serde_json::Value) -> Option<Arrival> {
        let event = Event {
            id: EventId { stream: self.stream.clone(), seq: self.seq },
            instance: self.instance.clone(),
            kind: kind.into(),
            at_ms: 0,
            payload,
        };
        let (workspace, instance) = (f.workspace.clone(), self.instance.clone());
        let (outcome, arrival) = f.store.put_event(workspace, instance, self.link, event).await.unwrap();
        assert_eq!(outcome, EventOutcome::Stored(self.seq));
        arrival
    }
}

fn rings(session: Option<&SessionId>) -> serde_json::Value {
    json!({
        "id": NotificationId::random(), "session": session, "reason": "message", "severity": "warning",
        "evidence": "bell", "confidence": 80, "text": "x", "signal_ms": now_ms(),
    })
}

async fn session(f: &Fixture, name: &str) -> SessionId {
    f.store.create_session(f.workspace.clone(), name.into(), "default".into()).await.unwrap().id
}

async fn everything(f: &Fixture) -> Inbox {
    f.store.inbox(f.user.clone(), Wanted { limit: 100, ..Wanted::default() }).await.unwrap()
}

async fn webhook(f: &Fixture, kind: &'static str) -> ChannelId {
    let new = NewChannel {
        kind,
        name: "n".into(),
        shown: "example.com".into(),
        address: kind.into(),
        escalation: false,
        includes_text: false,
    };
    f.store.put_channel(f.user.clone(), new, |_| vec![1, 2, 3]).await.unwrap().id
}

#[tokio::test]
async fn a_notification_comes_once_however_often_it_is_told() {
    let f = fixture().await;
    let mut teller = Teller::new(&f).await;
    let told = rings(Some(&session(&f, "a").await));
    let arrival = teller.says(&f, Notification::KIND, told.clone()).await;
    assert!(matches!(arrival, Some(Arrival::New { evidence: Evidence::Bell, .. })), "{arrival:?}");
    assert_eq!(teller.repeats(&f, Notification::KIND, told.clone()).await, None, "the event is stored");
    assert_eq!(teller.says(&f, Notification::KIND, told.clone()).await, Some(Arrival::Repeated));
    let mut other = Teller { stream: StreamId::random(), seq: 0, ..teller };
    assert_eq!(other.says(&f, Notification::KIND, told.clone()).await, Some(Arrival::Repeated));
    let inbox = everything(&f).await;
    assert_eq!((inbox.unread, inbox.notifications.len()), (1, 1));
    let one = &inbox.notifications[0];
    assert_eq!(
        (one.reason, one.severity, one.evidence),
        (Reason::Message, Severity::Warning, Evidence::Bell)
    );
    // Words that only a newer gateway knows.
    let mut newer = rings(Some(&session(&f, "b").await));
    newer["reason"] = json!("dreams");
    newer["pane"] = json!({ "id": 1, "window": 0, "index": 0 });
    let choice = json!({ "id": "hum", "label": "Hum", "keys": ["a key of later times"] });
    newer["question"] = json!({ "fingerprint": "f", "choices": [choice], "mood": "blue" });
    assert!(matches!(other.says(&f, Notification::KIND, newer).await, Some(Arrival::New { .. })));
    let one = everything(&f).await.notifications.remove(0);
    assert_eq!((one.reason, one.question.unwrap().choices[0].id.as_str()), (Reason::Unknown, "hum"));
}

#[tokio::test]
async fn only_its_own_box_speaks_for_a_workspace() {
    let f = fixture().await;
    let mut teller = Teller::new(&f).await;
    let other = f.store.create_workspace(f.user.clone(), "other".into()).await.unwrap().id;
    let theirs = f.store.create_session(other.clone(), "theirs".into(), "default".into()).await.unwrap().id;
    for nonsense in [rings(Some(&theirs)), rings(Some(&SessionId::random())), json!({}), json!(7)] {
        assert_eq!(teller.says(&f, Notification::KIND, nonsense).await, Some(Arrival::Dropped));
    }
    let told = rings(None);
    teller.says(&f, Notification::KIND, told.clone()).await;
    // Another workspace's box withdraws nothing here.
    f.store.put_enrollment_token(other.clone(), "token", HOUR).await.unwrap();
    let instance = InstanceId::random();
    f.store.enroll("token", instance.clone()).await.unwrap();
    let link = f.linked(&instance).await;
    let event = Event {
        id: EventId { stream: StreamId::random(), seq: 1 },
        instance: instance.clone(),
        kind: Withdrawn::KIND.into(),
        at_ms: 0,
        payload: json!({ "id": told["id"], "why": "seen" }),
    };
    let (_, arrival) = f.store.put_event(other, instance, link, event).await.unwrap();
    assert_eq!(arrival, Some(Arrival::Dropped));
    assert_eq!(everything(&f).await.unread, 1);
    let withdrawn = json!({ "id": told["id"], "why": "went_on" });
    assert_eq!(teller.says(&f, Withdrawn::KIND, withdrawn).await, Some(Arrival::Withdrawn));
    let inbox = everything(&f).await;
    assert_eq!((inbox.unread, inbox.notifications[0].ended_because.as_deref()), (0, Some("went_on")));
}

#[tokio::test]
async fn changes_are_told_from_a_number_on() {
    let f = fixture().await;
    let mut teller = Teller::new(&f).await;
    let first = session(&f, "a").await;
    for _ in 0..5 {
        teller.says(&f, Notification::KIND, rings(Some(&first))).await;
    }
    let since = async |after, limit| f.store.inbox_since(f.user.clone(), after, limit).await.unwrap();
    let part = since(0, 3).await;
    assert_eq!((part.seq, part.notifications.len()), (3, 3), "there is more");
    let rest = since(part.seq, 3).await;
    assert_eq!((rest.seq, rest.notifications.len()), (5, 2));
    assert_eq!(since(rest.seq, 3).await.notifications, []);
    assert_eq!(f.store.see(f.user.clone(), SeenNotifications::Session(first.clone())).await.unwrap(), 5);
    assert_eq!(f.store.see(f.user.clone(), SeenNotifications::Session(first)).await.unwrap(), 0);
    assert_eq!(since(5, 100).await.notifications.len(), 5);
}

#[tokio::test]
async fn what_a_box_believes_stands_beside_its_sessions() {
    let f = fixture().await;
    let teller = Teller::new(&f).await;
    let (first, second) = (session(&f, "a").await, session(&f, "b").await);
    let report = |activity: &str| {
        let belief = json!({ "session": first, "activity": activity, "evidence": "hook", "confidence": 99,
                             "since_ms": 1, "panes": [] });
        serde_json::from_value(json!({ "sessions": [belief] })).unwrap()
    };
    let put = async |link, report| {
        let (workspace, instance) = (f.workspace.clone(), teller.instance.clone());
        f.store.put_attention(workspace, instance, link, report).await.unwrap()
    };
    let AttentionOutcome::Stored(changes) = put(teller.link, report("working")).await else {
        panic!("stale")
    };
    let [SessionChange::Changed(changed)] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((&changed.id, changed.attention.is_some()), (&first, true));
    assert_eq!(put(teller.link, report("working")).await, AttentionOutcome::Stored(vec![]), "it is known");
    assert_eq!(put(teller.link - 1, report("done")).await, AttentionOutcome::StaleLink);
    assert!(f.store.session(second).await.unwrap().unwrap().attention.is_none());
    // Another machine knows nothing of these programs.
    f.enrolled().await;
    assert!(f.store.session(first).await.unwrap().unwrap().attention.is_none());
}

#[tokio::test]
async fn what_is_decided_is_queued_and_sent_at_least_once() {
    let f = fixture().await;
    let mut teller = Teller::new(&f).await;
    let first = session(&f, "a").await;
    let channel = webhook(&f, "webhook").await;
    teller.says(&f, Notification::KIND, rings(Some(&first))).await;
    assert_eq!(f.store.users_due().await.unwrap(), std::slice::from_ref(&f.user));
    assert_eq!(f.store.plan_for(f.user.clone(), false, plan).await.unwrap(), 1);
    assert_eq!(f.store.plan_for(f.user.clone(), false, plan).await.unwrap(), 0, "it was decided");
    assert!(f.store.users_due().await.unwrap().is_empty());

    let (gateway, other) = (GatewayId::random(), GatewayId::random());
    let take =
        async |gateway: &GatewayId, lease| f.store.take_deliveries(gateway.clone(), lease, 10).await.unwrap();
    let taken = take(&gateway, HOUR).await;
    assert_eq!((taken.len(), taken[0].attempt, taken[0].about.len()), (1, 1, 1));
    assert_eq!(taken[0].about[0].session_name.as_deref(), Some("a"));
    assert!(take(&other, HOUR).await.is_empty(), "it is taken");
    // The gateway that had taken it has died.
    f.store.give_up_leases(gateway.clone()).await.unwrap();
    let again = take(&other, Duration::ZERO).await;
    assert_eq!((&again[0].id, again[0].attempt), (&taken[0].id, 2));
    let later = take(&gateway, HOUR).await;
    assert_eq!(later[0].attempt, 3, "a lease that ran out");
    let sent = async |gateway: &GatewayId, outcome| {
        f.store.sent(taken[0].id.clone(), gateway.clone(), outcome).await.unwrap()
    };
    assert!(!sent(&other, Sent::Accepted).await, "it is somebody else's now");
    let failure = "no answer".to_owned();
    assert!(sent(&gateway, Sent::Again { due_at_ms: now_ms() + 60_000, failure }).await);
    assert!(take(&gateway, HOUR).await.is_empty(), "not yet");
    let health = f.store.channel(f.user.clone(), channel.clone()).await.unwrap().unwrap();
    assert_eq!((health.failures, health.failure.as_deref()), (1, Some("no answer")));
}

#[tokio::test]
async fn receipts_are_good_once_and_a_channel_that_is_gone_keeps_no_secret() {
    let f = fixture().await;
    let channel = webhook(&f, "web_push").await;
    let gateway = GatewayId::random();
    f.store.test_channel(channel.clone()).await.unwrap();
    let taken = f.store.take_deliveries(gateway.clone(), HOUR, 10).await.unwrap().remove(0);
    assert_eq!((taken.what, taken.target_sealed.as_deref()), (What::Test, Some(&[1, 2, 3][..])));
    assert!(f.store.sent(taken.id.clone(), gateway.clone(), Sent::Accepted).await.unwrap());
    let receipt = async |secret: &str, kind| f.store.receipt(secret, kind).await.unwrap();
    assert_eq!(receipt("guessed", Receipt::Shown).await, None);
    assert_eq!(receipt(&taken.receipt, Receipt::Shown).await, Some(channel.clone()));
    assert_eq!(receipt(&taken.receipt, Receipt::Shown).await, None);
    assert_eq!(receipt(&taken.receipt, Receipt::Acted).await, Some(channel.clone()));
    for kind in [Receipt::Acted, Receipt::Shown] {
        assert_eq!(receipt(&taken.receipt, kind).await, None);
    }
    f.store.test_channel(channel.clone()).await.unwrap();
    let taken = f.store.take_deliveries(gateway.clone(), HOUR, 10).await.unwrap().remove(0);
    f.store.sent(taken.id, gateway.clone(), Sent::Gone { failure: "410".into() }).await.unwrap();
    f.store.test_channel(channel.clone()).await.unwrap();
    let late = f.store.take_deliveries(gateway, HOUR, 10).await.unwrap().remove(0);
    assert_eq!(late.target_sealed, None);
    let on = ChannelChange { on: Some(true), ..ChannelChange::default() };
    let gone = f.store.change_channel(channel, on).await.unwrap().unwrap();
    assert_eq!(gone.state, "gone", "it can't be switched on again");
}

#[tokio::test]
async fn what_is_over_is_not_sent_and_what_replaces_is_sent_alone() {
    let f = fixture().await;
    let mut teller = Teller::new(&f).await;
    let first = session(&f, "a").await;
    let channel = webhook(&f, "webhook").await;
    let told = rings(Some(&first));
    let id: NotificationId = told["id"].as_str().unwrap().parse().unwrap();
    teller.says(&f, Notification::KIND, told).await;
    let message = |tag: &str| Planned {
        channel: channel.clone(),
        what: What::Show,
        tag: tag.into(),
        urgent: false,
        about: vec![id.clone()],
    };
    let messages = vec![message("a"), message("b"), message("a")];
    let decided = Plan { messages, ..Plan::default() };
    f.store.plan_for(f.user.clone(), false, move |_| decided).await.unwrap();
    f.store.see(f.user.clone(), SeenNotifications::One(id)).await.unwrap();
    let taken = f.store.take_deliveries(GatewayId::random(), HOUR, 10).await.unwrap();
    assert_eq!(taken.len(), 2, "the first of the tag was replaced");
    assert!(taken.iter().all(|one| one.about.iter().all(|about| about.over)));
}

#[tokio::test]
async fn rules_are_kept_and_put_off_what_they_hold_back() {
    let f = fixture().await;
    let mut teller = Teller::new(&f).await;
    let first = session(&f, "a").await;
    webhook(&f, "webhook").await;
    let quiet = |from_minute, to_minute| {
        let time_zone = "UTC".into();
        Preferences {
            quiet: Some(Quiet { time_zone, from_minute, to_minute, urgent_breaks_through: false }),
            escalate_after_secs: None,
        }
    };
    let minute = u16::try_from(now_ms() / 60_000 % 1440).unwrap();
    let hours = quiet((minute + 1439) % 1440, (minute + 120) % 1440);
    f.store.put_preferences(f.user.clone(), hours.clone()).await.unwrap();
    assert_eq!(f.store.preferences(f.user.clone()).await.unwrap(), hours);
    teller.says(&f, Notification::KIND, rings(Some(&first))).await;
    assert_eq!(f.store.plan_for(f.user.clone(), false, plan).await.unwrap(), 0);
    let next = f.store.next_due().await.unwrap().unwrap();
    assert!(next > now_ms() + 60 * 60_000, "the end of the quiet hours: {next}");
    assert_eq!(everything(&f).await.unread, 1, "the inbox is not quiet");
    // Without the rule it is due at once.
    f.store.put_preferences(f.user.clone(), Preferences::default()).await.unwrap();
    assert_eq!(f.store.plan_for(f.user.clone(), false, plan).await.unwrap(), 1);

    let mute = Mute { session: first.clone(), until_ms: None };
    f.store.mute(f.user.clone(), mute.clone()).await.unwrap();
    teller.says(&f, Notification::KIND, rings(Some(&first))).await;
    assert_eq!(f.store.plan_for(f.user.clone(), false, plan).await.unwrap(), 0);
    let inbox = everything(&f).await;
    assert_eq!((inbox.unread, inbox.mutes, inbox.notifications.len()), (0, vec![mute], 2));
    assert!(f.store.looked_at(vec![(f.user.clone(), first.clone())]).await.unwrap());
    assert!(!f.store.looked_at(vec![(f.user.clone(), first)]).await.unwrap());
}
