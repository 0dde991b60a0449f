//! The terminal in a real browser, beyond typing: local echo, paste, copy, panes, search and history.

use std::time::Duration;

use berth_tests::{Browser, Stack, wait};
use fantoccini::key::Key;
use serde_json::json;

/// Each way. A keystroke's echo takes twice as long.
const DELAY: u32 = 200;

/// Keeps every text that is shown ahead of the box.
const WATCH_GUESSES: &str = "
    const layer = document.querySelector('[data-testid=predictions]');
    window.guesses = [];
    new MutationObserver(() => window.guesses.push(layer.textContent)).observe(layer, { childList: true });";

/// The guesses shown since the last call, joined.
async fn guesses(browser: &Browser) -> String {
    let seen =
        browser.script("const seen = window.guesses; window.guesses = []; return seen.join('\\n')").await;
    seen.as_str().unwrap_or_default().to_owned()
}

/// Gives the shell a prompt that is the same for every user.
async fn prompt(browser: &Browser) {
    browser.type_text("PS1='p''> '; clear\n").await;
    browser.shows("p> ").await;
}

/// Presses an item of the terminal's menu.
async fn choose(browser: &Browser, item: &str) {
    browser.press("terminal-menu").await;
    browser.press(&format!("menu-{item}")).await;
}

/// Pastes, as the browser's own menu does.
async fn paste(browser: &Browser, text: &str) {
    let script = "const data = new DataTransfer();
        data.setData('text/plain', arguments[0]);
        document.querySelector('.xterm-helper-textarea').dispatchEvent(
            new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));";
    browser.page.execute(script, vec![text.into()]).await.unwrap();
}

/// Waits until tmux says `expected` of the session's active pane.
async fn tmux_says(stack: &Stack, session: &str, format: &str, expected: &str) {
    let look = async || (stack.tmux.says(session, format) == expected).then_some(());
    if wait::try_within(wait::PATIENCE, look).await.is_none() {
        panic!("{format} is not {expected}, but {}", stack.tmux.says(session, format));
    }
}

#[tokio::test]
async fn on_a_slow_connection_typing_is_seen_before_the_box_answers_but_no_secret_is() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    browser.slow_sockets(DELAY).await;
    browser.open_terminal(&stack).await;
    prompt(&browser).await;
    wait::until("the round trip to be known", async || {
        let text = browser.element("terminal-state").await.text().await.ok()?;
        text.contains(" ms").then_some(())
    })
    .await;
    browser.script(WATCH_GUESSES).await;
    browser.type_text("echo o").await;
    browser.shows("p> echo o").await;
    guesses(&browser).await;
    browser.type_text("ne two").await;
    let ahead =
        browser.script("return document.querySelector('[data-testid=predictions]').textContent").await;
    browser.picture("local-echo").await;
    browser.shows("echo one two").await;
    assert!(guesses(&browser).await.contains("ne two"), "nothing was shown ahead of the box ({ahead})");
    wait::until("the guesses to give way to the echo", async || {
        let left = "return document.querySelector('[data-testid=predictions]').childElementCount";
        (browser.script(left).await == 0).then_some(())
    })
    .await;

    // One prompt that says what it asks for, and one that does not.
    for prompt in ["Password: ", "> "] {
        browser.type_text(&format!("\nread -s -p '{prompt}' x; echo; echo $prompt got-${{#x}}\n")).await;
        browser.shows(&format!("\n{prompt}")).await;
        guesses(&browser).await;
        browser.type_text("hunter2").await;
        // A second is far longer than any guess waits.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let seen = guesses(&browser).await;
        browser.type_text("\n").await;
        browser.shows("got-7").await;
        assert_eq!(seen.trim(), "", "a secret was shown behind {prompt:?}");
        browser.type_text("clear\n").await;
    }

    choose(&browser, "predict").await;
    browser.type_text("echo off").await;
    browser.shows("echo off").await;
    guesses(&browser).await;
    browser.type_text(" still").await;
    browser.shows("echo off still").await;
    assert_eq!(guesses(&browser).await, "", "local echo is not off");
    assert_eq!(browser.script("return localStorage['berth.local-echo']").await, "false");
    browser.close().await;
}

