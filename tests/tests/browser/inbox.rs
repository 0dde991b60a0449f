//! The inbox in a real browser: what a box rings is seen at once, answered by a click, and told by channels whose state
//! is plain.

use std::time::Duration;

use berth_protocol::ids::NotificationId;
use berth_tests::push::Subscription;
use berth_tests::{Browser, Client, Linked, Receiver, Stack, wait};
use fantoccini::Locator;
use http::Method;
use serde_json::{Value, json};

/// A gateway whose channels may lead to this machine, a linked box, a client and two sessions that run.
async fn start() -> (Stack, Linked, Client, [String; 2]) {
    let mut stack = Stack::start_gateway().await;
    stack.configure("[notifications]\nallow_addresses = [\"127.0.0.0/8\"]\n").await;
    stack.enroll("main");
    let mut linked = Linked::begin(&stack).await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let sessions = [client.create_session("api").await, client.create_session("landing page").await];
    linked.observed(&[&sessions[0], &sessions[1]]).await;
    let belief = |session: &str, activity: &str| {
        json!({
            "session": session, "activity": activity, "evidence": "hook", "confidence": 98, "since_ms": 1,
            "panes": []
        })
    };
    let doing = [belief(&sessions[0], "working"), belief(&sessions[1], "waiting_for_approval")];
    linked.attention(json!(doing)).await;
    (stack, linked, client, sessions)
}

fn asks(session: &str, text: &str) -> Value {
    json!({
        "id": NotificationId::random(), "session": session, "pane": { "id": 3, "window": 0, "index": 1 },
        "reason": "waiting_for_approval", "severity": "warning", "evidence": "hook", "confidence": 98, "text": text,
        "question": {
            "fingerprint": "f",
            "choices": [
                { "id": "approve", "label": "Yes", "keys": ["Enter"] },
                { "id": "always", "label": "Yes, and don’t ask again", "text": "2", "keys": ["Enter"] },
                { "id": "deny", "label": "No", "keys": ["Escape"] }
            ],
            "free_text": true
        },
        "signal_ms": 1
    })
}

fn says(session: &str, reason: &str, text: &str) -> Value {
    json!({
        "id": NotificationId::random(), "session": session, "reason": reason, "severity": "info",
        "evidence": "bell", "confidence": 80, "text": text, "signal_ms": 1
    })
}

async fn has_title(browser: &Browser, title: &str) {
    wait::until(&format!("the title {title}"), async || {
        (browser.script("return document.title").await == title).then_some(())
    })
    .await;
}

async fn choose(browser: &Browser, choice: &str) {
    browser.css(&format!("[data-choice='{choice}']")).await.click().await.unwrap();
}

#[tokio::test]
async fn what_a_box_rings_is_in_the_inbox_and_a_click_answers_it() {
    let (stack, mut linked, client, [api, landing]) = start().await;
    let browser = Browser::open(1100, 800).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    browser.css("[data-testid='session-state'][data-activity='waiting_for_approval']").await;
    let first = "return document.querySelector('[data-testid=session-row]').dataset.sessionId";
    assert_eq!(browser.script(first).await, landing, "who waits comes first");
    has_title(&browser, "Berth").await;

    linked.event("notification", says(&api, "done", "Tests are green")).await;
    linked
        .event(
            "notification",
            asks(&landing, "Bash command: rm -rf ./build && npm run build -- --mode production"),
        )
        .await;
    browser.state("bell", "2", wait::PATIENCE).await;
    has_title(&browser, "(2) Berth").await;
    browser.picture("board-desktop").await;
    browser.press("bell").await;
    browser.element("answer").await;
    has_title(&browser, "(2) Inbox · Berth").await;
    browser.picture("inbox-desktop").await;
    choose(&browser, "approve").await;
    wait::until("the box to be answered", async || linked.asked().first().cloned()).await;
    let (path, body) = linked.asked().remove(0);
    assert_eq!((path, &body["choice"]), (format!("/v1/sessions/{landing}/answer"), &json!("approve")));
    browser.css("[data-testid='inbox-over']").await;
    has_title(&browser, "(1) Inbox · Berth").await;

    // The question is gone meanwhile, and that is said in words.
    linked.will_answer(409, "question_gone");
    linked.event("notification", asks(&landing, "once more?")).await;
    browser.element("answer-text").await.send_keys("no, use the other one\n").await.unwrap();
    wait::until("the answer to be refused", async || linked.asked().get(1).cloned()).await;
    assert_eq!(linked.asked()[1].1["text"], "no, use the other one");
    browser.press("mark-all-seen").await;
    has_title(&browser, "Inbox · Berth").await;
    let found = client.get("/notifications").await;
    assert_eq!(found["unread"], 0);
    browser.picture("inbox-desktop-answered").await;
    browser.close().await;
}

