//! Previews in a real browser: given to others by a link, opened after signing in, and beside a terminal.

use berth_tests::{Browser, Stack, Upstream, wait};
use http::Method;
use serde_json::json;

/// A stack whose box is online and has a preview of this port; the preview's address.
async fn published(port: u16) -> (Stack, berth_tests::Client, String) {
    let stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let path = format!("/workspaces/{}/previews", client.workspace().await);
    let made = client.call(Method::POST, &path, Some(json!({ "port": port }))).await;
    let url = made.body["url"].as_str().unwrap().to_owned();
    (stack, client, url)
}

/// Waits until the page, or the frame that was entered, says this.
async fn says(browser: &Browser, text: &str) {
    wait::until(text, async || {
        let shown = browser.page.execute("return document.body.textContent", vec![]).await.ok()?;
        (shown == text).then_some(())
    })
    .await;
}

/// Everything of the page that is wider than the window.
const TOO_WIDE: &str = "return [...document.querySelectorAll('dialog, dialog *')]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
    .map((element) => element.tagName + '.' + element.className)";

#[tokio::test]
async fn a_link_is_made_given_to_a_phone_and_ended_in_the_page() {
    let upstream = Upstream::start().await;
    let (stack, _, url) = published(upstream.port).await;
    let browser = Browser::open(1000, 1100).await;
    browser.allow_clipboard(stack.origin()).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    browser.press("preview-manage").await;
    browser.state("preview-requests", "live", wait::PATIENCE).await;
    browser.press("preview-link-create").await;
    browser.state("preview-visibility", "link", wait::PATIENCE).await;
    let link = browser.script("return navigator.clipboard.readText()").await;
    let link = link.as_str().unwrap().to_owned();
    assert!(link.starts_with(&format!("{}/preview-link#", stack.origin())), "{link}");
    browser.press("preview-link-qr").await;
    browser.css("[data-testid='preview-link'] [data-testid='qr-code']").await;

    // Somebody without an account, on a phone.
    let phone = Browser::open_phone(390, 844).await;
    phone.goto(&link).await;
    says(&phone, "GET / HTTP/1.1").await;
    assert_eq!(phone.script("return location.href").await, json!(url));
    let asked = format!("{:?}", upstream.seen());
    let code = link.split('#').nth(1).unwrap();
    assert!(!asked.contains(code) && !asked.contains("berth-"), "{asked}");
    assert_eq!(phone.script("return document.referrer").await, "");
    phone.page.back().await.unwrap();
    assert!(!phone.page.current_url().await.unwrap().as_str().contains(code), "the code is in the history");
    phone.goto(&format!("{url}second?token=secret")).await;
    says(&phone, "GET /second?token=secret HTTP/1.1").await;

    // The maker sees what is asked, as it comes.
    wait::until("the requests to be shown", async || {
        let shown = browser
            .script("return [...document.querySelectorAll('.path')].map((one) => one.textContent)")
            .await;
        let shown = shown.to_string();
        (shown.contains("GET /second?…") && !shown.contains("secret")).then_some(())
    })
    .await;
    wait::until("the link to be told as opened", async || {
        let link = browser.element("preview-link").await;
        link.text().await.ok()?.contains("opened once").then_some(())
    })
    .await;
    browser.picture("preview-dialog").await;
    browser.dark(true).await;
    browser.picture("preview-dialog-dark").await;
    browser.press("preview-link-end").await;
    browser.state("preview-visibility", "private", wait::PATIENCE).await;
    phone.goto(&link).await;
    phone.element("preview-link-failed").await;
    phone.picture("preview-link-failed-phone").await;
    phone.close().await;
    browser.close().await;
}

#[tokio::test]
async fn the_dialog_fits_a_phone_and_changes_how_the_program_is_spoken_to() {
    let upstream = Upstream::start().await;
    let (stack, client, _) = published(upstream.port).await;
    let phone = Browser::open_phone(390, 844).await;
    phone.goto(&stack.sign_in_link()).await;
    phone.state("box-state", "online", wait::PATIENCE).await;
    phone.picture("previews-phone").await;
    phone.press("preview-manage").await;
    phone.press("preview-link-create").await;
    phone.element("preview-link").await;
    assert_eq!(phone.script(TOO_WIDE).await, json!([]));
    phone.picture("preview-dialog-phone").await;
    phone.dark(true).await;
    phone.script("document.querySelector('dialog').scrollTo(0, 10000)").await;
    phone.picture("preview-dialog-phone-dark").await;
    let mode = phone.element("preview-mode").await;
    mode.select_by_value("transparent").await.unwrap();
    let path = format!("/workspaces/{}/previews", client.workspace().await);
    wait::until("the mode to be stored", async || {
        (client.get(&path).await["previews"][0]["mode"] == "transparent").then_some(())
    })
    .await;
    phone.close().await;
}