#[tokio::test]
async fn several_lines_are_pasted_only_after_asking() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    browser.open_terminal(&stack).await;
    prompt(&browser).await;
    paste(&browser, "echo one-line").await;
    browser.shows("echo one-line").await;
    browser.type_text("\n").await;

    let lines = "echo a-$((40+2))\necho b-$((40+2))\n";
    paste(&browser, lines).await;
    let text = browser.element("paste-dialog").await.text().await.unwrap();
    assert!(text.contains("Paste 2 lines?") && text.contains("echo a-$((40+2))"), "{text}");
    browser.picture("paste").await;
    browser
        .script("document.querySelector('dialog').dispatchEvent(new Event('cancel', { cancelable: true }))")
        .await;
    browser.type_text("echo refused\n").await;
    browser.shows("\nrefused").await;
    assert!(!browser.screen().await.contains("a-42"), "it was pasted though refused");

    paste(&browser, lines).await;
    browser.css("[data-testid=paste-dialog] input[type=checkbox]").await.click().await.unwrap();
    browser.press("paste-confirm").await;
    // bash takes a marked paste as one text to be looked at; Enter runs it.
    browser.type_text("\n").await;
    browser.shows("b-42").await;
    paste(&browser, "echo c-$((40+2))\n").await;
    browser.type_text("\n").await;
    browser.shows("c-42").await;
    browser.close().await;
}

#[tokio::test]
async fn the_box_copies_to_the_clipboard_and_the_user_is_told() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    browser.allow_clipboard(stack.origin()).await;
    browser.open_terminal(&stack).await;
    prompt(&browser).await;
    browser.type_text("printf '\\033]52;c;%s\\a' $(printf from-the-box | base64)\n").await;
    let note = wait::until("the note", async || {
        let text = browser.element("terminal-note").await.text().await.ok()?;
        text.contains("12 characters").then_some(text)
    })
    .await;
    assert!(note.contains("Copied"), "{note}");
    browser.picture("copied").await;
    assert_eq!(browser.script("return navigator.clipboard.readText()").await, "from-the-box");

    // Without Shift the mouse is tmux's.
    browser.type_text("clear; echo by''-hand\n").await;
    browser.shows("by-hand").await;
    browser.drag_with_shift((9.0, 60.0), (300.0, 60.0)).await;
    browser.picture("selection").await;
    browser.press("copy-selection").await;
    wait::until("the selection to be copied", async || {
        let text = browser.script("return navigator.clipboard.readText()").await;
        (text == "by-hand").then_some(())
    })
    .await;
    browser.close().await;
}

#[tokio::test]
async fn panes_history_and_search_work_by_buttons() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    let session = browser.open_terminal(&stack).await;
    prompt(&browser).await;
    let size = stack.tmux.size(&session).unwrap();
    browser.type_text(&format!("{}=", char::from(Key::Control))).await;
    wait::until("the text to be larger", async || stack.tmux.size(&session).filter(|now| now.0 < size.0))
        .await;
    choose(&browser, "usual").await;
    wait::until("the text to be as before", async || stack.tmux.size(&session).filter(|now| *now == size))
        .await;

    let panes = stack.tmux.pane_pids(&session).len();
    let active = stack.tmux.says(&session, "#{pane_id}");
    browser.press("terminal-menu").await;
    browser.picture("terminal-menu").await;
    browser.press("menu-zoom").await;
    tmux_says(&stack, &session, "#{window_zoomed_flag}", "1").await;
    choose(&browser, "zoom").await;
    tmux_says(&stack, &session, "#{window_zoomed_flag}", "0").await;
    choose(&browser, "nextPane").await;
    wait::until("another pane", async || (stack.tmux.says(&session, "#{pane_id}") != active).then_some(()))
        .await;
    choose(&browser, "splitRight").await;
    tmux_says(&stack, &session, "#{window_panes}", &(panes + 1).to_string()).await;
    choose(&browser, "newWindow").await;
    tmux_says(&stack, &session, "#{session_windows}", "2").await;

    browser.type_text("clear; seq 1000 1500\n").await;
    browser.shows("1500").await;
    browser.wheel(400.0, 300.0, -500.0).await;
    tmux_says(&stack, &session, "#{pane_in_mode}", "1").await;
    browser.type_text("q").await;
    tmux_says(&stack, &session, "#{pane_in_mode}", "0").await;

    choose(&browser, "search").await;
    browser.element("search-text").await.send_keys("1137\n").await.unwrap();
    browser.shows("1137").await;
    browser.picture("search").await;
    browser.press("search-close").await;
    tmux_says(&stack, &session, "#{pane_in_mode}", "0").await;
    browser.type_text("echo back-$((40+2))\n").await;
    browser.shows("back-42").await;

    // Another prefix: tmux's own, and the menu is told.
    stack.tmux.run(&["set-option", "-g", "prefix", "C-a"]).unwrap();
    choose(&browser, "search").await;
    browser.element("search-text").await.send_keys("1137\n").await.unwrap();
    wait::until("the hint about the prefix", async || {
        let note = browser.element("terminal-note").await.text().await.ok()?;
        note.contains("prefix").then_some(())
    })
    .await;
    browser.press("search-close").await;
    browser.press("terminal-menu").await;
    let field = browser.element("menu-prefix").await;
    let keys = format!("{}a\t", char::from(Key::Backspace));
    field.send_keys(&keys).await.unwrap();
    choose(&browser, "newWindow").await;
    tmux_says(&stack, &session, "#{session_windows}", "3").await;
    browser.close().await;
}

