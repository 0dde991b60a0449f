//! The terminal of a page whose network is cut, or that nobody looks at for a while.

use std::time::Duration;

use berth_tests::{Browser, Stack, wait};
use serde_json::json;

/// How soon a terminal must be back once it can be.
const BACK: Duration = Duration::from_secs(5);

/// Keeps every state that the terminal takes on from now.
const WATCH_STATES: &str = "
    const shown = document.querySelector('[data-testid=terminal-state]');
    window.states = [];
    new MutationObserver(() => window.states.push(shown.dataset.state))
        .observe(shown, { attributeFilter: ['data-state'] });";

/// Everything that the session's active pane has ever shown.
fn history(stack: &Stack, session: &str) -> String {
    let target = format!("={session}:");
    stack.tmux.run(&["capture-pane", "-p", "-S", "-", "-t", &target]).unwrap_or_default()
}

#[tokio::test]
async fn a_cut_network_is_said_at_once_and_what_is_typed_meanwhile_is_never_sent() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    let session = browser.open_terminal(&stack).await;
    browser.type_text("echo before-$((40+2))\n").await;
    browser.shows("before-42").await;
    browser.dark(true).await;

    // Chromium's offline leaves WebSockets alone; a gateway that is stopped is as silent as a cut cable.
    stack.gateway.pause();
    browser.offline(true).await;
    browser.state("terminal-state", "stalled", Duration::from_secs(2)).await;
    browser.type_text("echo late-$((40+2))\n").await;
    let hint = browser.element("dropped-hint").await.text().await.unwrap();
    assert!(hint.contains("not sent"), "{hint}");
    browser.element("terminal-notice").await;
    browser.picture("network-cut").await;
    browser.state("terminal-state", "connecting", wait::PATIENCE).await;
    browser.type_text("echo later-$((40+2))\n").await;

    stack.gateway.resume();
    browser.offline(false).await;
    browser.state("terminal-state", "live", BACK).await;
    browser.type_text("echo after-$((40+2))\n").await;
    browser.shows("after-42").await;
    let history = history(&stack, &session);
    assert!(!history.contains("late"), "what was typed without a network arrived:\n{history}");
    browser.close().await;
}

#[tokio::test]
async fn a_browser_that_is_wrong_about_its_network_loses_nothing() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    browser.open_terminal(&stack).await;
    browser.script(WATCH_STATES).await;
    browser.script("dispatchEvent(new Event('offline'))").await;
    wait::until("the gateway to prove that it is there", async || {
        (browser.script("return window.states.join()").await == "stalled,live").then_some(())
    })
    .await;
    browser.type_text("echo here-$((40+2))\n").await;
    browser.shows("here-42").await;
    browser.close().await;
}

#[tokio::test]
async fn a_page_that_was_hidden_is_live_again_as_soon_as_it_is_looked_at() {
    let mut stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    let session = browser.open_terminal(&stack).await;
    browser.script(WATCH_STATES).await;
    let terminal = browser.page.window().await.unwrap();
    let other = browser.page.new_window(true).await.unwrap();
    browser.page.switch_to_window(other.handle).await.unwrap();
    stack.gateway.kill();
    // Long enough that the page has given up trying often.
    tokio::time::sleep(BACK).await;
    stack.gateway.start();
    stack.wait_for_gateway().await;
    browser.page.switch_to_window(terminal).await.unwrap();
    wait::within(BACK, "the page to be live again", async || {
        (browser.script("return window.states.at(-1)").await == "live").then_some(())
    })
    .await;
    browser.type_text("echo awake-$((40+2))\n").await;
    wait::until("the keys to arrive", async || history(&stack, &session).contains("awake-42").then_some(()))
        .await;
    browser.close().await;
}

/// Hides and freezes the page, as a phone in a pocket does.
async fn freeze(browser: &Browser) {
    browser.devtools("Page.setWebLifecycleState", json!({ "state": "frozen" })).await;
}

/// Lets the page go on, and looks at it again; the protocol's own command leaves it hidden.
async fn thaw(browser: &Browser) {
    browser.devtools("Page.setWebLifecycleState", json!({ "state": "active" })).await;
    let page = browser.page.window().await.unwrap();
    let other = browser.page.new_window(true).await.unwrap();
    browser.page.switch_to_window(other.handle).await.unwrap();
    browser.page.close_window().await.unwrap();
    browser.page.switch_to_window(page).await.unwrap();
}

/// What the page asked the gateway for since its start.
fn asked(stack: &Stack) -> usize {
    stack.gateway.log().matches("answered status=").count()
}

#[tokio::test]
async fn a_page_that_was_frozen_while_its_connection_died_is_live_again_by_itself() {
    let mut stack = Stack::start().await;
    let browser = Browser::open_phone(390, 844).await;
    let session = browser.open_terminal(&stack).await;
    browser.type_text("echo before-$((40+2))\n").await;
    browser.shows("before-42").await;
    browser.script(WATCH_STATES).await;
    freeze(&browser).await;
    stack.gateway.kill();
    stack.gateway.start();
    stack.wait_for_gateway().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let before = asked(&stack);
    // A page that runs would have come back by then.
    tokio::time::sleep(BACK).await;
    assert_eq!(asked(&stack), before, "the page is not frozen");
    thaw(&browser).await;
    wait::within(BACK, "the page to be live again", async || {
        (browser.script("return window.states.at(-1)").await == "live").then_some(())
    })
    .await;
    browser.picture("phone-awake").await;
    browser.type_text("echo awake-$((40+2))\n").await;
    browser.shows("awake-42").await;
    assert!(history(&stack, &session).contains("awake-42"));
    browser.close().await;
}
