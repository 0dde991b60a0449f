//! A thousand notifications while the gateway is killed again and again: none is lost, and none is there twice.

use std::collections::BTreeSet;
use std::time::Duration;

use berth_protocol::ids::NotificationId;
use berth_tests::metrics::metric;
use berth_tests::{Linked, Receiver, Stack};
use http::Method;
use serde_json::{Value, json};

const NOTIFICATIONS: usize = 1_000;

/// One in so many comes while the gateway dies.
const DEADLY: usize = 20;

fn rings(session: &str, id: &NotificationId) -> Value {
    json!({
        "id": id, "session": session, "reason": "message", "severity": "info", "evidence": "bell",
        "confidence": 80, "text": "ding", "signal_ms": 1
    })
}

#[tokio::test]
#[ignore = "long: scripts/test --long"]
async fn nothing_is_lost_or_doubled_however_often_the_gateway_dies() {
    let mut stack = Stack::start_gateway().await;
    stack.configure("[notifications]\nallow_addresses = [\"127.0.0.0/8\"]\n").await;
    stack.enroll("main");
    let mut linked = Linked::begin(&stack).await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let session = client.create_session("api").await;
    let program = Receiver::start().await;
    let target = json!({ "kind": "webhook", "url": program.url("/"), "secret": "0123456789abcdef" });
    let channel = json!({ "name": "hook", "target": target });
    assert_eq!(client.call(Method::POST, "/channels", Some(channel)).await.status, 201);

    let mut told = BTreeSet::new();
    for number in 0..NOTIFICATIONS {
        let id = NotificationId::random();
        let payload = rings(&session, &id);
        told.insert(id.to_string());
        if fastrand::usize(..DEADLY) > 0 {
            linked.event("notification", payload).await;
            continue;
        }
        linked.event_into_the_blue("notification", &payload).await;
        // Before it is heard, while it is stored, or when it was acknowledged and that is on its way.
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..15_000))).await;
        stack.gateway.kill();
        stack.gateway.start();
        stack.wait_for_gateway().await;
        linked.again(&stack).await;
        linked.repeat("notification", payload).await;
        if number % 2 == 0 {
            assert_eq!(metric(&stack, "gateway_notifications_duplicated_total").await, Some(0.0));
        }
    }

    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/notifications?limit=200{before}")).await;
        assert_eq!(page["unread"], NOTIFICATIONS);
        let ids = page["notifications"].as_array().unwrap().iter();
        found.extend(ids.map(|one| one["id"].as_str().unwrap().to_owned()));
        match page["next"].as_u64() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    assert_eq!(found.len(), NOTIFICATIONS);
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), told);
    assert!(!program.received().is_empty(), "nobody was told of a thousand notifications");
}