#[tokio::test]
async fn what_somebody_is_in_front_of_is_seen_and_what_merely_stands_open_is_not() {
    let (stack, mut linked, client, [api, _]) = start().await;
    let browser = Browser::open(1100, 800).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    let link = format!("[data-testid='session-link'][data-session-id='{api}']");
    browser.css(&link).await.click().await.unwrap();
    browser.element("terminal").await;
    // The page is open and in front, and nobody has moved since it was loaded.
    browser.page.refresh().await.unwrap();
    browser.element("terminal").await;
    linked.event("notification", says(&api, "message", "ding")).await;
    has_title(&browser, "(1) api").await;
    assert_eq!(client.get("/notifications").await["unread"], 1);
    browser.click(400, 400).await;
    has_title(&browser, "api").await;
    assert_eq!(client.get("/notifications").await["unread"], 0);
    browser.close().await;
}

#[tokio::test]
async fn an_inbox_on_a_phone() {
    let (stack, mut linked, _client, [api, landing]) = start().await;
    let browser = Browser::open_phone(390, 844).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    linked.event("notification", says(&api, "failed", "error[E0308]: mismatched types in src/main.rs")).await;
    linked.event("notification", asks(&landing, "Bash command: rm -rf ./build && npm run build")).await;
    browser.state("bell", "2", wait::PATIENCE).await;
    browser.picture("board-phone").await;
    browser.press("bell").await;
    browser.element("answer").await;
    browser.picture("inbox-phone").await;
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.devtools("Emulation.setEmulatedMedia", dark).await;
    browser.picture("inbox-phone-dark").await;
    let overflows = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
    assert_eq!(browser.script(overflows).await, false, "the page is wider than the phone");
    for button in browser.page.find_all(Locator::Css("[data-testid='answer-choice']")).await.unwrap() {
        let (_, _, _, height) = button.rectangle().await.unwrap();
        assert!(height >= 44.0, "a finger does not hit {height} pixels");
    }
    choose(&browser, "deny").await;
    wait::until("the box to be answered", async || linked.asked().first().cloned()).await;
    browser.close().await;
}

#[tokio::test]
async fn channels_are_made_tried_and_say_how_they_do() {
    let (stack, _linked, client, _) = start().await;
    let server = Receiver::start().await;
    let browser = Browser::open_phone(390, 844).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.press("bell").await;
    browser.press("notification-settings-link").await;
    browser.element("channel-url").await.send_keys("http://192.168.1.1/topic").await.unwrap();
    browser.press("channel-create").await;
    assert!(
        browser
            .element("channel-error")
            .await
            .text()
            .await
            .unwrap()
            .contains("notifications.allow_addresses")
    );
    let url = browser.element("channel-url").await;
    url.clear().await.unwrap();
    url.send_keys(&server.url("/my-topic")).await.unwrap();
    browser.press("channel-create").await;
    browser.css("[data-testid='channel'][data-health='warn']").await;
    browser.press("channel-test").await;
    browser.css("[data-testid='channel'][data-health='good']").await;
    assert_eq!(server.nth(1).await.json()["title"], "Berth reaches you here");
    server.will_answer(403, &[]);
    browser.press("channel-test").await;
    browser.css("[data-testid='channel'][data-health='bad']").await;
    wait::until("the outcome to be said", async || {
        let said = browser.element("channel-outcome").await.text().await.ok()?;
        said.contains("403").then_some(())
    })
    .await;

    browser.press("quiet").await;
    browser.press("preferences-save").await;
    wait::until("the settings to be kept", async || {
        client.get("/notifications/settings").await["quiet"]["from_minute"]
            .as_u64()
            .filter(|from| *from == 1320)
    })
    .await;
    browser.picture("notification-settings-phone").await;
    let overflows = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
    assert_eq!(browser.script(overflows).await, false, "the page is wider than the phone");
    browser.close().await;
    let browser = Browser::open(1100, 900).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.press("bell").await;
    browser.press("notification-settings-link").await;
    browser.element("channel").await;
    browser.picture("notification-settings-desktop").await;
    browser.close().await;
}

