//! Terminals that end for good: the page says why, and does not ask again.

use std::time::Duration;

use berth_tests::{Browser, Stack, wait};
use http::Method;
use serde_json::json;

/// Longer than a page waits before its first few attempts to come back.
const A_WHILE: Duration = Duration::from_secs(5);

/// Keeps the close code of every WebSocket of the pages to come.
const KEEP_CODES: &str = "
    window.codes = [];
    const Real = window.WebSocket;
    window.WebSocket = class extends Real {
        constructor(...words) {
            super(...words);
            this.addEventListener('close', (event) => window.codes.push(event.code));
        }
    };";

/// What makes a page look at its connections again.
const WAKE: &str = "dispatchEvent(new Event('online')); dispatchEvent(new Event('pageshow'));";

/// A browser with a terminal.
async fn open(stack: &Stack) -> (Browser, String) {
    let browser = Browser::open(1200, 800).await;
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": KEEP_CODES })).await;
    let session = browser.open_terminal(stack).await;
    browser.type_text("echo here-$((40+2))\n").await;
    browser.shows("here-42").await;
    (browser, session)
}

/// How often a terminal was asked for so far, or a ticket for one.
fn asked(stack: &Stack, session: &str) -> usize {
    let log = stack.gateway.log();
    let paths = ["ticket", "terminal"].map(|name| format!("/sessions/{session}/{name}\"}}: answered"));
    log.lines().filter(|line| paths.iter().any(|path| line.contains(path))).count()
}

/// Waits until the terminal's WebSocket was closed with this code, and then for attempts that must not come.
async fn ends_for_good(stack: &Stack, browser: &Browser, session: &str, code: u16) {
    wait::until("the WebSocket to be closed", async || {
        let codes = browser.script("return window.codes").await;
        (codes == json!([code])).then_some(())
    })
    .await;
    assert_eq!(asked(stack, session), 2, "one ticket and one terminal");
    browser.script(WAKE).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(asked(stack, session), 2, "the page asks again for what has ended for good");
}

#[tokio::test]
async fn a_deleted_session_is_said_to_be_gone() {
    let stack = Stack::start().await;
    let (browser, session) = open(&stack).await;
    let client = stack.client().await;
    assert_eq!(client.call(Method::DELETE, &format!("/sessions/{session}"), None).await.status, 204);
    browser.state("terminal-state", "gone", wait::PATIENCE).await;
    let notice = browser.element("terminal-notice").await.text().await.unwrap();
    assert!(notice.contains("This session is gone"), "{notice}");
    ends_for_good(&stack, &browser, &session, 4004).await;
    browser.picture("terminal-gone").await;
    browser.state("terminal-state", "gone", Duration::ZERO).await;
    // Neither does a page that is opened anew, with an old link.
    browser.page.refresh().await.unwrap();
    browser.state("terminal-state", "gone", wait::PATIENCE).await;
    let before = asked(&stack, &session);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(asked(&stack, &session), before, "the page asks again for what is not there");
    browser.close().await;
}

#[tokio::test]
async fn signing_out_in_another_tab_ends_the_terminal_in_this_one() {
    let stack = Stack::start().await;
    let (browser, session) = open(&stack).await;
    let terminal = browser.page.window().await.unwrap();
    let other = browser.page.new_window(true).await.unwrap();
    browser.page.switch_to_window(other.handle).await.unwrap();
    browser.goto(stack.origin()).await;
    browser.press("sign-out").await;
    browser.element("signed-out").await;
    browser.page.switch_to_window(terminal).await.unwrap();
    let text = browser.element("signed-out").await.text().await.unwrap();
    assert!(text.contains("Sign in"), "{text}");
    ends_for_good(&stack, &browser, &session, 4001).await;
    browser.picture("terminal-signed-out").await;
    // Nor does anything else of the page, such as its stream of events.
    let refused = || stack.gateway.log().matches("status=401").count();
    let before = refused();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(refused(), before, "the page goes on asking without a right to");
    browser.close().await;
}