#[tokio::test]
async fn whoever_signs_in_for_a_preview_is_taken_to_it() {
    let upstream = Upstream::start().await;
    let (stack, _, url) = published(upstream.port).await;
    let browser = Browser::open(1000, 800).await;
    browser.goto(&format!("{url}page?a=b")).await;
    browser.element("to-preview").await;
    browser.picture("sign-in-for-preview").await;
    browser.goto(&stack.sign_in_link()).await;
    says(&browser, "GET /page?a=b HTTP/1.1").await;
    assert_eq!(browser.script("return location.href").await, json!(format!("{url}page?a=b")));
    browser.close().await;
}

#[tokio::test]
async fn a_preview_is_shown_beside_the_terminal_and_can_not_leave_its_frame() {
    let upstream = Upstream::start().await;
    let (stack, _, url) = published(upstream.port).await;
    let browser = Browser::open(1200, 800).await;
    let session = browser.open_terminal(&stack).await;
    let width = async || -> u64 {
        browser.script("return document.querySelector('.xterm-screen').clientWidth").await.as_u64().unwrap()
    };
    let before = width().await;
    browser.press("terminal-menu").await;
    browser.press("menu-preview").await;
    let frame = browser.element("preview-frame").await;
    frame.enter_frame().await.unwrap();
    says(&browser, "GET / HTTP/1.1").await;
    // Its own requests carry its right, WebSockets too; the console is out of reach.
    let script = format!(
        "return (async () => {{
           const socket = new WebSocket({url:?}.replace('http', 'ws') + 'ws');
           const opened = await new Promise((resolve) => {{
             socket.onopen = () => resolve('opened');
             socket.onerror = () => resolve('failed');
           }});
           let above = 'failed';
           try {{ above = window.top.document.title; }} catch {{}}
           let led = 'failed';
           try {{ window.top.location.href = 'https://evil.example/'; led = 'led'; }} catch {{}}
           return {{
             own: await (await fetch('/own')).text(), opened, above, led, cookie: document.cookie,
             nested: window.top !== window,
           }};
         }})()"
    );
    let found = browser.script(&script).await;
    let expected = json!({
        "own": "GET /own HTTP/1.1", "opened": "opened", "above": "failed", "led": "failed", "cookie": "", "nested": true,
    });
    assert_eq!(found, expected);
    browser.page.clone().enter_parent_frame().await.unwrap();
    assert!(browser.script("return location.pathname").await.as_str().unwrap().starts_with("/sessions/"));
    // The terminal has made room, and goes on.
    wait::until("the terminal to be narrower", async || (width().await < before).then_some(())).await;
    browser.type_text("echo $((6*7))\n").await;
    browser.shows("42").await;
    browser.picture("preview-beside").await;
    let line = browser.element("split-line").await;
    line.send_keys("\u{e012}\u{e012}\u{e012}").await.unwrap();
    browser.picture("preview-beside-wider").await;
    browser.press("preview-pane-reload").await;
    browser.element("preview-frame").await.enter_frame().await.unwrap();
    says(&browser, "GET / HTTP/1.1").await;
    browser.page.clone().enter_parent_frame().await.unwrap();
    browser.press("preview-pane-close").await;
    wait::until("the terminal to have its room again", async || (width().await == before).then_some(()))
        .await;
    browser.close().await;

    let phone = Browser::open_phone(390, 844).await;
    phone.goto(&stack.sign_in_link()).await;
    phone.state("box-state", "online", wait::PATIENCE).await;
    phone.goto(&format!("{}/sessions/{session}", stack.origin())).await;
    phone.state("terminal-state", "live", wait::PATIENCE).await;
    phone.press("terminal-menu").await;
    phone.press("menu-preview").await;
    phone.element("preview-frame").await.enter_frame().await.unwrap();
    says(&phone, "GET / HTTP/1.1").await;
    phone.page.clone().enter_parent_frame().await.unwrap();
    phone.picture("preview-beside-phone").await;
    phone.close().await;
}