/// What the worker shows now, oldest first.
async fn shown(browser: &Browser) -> Vec<Value> {
    let script = "
        const done = arguments[arguments.length - 1];
        navigator.serviceWorker.ready.then((worker) => worker.getNotifications()).then((shown) => done(
            shown.map(({ title, body, tag, actions }) => ({ title, body, tag, actions: actions?.length ?? 0 }))));";
    let found = browser.page.execute_async(script, vec![]).await.unwrap();
    found.as_array().cloned().unwrap_or_default()
}

/// Pushes by the developer tools until `look` finds something. They lose a push now and then on a busy machine, before it
/// reaches the worker; one that comes twice shows the same.
async fn push_until<T>(
    what: &str,
    stack: &Stack,
    browser: &Browser,
    message: &Value,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    wait::until(what, async || {
        let data = json!({ "origin": stack.origin(), "registrationId": "0", "data": message.to_string() });
        browser.devtools("ServiceWorker.deliverPushMessage", data).await;
        wait::try_within(Duration::from_secs(3), &mut look).await
    })
    .await
}

#[tokio::test]
async fn the_worker_shows_what_is_pushed_and_takes_it_back() {
    let (stack, mut linked, client, [api, _]) = start().await;
    let browser = Browser::open(1100, 800).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    let grant = json!({ "origin": stack.origin(), "permissions": ["notifications"] });
    browser.devtools("Browser.grantPermissions", grant).await;
    browser.devtools("ServiceWorker.enable", json!({})).await;
    let register = "
        const done = arguments[arguments.length - 1];
        navigator.serviceWorker.register('/service-worker.js', { type: 'module' })
            .then(() => navigator.serviceWorker.ready)
            .then(({ active }) => new Promise((resolve) => {
                // A push to one that is still being activated may be lost.
                const look = () => active.state === 'activated' && resolve();
                active.addEventListener('statechange', look);
                look();
            }))
            .then(() => done(true), (error) => done(String(error)));";
    assert_eq!(browser.page.execute_async(register, vec![]).await.unwrap(), json!(true));
    let message = |what: &str, tag: &str, title: &str| {
        json!({
            "what": what, "tag": tag, "replaces_all": tag == "berth", "title": title, "body": "rm -rf build?",
            "path": format!("/sessions/{api}"), "notification": NotificationId::random(), "urgent": false,
            "actions": [{ "choice": "approve", "label": "Yes" }], "receipt": "unknown"
        })
    };
    let shows = async |what: &str, message: Value, tag: &str, title: &str| {
        let expected = [(Some(tag), Some(title))];
        push_until(what, &stack, &browser, &message, async || {
            let found = shown(&browser).await;
            let found = found.iter().map(|one| (one["tag"].as_str(), one["title"].as_str()));
            found.eq(expected).then_some(())
        })
        .await;
    };
    for title in ["api waits for you", "api wants your approval"] {
        shows(title, message("show", "a", title), "a", title).await;
        assert_eq!(shown(&browser).await[0]["actions"], 1);
    }
    let all = "3 sessions wait";
    shows(all, message("show", "berth", all), "berth", all).await;
    let none = "Nothing waits any more";
    shows(none, message("withdraw", "berth", none), "berth", none).await;
    shows("something all the same", json!("nonsense"), "berth", "Berth").await;

    // All the way: what the gateway sends to the push service, read with the browser's keys, is what the worker gets.
    let (service, keys) = (Receiver::start().await, Subscription::new(9));
    let channel = json!({ "name": "here", "target": keys.target(&service.url("/send")) });
    assert_eq!(client.call(Method::POST, "/channels", Some(channel)).await.status, 201);
    linked.event("notification", asks(&api, "may I?")).await;
    let message = keys.read(&service.nth(1).await);
    push_until("the worker's receipt", &stack, &browser, &message, async || {
        let found = client.get("/channels").await;
        (found["channels"][0]["last"]["state"] == "shown").then_some(())
    })
    .await;
    let shown = shown(&browser).await;
    let asked = shown.iter().find(|one| one["tag"] == *api).expect("it is shown");
    assert_eq!((&asked["title"], &asked["body"]), (&json!("api wants your approval"), &json!("may I?")));
    assert_eq!(asked["actions"], 2);
    browser.close().await;
}
