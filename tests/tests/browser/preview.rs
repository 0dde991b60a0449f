//! A preview in a real browser: it is let in by itself, works, and can do nothing to the console.

use berth_tests::{Browser, Stack, Upstream, wait};
use http::Method;
use serde_json::json;

/// The page of a preview whose script is somebody else's.
async fn open(stack: &Stack, browser: &Browser, port: u16) -> String {
    let client = stack.client().await;
    client.wait_for_box("online").await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    let path = format!("/workspaces/{}/previews", client.workspace().await);
    let made = client.call(Method::POST, &path, Some(json!({ "port": port }))).await;
    made.body["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_preview_opens_by_itself_in_a_browser_that_is_signed_in_and_in_no_other() {
    let (stack, upstream) = (Stack::start().await, Upstream::start().await);
    let browser = Browser::open(1000, 800).await;
    let url = open(&stack, &browser, upstream.port).await;
    browser.goto(&format!("{url}page?a=b")).await;
    assert_eq!(browser.script("return location.href").await, json!(format!("{url}page?a=b")));
    assert_eq!(browser.script("return document.body.textContent").await, "GET /page?a=b HTTP/1.1");
    browser.close().await;

    let other = Browser::open(1000, 800).await;
    other.goto(&url).await;
    let at = other.script("return location.origin").await;
    assert_eq!(at, json!(stack.origin()), "whoever is not signed in ends at the console");
    other.close().await;
}

#[tokio::test]
async fn a_script_of_a_preview_can_do_nothing_to_the_console() {
    let (stack, upstream) = (Stack::start().await, Upstream::start().await);
    let browser = Browser::open(1000, 800).await;
    let url = open(&stack, &browser, upstream.port).await;
    browser.goto(&url).await;
    let console = stack.origin();
    assert_eq!(browser.script("return document.cookie").await, "", "a cookie of ours can be read");
    // Everything that a page can try; each says what came of it.
    let script = format!(
        "const console_ = {console:?};
         const outcome = async (act) => {{ try {{ return await act(); }} catch (error) {{ return 'failed'; }} }};
         const socket = () => new Promise((resolve) => {{
           const socket = new WebSocket(console_.replace('http', 'ws') + '/api/v1/sessions/ses-x/terminal', ['berth.v1']);
           socket.onopen = () => resolve('opened');
           socket.onerror = () => resolve('failed');
         }});
         const frame = () => new Promise((resolve) => {{
           const frame = document.createElement('iframe');
           frame.onload = () => {{
             try {{ resolve(frame.contentDocument && frame.contentDocument.title); }} catch {{ resolve('failed'); }}
           }};
           frame.src = console_ + '/';
           document.body.append(frame);
           setTimeout(() => resolve('failed'), 3000);
         }});
         document.cookie = 'tossed=1; domain=127.0.0.1';
         document.cookie = 'tossed=1; domain=localhost';
         return (async () => ({{
           read: await outcome(async () => (await fetch(console_ + '/api/v1/me', {{ credentials: 'include' }})).status),
           acted: await outcome(async () => (await fetch(console_ + '/api/v1/sign-out',
             {{ method: 'POST', credentials: 'include', mode: 'no-cors' }})).type),
           socket: await outcome(socket),
           frame: (await outcome(frame)) || 'failed',
           tossed: document.cookie,
         }}))();"
    );
    let found = browser.script(&script).await;
    assert_eq!(found["read"], "failed", "{found}");
    assert_eq!(found["socket"], "failed", "{found}");
    assert_eq!(found["frame"], "failed", "{found}");
    assert_eq!(found["tossed"], "", "{found}");
    // What it acted blindly came to nothing: the console is still signed in, and has no cookie but its own.
    browser.goto(console).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    let cookies = browser.page.get_all_cookies().await.unwrap();
    let names: Vec<&str> = cookies.iter().map(|cookie| cookie.name()).collect();
    assert!(names.iter().all(|name| name.starts_with("berth-")), "{names:?}");
    browser.close().await;
}

#[tokio::test]
async fn a_program_that_listens_is_found_opened_made_public_and_deleted_in_the_page() {
    let (stack, upstream) = (Stack::start().await, Upstream::start().await);
    let browser = Browser::open(1000, 1200).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    let row = format!("[data-testid='port-row'][data-port='{}']", upstream.port);
    browser.css(&format!("{row} [data-testid='port-state'][data-state='listening']")).await;
    browser.css(&format!("{row} [data-testid='port-open']")).await.click().await.unwrap();
    browser.css(&format!("{row} [data-testid='preview-visibility'][data-state='private']")).await;
    let windows = wait::until("the preview's window", async || {
        browser.page.windows().await.ok().filter(|windows| windows.len() == 2)
    })
    .await;
    let console = browser.page.window().await.unwrap();
    let page = windows.into_iter().find(|window| *window != console).unwrap();
    browser.page.switch_to_window(page).await.unwrap();
    wait::until("the preview to be shown", async || {
        let shown = browser.page.execute("return document.body.textContent", vec![]).await.ok()?;
        (shown == "GET / HTTP/1.1").then_some(())
    })
    .await;
    assert_eq!(browser.script("return window.opener").await, serde_json::Value::Null);
    browser.page.close_window().await.unwrap();
    browser.page.switch_to_window(console).await.unwrap();

    browser.css(&format!("{row} [data-testid='preview-manage']")).await.click().await.unwrap();
    browser.press("preview-public").await;
    browser.picture("preview-public").await;
    browser.press("preview-public-confirm").await;
    browser.css(&format!("{row} [data-testid='preview-visibility'][data-state='public']")).await;
    browser.press("preview-private").await;
    browser.css(&format!("{row} [data-testid='preview-visibility'][data-state='private']")).await;
    browser.css("dialog [aria-label='Close']").await.click().await.unwrap();
    browser.picture("previews").await;
    browser.css(&format!("{row} [data-testid='preview-delete']")).await.click().await.unwrap();
    browser.css(&format!("{row} [data-testid='port-open']")).await;
    drop(upstream);
    wait::until("the row to go", async || {
        browser.page.find(fantoccini::Locator::Css(&row)).await.is_err().then_some(())
    })
    .await;
    browser.close().await;
}
