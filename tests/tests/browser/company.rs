//! Several people at one session, in real browsers: a phone beside a desk, and a guest who watches.

use berth_tests::{Browser, Stack, wait};

/// Waits until an attribute of the button that tells of others has a value.
async fn company(browser: &Browser, attribute: &str, value: &str) {
    let selector = format!("[data-testid='company'][data-{attribute}='{value}']");
    browser.css(&selector).await;
}

/// Waits until the session is as wide as the page's grid, which is not `other`; how wide that is.
async fn width_other_than(stack: &Stack, session: &str, other: u16) -> u16 {
    wait::until("another size", async || {
        let width = stack.tmux.size(session)?.0;
        (width != other).then_some(width)
    })
    .await
}

#[tokio::test]
async fn a_phone_joins_a_desk_sees_all_of_it_takes_the_size_and_gives_it_back() {
    let stack = Stack::start().await;
    let desk = Browser::open(1200, 800).await;
    let session = desk.open_terminal(&stack).await;
    desk.type_text("clear; echo at-the-desk-$((40+2))\n").await;
    desk.shows("at-the-desk-42").await;
    let wide = stack.tmux.size(&session).unwrap().0;
    assert!(wide > 100, "a desk of {wide} columns");

    let phone = Browser::open_phone(390, 844).await;
    phone.goto(&stack.sign_in_link()).await;
    phone.press("session-link").await;
    phone.state("terminal-state", "live", wait::PATIENCE).await;
    company(&phone, "mine", "false").await;
    company(&phone, "count", "2").await;
    phone.shows("at-the-desk-42").await;
    assert_eq!(stack.tmux.size(&session).unwrap().0, wide, "the phone shrank the desk");
    phone.picture("company-phone-joined").await;
    company(&desk, "count", "2").await;
    desk.press("company").await;
    desk.element("company-panel").await;
    desk.picture("company-desk-panel").await;
    desk.press("company").await;

    phone.type_text("echo typed-on-the-phone-$((40+2))\n").await;
    desk.shows("typed-on-the-phone-42").await;
    desk.css("[data-testid='company']").await;
    assert_eq!(stack.tmux.size(&session).unwrap().0, wide, "typing on the phone shrank the desk");

    phone.press("company").await;
    phone.picture("company-phone-panel").await;
    phone.press("take-size").await;
    let narrow = width_other_than(&stack, &session, wide).await;
    assert!(narrow < 80, "the phone took {narrow} columns");
    company(&desk, "mine", "false").await;
    company(&phone, "mine", "true").await;
    desk.picture("company-desk-follows").await;
    phone.press("company").await;
    phone.press("give-size").await;
    assert_eq!(width_other_than(&stack, &session, narrow).await, wide);
    company(&desk, "mine", "true").await;

    // Whoever leaves while holding the size gives it back, too.
    phone.press("company").await;
    phone.press("take-size").await;
    let narrow = width_other_than(&stack, &session, wide).await;
    phone.css("header a.back").await.click().await.unwrap();
    assert_eq!(width_other_than(&stack, &session, narrow).await, wide);
    phone.close().await;
    desk.close().await;
}

#[tokio::test]
async fn a_guest_opens_a_link_watches_and_is_shown_out() {
    let stack = Stack::start().await;
    let desk = Browser::open(1200, 800).await;
    desk.open_terminal(&stack).await;
    desk.press("terminal-menu").await;
    desk.press("menu-share").await;
    desk.element("share-name").await.send_keys("x").await.unwrap();
    desk.press("share-create").await;
    let url = desk.element("share-url").await.prop("value").await.unwrap().unwrap();
    desk.picture("share-dialog").await;
    desk.css("[data-testid='share-dialog'] button[aria-label='Close']").await.click().await.unwrap();

    let guest = Browser::open_phone(390, 844).await;
    guest.goto(&url).await;
    guest.state("terminal-state", "live", wait::PATIENCE).await;
    assert!(!guest.page.current_url().await.unwrap().as_str().contains('#'), "the code is in the address");
    guest.element("view-only").await;
    desk.type_text("clear; echo shown-$((40+2))\n").await;
    guest.shows("shown-42").await;
    guest.type_text("echo typed-by-guest\n").await;
    guest.shows("shown-42").await;
    wait::until("the guest to be told", async || {
        let note = guest.element("terminal-note").await.text().await.ok()?;
        note.contains("watching only").then_some(())
    })
    .await;
    guest.picture("share-guest").await;
    desk.type_text("echo $((6*7))\n").await;
    desk.shows("\n42").await;
    assert!(!desk.screen().await.contains("typed-by-guest"));

    // A reload needs no link; a second person with the same link gets nowhere.
    guest.page.refresh().await.unwrap();
    guest.state("terminal-state", "live", wait::PATIENCE).await;
    let second = Browser::open(800, 600).await;
    second.goto(&url).await;
    second.element("share-failed").await;
    second.picture("share-used-link").await;
    second.close().await;

    desk.press("terminal-menu").await;
    desk.press("menu-share").await;
    desk.press("share-end").await;
    guest.state("terminal-state", "revoked", wait::PATIENCE).await;
    guest.picture("share-ended").await;
    guest.page.refresh().await.unwrap();
    wait::until("the guest to be told that it is over", async || {
        let notice = guest.element("terminal-notice").await.text().await.ok()?;
        notice.contains("has ended").then_some(())
    })
    .await;
    guest.close().await;
    desk.close().await;
}

#[tokio::test]
async fn an_editor_may_watch_only_and_go_back() {
    let stack = Stack::start().await;
    let desk = Browser::open(1000, 700).await;
    desk.open_terminal(&stack).await;
    desk.press("terminal-menu").await;
    desk.press("menu-watch").await;
    desk.element("view-only").await;
    desk.state("terminal-state", "live", wait::PATIENCE).await;
    desk.press("terminal-menu").await;
    desk.picture("menu-view-only").await;
    desk.press("menu-watch").await;
    desk.state("terminal-state", "live", wait::PATIENCE).await;
    desk.type_text("echo back-$((40+2))\n").await;
    desk.shows("back-42").await;
    desk.close().await;
}