/// What has the focus, by its test id.
async fn focused(browser: &Browser) -> String {
    let script = "return document.activeElement?.dataset.testid ?? ''";
    browser.script(script).await.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_menu_is_reached_used_and_left_by_keys_and_everything_in_it_has_a_name() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    let session = browser.open_terminal(&stack).await;
    prompt(&browser).await;
    let key = |key: Key| char::from(key).to_string();

    // Tab is the shell's until the terminal is left.
    browser.type_text(&format!("{}{}", key(Key::Shift), key(Key::F6))).await;
    let mut steps = 0;
    while focused(&browser).await != "terminal-menu" {
        assert!(steps < 30, "Tab does not lead to the menu");
        browser.keys(&key(Key::Tab)).await;
        steps += 1;
    }
    browser.keys(&key(Key::Enter)).await;
    wait::until("the first item to have the focus", async || {
        focused(&browser).await.starts_with("menu-").then_some(())
    })
    .await;
    browser.devtools("Accessibility.enable", json!({})).await;
    let tree = browser.devtools("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().unwrap();
    let of_role = |role: &str| -> Vec<&str> {
        let nodes = nodes.iter().filter(|node| node["role"]["value"] == role && node["ignored"] == false);
        nodes.map(|node| node["name"]["value"].as_str().unwrap_or_default()).collect()
    };
    assert_eq!(of_role("menu"), ["Terminal"]);
    let items = [of_role("menuitem"), of_role("menuitemcheckbox")].concat();
    assert!(items.len() > 10 && items.iter().all(|name| !name.is_empty()), "{items:?}");
    assert!(of_role("button").contains(&"Terminal menu"));
    assert!(of_role("textbox").iter().any(|name| name.contains("tmux prefix")));

    // Arrows lead to each, and round.
    let first = focused(&browser).await;
    let mut seen = vec![first.clone()];
    loop {
        browser.keys(&key(Key::Down)).await;
        let now = focused(&browser).await;
        if now == first {
            break;
        }
        assert!(!seen.contains(&now), "{now} has the focus twice: {seen:?}");
        seen.push(now);
    }
    assert_eq!(seen.len(), items.len());
    browser.keys(&key(Key::End)).await;
    assert_eq!(Some(&focused(&browser).await), seen.last());
    browser.keys(&key(Key::Home)).await;
    assert_eq!(focused(&browser).await, first);
    browser.keys(&key(Key::Escape)).await;
    assert_eq!(focused(&browser).await, "terminal-menu");

    browser.keys(&key(Key::Enter)).await;
    wait::until("the menu", async || focused(&browser).await.starts_with("menu-").then_some(())).await;
    while focused(&browser).await != "menu-zoom" {
        browser.keys(&key(Key::Down)).await;
    }
    browser.keys(&key(Key::Enter)).await;
    tmux_says(&stack, &session, "#{window_zoomed_flag}", "1").await;
    browser.close().await;
}
