//! The terminal on a phone: fingers, the bar of keys, an on-screen keyboard that covers half of it, composition.

use berth_tests::{Browser, Stack, wait};
use serde_json::json;

/// What an on-screen keyboard does to a page: the layout stays, the visible part shrinks.
const KEYBOARD: &str = "
    Object.defineProperty(visualViewport, 'height', { value: arguments[0], configurable: true });
    visualViewport.dispatchEvent(new Event('resize'));";

/// Where the cursor's row ends and where the bar of keys begins.
const CURSOR_AND_BAR: &str = "
    const bottom = document.querySelector('.xterm-cursor').getBoundingClientRect().bottom;
    return [bottom, document.querySelector('[data-testid=extra-keys]').getBoundingClientRect().top];";

/// Opens a terminal whose shell has a prompt that is the same for every user.
async fn open(stack: &Stack) -> (Browser, String) {
    let browser = Browser::open_phone(390, 844).await;
    browser.allow_clipboard(stack.origin()).await;
    let session = browser.open_terminal(stack).await;
    browser.type_text("PS1='p''> '; clear\n").await;
    browser.shows("p> ").await;
    browser.press("terminal-menu").await;
    browser.picture("phone-menu").await;
    // Three panes are two too many for a phone.
    browser.press("menu-zoom").await;
    wait::until("the pane to be zoomed", async || {
        (stack.tmux.says(&session, "#{window_zoomed_flag}") == "1").then_some(())
    })
    .await;
    (browser, session)
}

/// Presses a key of the bar.
async fn key(browser: &Browser, label: &str) {
    let selector = format!("[data-testid=extra-keys] button[aria-label^='{label}']");
    let script = "document.querySelector(arguments[0]).click()";
    browser.page.execute(script, vec![selector.into()]).await.unwrap();
}

#[tokio::test]
async fn the_keyboard_covers_the_terminal_without_resizing_it() {
    let stack = Stack::start().await;
    let (browser, session) = open(&stack).await;
    browser.type_text("seq 200\n").await;
    browser.shows("\n200").await;
    let size = stack.tmux.size(&session).unwrap();
    browser.page.execute(KEYBOARD, vec![json!(500)]).await.unwrap();
    wait::until("the cursor to be above the keyboard", async || {
        let places = browser.script(CURSOR_AND_BAR).await;
        let (cursor, bar) = (places[0].as_f64()?, places[1].as_f64()?);
        (cursor <= bar && bar < 500.0).then_some(())
    })
    .await;
    browser.type_text("echo under-$((40+2))\n").await;
    browser.shows("under-42").await;
    browser.picture("phone-keyboard").await;
    assert_eq!(stack.tmux.size(&session).unwrap(), size, "the keyboard resized the pane");
    browser.page.execute(KEYBOARD, vec![json!(844)]).await.unwrap();
    wait::until("the terminal to be back in its place", async || {
        let moved = "return document.querySelector('[data-testid=terminal]').style.transform";
        (browser.script(moved).await == "").then_some(())
    })
    .await;
    assert_eq!(stack.tmux.size(&session).unwrap(), size);
    browser.close().await;
}

/// The size of the terminal's text, in pixels.
async fn font_size(browser: &Browser) -> f64 {
    let script = "const rows = document.querySelector('.xterm-rows');
        return rows ? parseFloat(getComputedStyle(rows).fontSize) : 0;";
    browser.script(script).await.as_f64().unwrap_or_default()
}

