//! Links in the terminal: addresses in the text, and links whose text may say something else (OSC 8).

use berth_tests::stack::write_agent_config;
use berth_tests::{Browser, Stack, programs, wait};
use fantoccini::key::Key;
use fantoccini::wd::WindowHandle;
use serde_json::json;

/// A point in the first row that begins with a text, some characters in.
const PLACE: &str = "
    const rows = Array.from(document.querySelectorAll('.xterm-rows > div'));
    const row = rows.find((row) => row.textContent.startsWith(arguments[0]));
    const box = row?.getBoundingClientRect();
    return box ? [box.left + 20, box.top + box.height / 2] : null;";

/// Where a text begins a row, once it does.
async fn place(browser: &Browser, text: &str) -> (f64, f64) {
    wait::until(&format!("a row that begins with {text:?}"), async || {
        let found = browser.page.execute(PLACE, vec![text.into()]).await.ok()?;
        Some((found[0].as_f64()?, found[1].as_f64()?))
    })
    .await
}

/// Moves the mouse there until it is a hand.
async fn point_at(browser: &Browser, (x, y): (f64, f64)) {
    wait::until("the link to be seen as one", async || {
        for (x, y) in [(x, y + 60.0), (x, y)] {
            let event = json!({ "type": "mouseMoved", "x": x, "y": y });
            browser.devtools("Input.dispatchMouseEvent", event).await;
        }
        let hand = "return document.querySelector('.xterm-cursor-pointer') !== null";
        (browser.script(hand).await == true).then_some(())
    })
    .await;
}

async fn click(browser: &Browser, (x, y): (f64, f64)) {
    #[expect(clippy::cast_possible_truncation, reason = "a place on the screen")]
    browser.click(x as i64, y as i64).await;
}

/// The address of the window that was opened beside this one, which is closed again.
async fn opened(browser: &Browser, this: &WindowHandle) -> String {
    let other = wait::until("another window", async || {
        let windows = browser.page.windows().await.ok()?;
        windows.into_iter().find(|window| window != this)
    })
    .await;
    browser.page.switch_to_window(other).await.unwrap();
    let address = wait::until("its address", async || {
        let address = browser.page.current_url().await.ok()?.to_string();
        (address != "about:blank").then_some(address)
    })
    .await;
    assert_eq!(
        browser.script("return window.opener").await,
        json!(null),
        "it could steer the terminal's page"
    );
    browser.page.close_window().await.unwrap();
    browser.page.switch_to_window(this.clone()).await.unwrap();
    address
}

#[tokio::test]
async fn an_address_in_the_text_is_opened_in_a_new_tab() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    let session = browser.open_terminal(&stack).await;
    stack.tmux.run(&["resize-pane", "-Z", "-t", &format!("={session}:")]).unwrap();
    let address = format!("{}/linked?a=1#b", stack.origin());
    browser.type_text(&format!("clear; printf '%s\\n' 'see ' '{address}.'\n")).await;
    let there = place(&browser, &address).await;
    point_at(&browser, there).await;
    browser.picture("link").await;
    let this = browser.page.window().await.unwrap();
    click(&browser, there).await;
    assert_eq!(opened(&browser, &this).await, address);
    browser.state("terminal-state", "live", wait::PATIENCE).await;
    browser.close().await;
}

/// Types a link with a text of its own; what is typed is what the terminal gets.
async fn type_link(browser: &Browser, address: &str, text: &str) {
    let (escape, bell) = (char::from(Key::Escape), format!("{}g", char::from(Key::Control)));
    browser.type_text(&format!("\n{escape}]8;;{address}")).await;
    browser.type_text(&bell).await;
    browser.type_text(&format!("{text}{escape}]8;;")).await;
    browser.type_text(&bell).await;
}

#[tokio::test]
async fn a_link_with_a_text_of_its_own_tells_where_it_leads_before_it_is_opened() {
    // tmux knows such links from 3.4 on only; without it, any does.
    let mut stack = Stack::start_gateway().await;
    write_agent_config(&stack.path(""), &programs::built("echo-ttyd"));
    stack.enroll("main");
    stack.start_agent().await;
    let browser = Browser::open(1200, 800).await;
    browser.open_terminal(&stack).await;
    let address = format!("{}/elsewhere", stack.origin());
    type_link(&browser, &address, "the-manual").await;
    let there = place(&browser, "the-manual").await;
    point_at(&browser, there).await;
    browser.picture("link-with-text").await;
    let this = browser.page.window().await.unwrap();

    click(&browser, there).await;
    let question = browser.page.get_alert_text().await.unwrap();
    assert!(question.contains("Open this address?") && question.contains(&address), "{question}");
    browser.page.dismiss_alert().await.unwrap();
    assert_eq!(browser.page.windows().await.unwrap().len(), 1, "it was opened though refused");

    point_at(&browser, there).await;
    click(&browser, there).await;
    browser.page.get_alert_text().await.unwrap();
    browser.page.accept_alert().await.unwrap();
    assert_eq!(opened(&browser, &this).await, address);

    // What would run in this page, or reach for another program, is nothing to click at.
    for (address, text) in [("javascript:alert(1)", "a-script"), ("file:///etc/passwd", "a-file")] {
        type_link(&browser, address, text).await;
        let there = place(&browser, text).await;
        click(&browser, there).await;
        assert!(browser.page.get_alert_text().await.is_err(), "{address} was followed");
        assert_eq!(browser.page.windows().await.unwrap().len(), 1, "{address} was opened");
    }
    browser.close().await;
}
