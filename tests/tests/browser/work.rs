//! What a user does, in a real browser: sign in, make a session, work in it, and go on through every crash.

use std::time::{Duration, Instant};

use berth_tests::process::kill_child;
use berth_tests::{Browser, Stack, wait};

/// How soon a terminal must be back after a crash.
const BACK: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_user_works_in_a_terminal() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    let session = browser.open_terminal(&stack).await;
    browser.type_text("echo $((6*7))\n").await;
    browser.shows("\n42").await;
    browser.picture("terminal").await;

    let before = stack.tmux.size(&session).unwrap();
    browser.page.set_window_size(900, 600).await.unwrap();
    wait::until("tmux to follow the window", async || {
        let (columns, rows) = stack.tmux.size(&session)?;
        (columns < before.0 && rows < before.1).then_some(())
    })
    .await;

    browser.page.refresh().await.unwrap();
    browser.state("terminal-state", "live", wait::PATIENCE).await;
    browser.shows("echo $((6*7))").await;
    browser.close().await;
}

#[tokio::test]
async fn paste_and_mouse_reach_tmux() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    let session = browser.open_terminal(&stack).await;
    browser.shows("~/projects").await;
    let paste = "const data = new DataTransfer();
        data.setData('text/plain', 'echo grün-🌲-$((6*7))');
        const event = { clipboardData: data, bubbles: true, cancelable: true };
        document.querySelector('.xterm-helper-textarea').dispatchEvent(new ClipboardEvent('paste', event));";
    browser.script(paste).await;
    browser.shows("echo grün-🌲-$((6*7))").await;
    browser.type_text("\n").await;
    browser.shows("\ngrün-🌲-42").await;

    let active =
        async || stack.tmux.run(&["display-message", "-p", "-t", &format!("={session}:"), "#{pane_index}"]);
    assert_eq!(active().await.as_deref(), Some("0"));
    // The shell's pane is in the lower right corner.
    browser.click(1000, 600).await;
    wait::until("tmux to select the pane that was clicked", async || {
        active().await.filter(|index| index == "2").map(drop)
    })
    .await;
    browser.close().await;
}

#[tokio::test]
async fn a_session_is_renamed_and_deleted_in_the_page() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    let session = browser.open_terminal(&stack).await;
    browser.goto(stack.origin()).await;
    browser.element("session-rename").await.click().await.unwrap();
    let name = browser.element("session-rename-name").await;
    name.clear().await.unwrap();
    name.send_keys("renamed").await.unwrap();
    browser.element("session-rename-submit").await.click().await.unwrap();
    wait::until("the new name", async || {
        let text = browser.element("session-row").await.text().await.ok()?;
        text.contains("renamed").then_some(())
    })
    .await;
    browser.picture("workspaces").await;

    assert_eq!(stack.tmux.sessions(), [session]);
    browser.element("session-delete").await.click().await.unwrap();
    browser.element("session-delete-confirm").await;
    browser.picture("delete").await;
    browser.dark(true).await;
    browser.picture("delete-dark").await;
    browser.element("session-delete-confirm").await.click().await.unwrap();
    wait::until("tmux to end the session", async || stack.tmux.sessions().is_empty().then_some(())).await;
    wait::until("the row to go", async || {
        let rows =
            browser.script("return document.querySelectorAll('[data-testid=session-row]').length").await;
        (rows == 0).then_some(())
    })
    .await;
    browser.close().await;
}

#[tokio::test]
async fn a_terminal_comes_back_after_every_crash_without_a_reload() {
    let mut stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    let session = browser.open_terminal(&stack).await;
    browser.script("window.notReloaded = true").await;
    let pids = stack.tmux.pane_pids(&session);
    assert_eq!(pids.len(), 3);
    browser.type_text("echo before-$((40+2))\n").await;
    browser.shows("before-42").await;

    for program in ["ttyd", "agent", "gateway"] {
        browser.script(WATCH).await;
        let crash = Instant::now();
        match program {
            "ttyd" => kill_child(stack.agent.pid(), "ttyd"),
            "agent" => {
                stack.agent.kill();
                stack.agent.start();
            }
            _ => {
                stack.gateway.kill();
                stack.gateway.start();
            }
        }
        comes_back(&browser, program, crash).await;
        assert_eq!(stack.tmux.pane_pids(&session), pids, "tmux did not survive the death of {program}");
    }
    assert_eq!(browser.script("return window.notReloaded === true").await, true);
    browser.close().await;
}

/// Notes every state that the terminal goes through from now on.
const WATCH: &str = "
    const state = document.querySelector('[data-testid=terminal-state]');
    window.states = [];
    window.watching?.disconnect();
    window.watching = new MutationObserver(() => window.states.push(state.dataset.state));
    window.watching.observe(state, { attributes: true, attributeFilter: ['data-state'] });";

/// Within [`BACK`] of the crash the page was away and is live again, and what is typed then arrives.
async fn comes_back(browser: &Browser, program: &str, crash: Instant) {
    let left = BACK.saturating_sub(crash.elapsed());
    wait::within(left, &format!("the page to come back after the death of {program}"), async || {
        let states = browser.script("return window.states").await;
        let states = states.as_array()?;
        (states.len() > 1 && states.last()? == "live").then_some(())
    })
    .await;
    browser.type_text(&format!("echo after-{program}-$((40+2))\n")).await;
    browser.shows(&format!("after-{program}-42")).await;
}

#[tokio::test]
async fn an_offline_box_is_said_to_be_offline_and_comes_back_by_itself() {
    let mut stack = Stack::start().await;
    let browser = Browser::open(390, 844).await;
    let session = browser.open_terminal(&stack).await;
    browser.picture("terminal-phone").await;
    stack.agent.stop();
    browser.state("terminal-state", "offline", wait::PATIENCE).await;
    browser.picture("terminal-offline-phone").await;
    stack.start_agent().await;
    browser.state("terminal-state", "live", BACK).await;

    browser.goto(stack.origin()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    browser.picture("workspaces-phone").await;
    let wider = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
    assert_eq!(browser.script(wider).await, false, "the page scrolls sideways on a phone");
    assert_eq!(stack.tmux.sessions(), [session]);
    browser.close().await;
}

#[tokio::test]
async fn without_a_session_the_page_says_how_to_sign_in() {
    let stack = Stack::start_gateway().await;
    let browser = Browser::open(1200, 800).await;
    browser.goto(stack.origin()).await;
    browser.css("[data-testid='signed-out'] summary").await.click().await.unwrap();
    let text = browser.element("signed-out").await.text().await.unwrap();
    assert!(text.contains("gateway sign-in-link"), "{text}");
    browser.picture("signed-out").await;

    let link = stack.sign_in_link();
    browser.goto(&link).await;
    browser.state("box-state", "not_enrolled", wait::PATIENCE).await;
    assert!(!browser.page.current_url().await.unwrap().as_str().contains("code="));
    browser.picture("not-enrolled").await;

    browser.page.delete_all_cookies().await.unwrap();
    browser.goto(&link).await;
    browser.element("sign-in-failed").await;
    browser.close().await;
}