#[tokio::test]
async fn fingers_scroll_the_history_and_set_the_size_of_the_text() {
    let stack = Stack::start().await;
    let (browser, session) = open(&stack).await;
    browser.type_text("seq 1000 1500\n").await;
    browser.shows("1500").await;
    browser.touch("touchStart", &[(200.0, 300.0)]).await;
    for y in 1..=10 {
        browser.touch("touchMove", &[(200.0, 300.0 + 20.0 * f64::from(y))]).await;
    }
    browser.touch("touchEnd", &[]).await;
    wait::until("tmux to scroll", async || {
        stack.tmux.says(&session, "#{scroll_position}").parse::<u32>().ok().filter(|lines| *lines > 3)
    })
    .await;
    browser.picture("phone-history").await;
    browser.type_text("q").await;

    let before = stack.tmux.size(&session).unwrap();
    let usual = font_size(&browser).await;
    browser.touch("touchStart", &[(180.0, 300.0), (220.0, 300.0)]).await;
    for by in [10.0, 20.0, 30.0] {
        browser.touch("touchMove", &[(180.0 - by, 300.0), (220.0 + by, 300.0)]).await;
    }
    browser.touch("touchEnd", &[]).await;
    // The last of the sizes that the fingers went through is the one that has to stay.
    let remembered = "return localStorage.getItem('berth.font-size')";
    let chosen = wait::until("the size to be kept", async || {
        browser.script(remembered).await.as_str()?.parse::<f64>().ok().filter(|size| *size > usual)
    })
    .await;
    let drawn = async || {
        let fewer = stack.tmux.size(&session)?.0 < before.0;
        (fewer && (font_size(&browser).await - chosen).abs() < 0.5).then_some(())
    };
    wait::until("the text to be larger", drawn).await;
    browser.picture("phone-pinched").await;
    browser.page.refresh().await.unwrap();
    browser.state("terminal-state", "live", wait::PATIENCE).await;
    wait::until("the size to be remembered", drawn).await;
    browser.close().await;
}

#[tokio::test]
async fn the_bar_has_what_phones_lack_and_the_users_own_snippets() {
    let stack = Stack::start().await;
    let (browser, _) = open(&stack).await;
    browser.type_text("echo a b").await;
    // Alt-b goes back a word.
    key(&browser, "Alt").await;
    browser.type_text("b").await;
    browser.type_text("x").await;
    for label in ["Pipe", "Slash", "Tilde"] {
        key(&browser, label).await;
    }
    browser.shows("echo a x|/~b").await;
    key(&browser, "Control C").await;
    browser.shows("^C").await;

    browser.script("navigator.clipboard.writeText('echo pasted')").await;
    key(&browser, "Paste").await;
    browser.shows("p> echo pasted").await;
    key(&browser, "Control C").await;

    key(&browser, "Snippets").await;
    browser.element("snippet-text").await.send_keys("echo snip-$((40+2))").await.unwrap();
    browser.press("snippet-add").await;
    browser.element("snippet-send").await;
    browser.picture("phone-snippets").await;
    browser.page.refresh().await.unwrap();
    browser.state("terminal-state", "live", wait::PATIENCE).await;
    key(&browser, "Snippets").await;
    browser.press("snippet-send").await;
    browser.shows("\nsnip-42").await;
    key(&browser, "Snippets").await;
    browser.press("snippet-remove").await;
    assert_eq!(browser.script("return localStorage['berth.snippets']").await, "[]");
    browser.close().await;
}

#[tokio::test]
async fn composed_text_arrives_once_and_whole() {
    let stack = Stack::start().await;
    let (browser, _) = open(&stack).await;
    browser.type_text("echo ").await;
    for word in ["hello", "wörld", "日本語"] {
        let mut so_far = String::new();
        for letter in word.chars() {
            so_far.push(letter);
            let end = so_far.encode_utf16().count();
            let composition = json!({ "text": so_far, "selectionStart": end, "selectionEnd": end });
            browser.devtools("Input.imeSetComposition", composition).await;
        }
        browser.devtools("Input.insertText", json!({ "text": word })).await;
        browser.shows(word).await;
        browser.type_text("-").await;
    }
    browser.type_text("\n").await;
    browser.shows("\nhello-wörld-日本語-").await;
    browser.close().await;
}

#[tokio::test]
async fn the_page_can_be_installed() {
    let stack = Stack::start_gateway().await;
    let browser = Browser::open_phone(390, 844).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-state", "not_enrolled", wait::PATIENCE).await;
    let errors = browser.devtools("Page.getInstallabilityErrors", json!({})).await;
    assert_eq!(errors["installabilityErrors"], json!([]));
    browser.close().await;
}
