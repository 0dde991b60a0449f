//! Pages of settings in a real browser: each has the one frame, on desks and phones, light and dark.

use berth_tests::{Browser, Stack};

#[tokio::test]
#[ignore = "takes some thirty pictures, for a minute"]
async fn every_page_of_settings_has_the_one_frame_and_fits() {
    let stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    client.create_session("work").await;
    let workspace = client.workspace().await;
    let browser = Browser::open(1200, 900).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.element("session-create-name").await;
    browser.pictures("front").await;
    let of = |page: &str| format!("/workspaces/{workspace}/{page}");
    for (path, test_id, ready) in [
        ("/account".to_owned(), "account", "token-create"),
        ("/audit".to_owned(), "audit", "audit-entries"),
        ("/settings/notifications".to_owned(), "notification-settings", "preferences-saved"),
        (of("environment"), "environment", "environment-save"),
        (of("backups"), "backups", "backup-place"),
        (of("members"), "members", "member-add"),
    ] {
        browser.goto(&format!("{}{path}", stack.origin())).await;
        browser.element(test_id).await;
        let there = format!("return document.querySelector('[data-testid={ready}]') !== null");
        berth_tests::wait::until(ready, async || (browser.script(&there).await == true).then_some(())).await;
        browser.pictures(&format!("frame-{test_id}")).await;
        let frame = "const of = (name) => getComputedStyle(document.querySelector(name));
            return [of('.page header').display, of('main').display, of('h1').fontSize,
                    document.querySelectorAll('h1').length]";
        assert_eq!(browser.script(frame).await, serde_json::json!(["flex", "grid", "20px", 1]), "{path}");
    }
    browser.close().await;
}
