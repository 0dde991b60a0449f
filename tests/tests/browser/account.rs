//! Accounts in a real browser: an invite, passkeys, passwords, devices, tokens, members.

use berth_tests::{Browser, Stack, wait};

#[tokio::test]
async fn an_invite_becomes_an_account_with_a_passkey_that_signs_in() {
    let mut stack = Stack::start_gateway().await;
    let origin = stack.name_localhost().await;
    let browser = Browser::open(1200, 800).await;
    let invite = stack.operate(&["invite", "generate", "--workspace", "main", "--role", "viewer"]);
    assert!(invite.starts_with(&origin), "{invite}");
    browser.goto(&origin).await;
    browser.add_authenticator().await;
    browser.goto(&invite).await;
    browser.type_into("invite-name", "ana").await;
    browser.picture("invite").await;
    assert!(!browser.page.current_url().await.unwrap().as_str().contains('#'), "the code is in the address");
    browser.press("invite-submit").await;
    browser.element("view-only").await;
    browser.picture("workspaces-viewer").await;
    assert!(stack.operate(&["user", "list"]).contains("ana\tactive\tno password\t1 passkeys"));

    browser.press("sign-out").await;
    browser.element("sign-in-passkey").await;
    browser.picture("sign-in").await;
    browser.press("sign-in-passkey").await;
    browser.shown("account-link", "ana").await;

    // Long ago, a sign-in is not enough for another passkey, and a proof is.
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    store.busy_timeout(wait::PATIENCE).unwrap();
    store.execute("UPDATE browser_sessions SET proved_at_ms = 1", []).unwrap();
    browser.press("account-link").await;
    browser.shown("passkey", "First passkey").await;
    browser.type_into("password-new", "tricky-otter-lamp-31").await;
    browser.press("password-set").await;
    browser.element("prove-dialog").await;
    browser.picture("prove").await;
    browser.css("[data-testid='prove-dialog'] [data-testid='sign-in-passkey']").await.click().await.unwrap();
    browser.shown("credentials", "The password was changed").await;

    // A passkey that was removed signs nobody in, and its password does.
    // Its button can be pressed once what is there has been looked at again.
    browser.css("[data-testid='passkey-remove']:enabled").await.click().await.unwrap();
    browser.gone("passkey").await;
    browser.goto(&origin).await;
    browser.press("sign-out").await;
    browser.press("sign-in-passkey").await;
    browser.shown("signed-out", "that did not work").await;
    browser.type_into("sign-in-name", "ana").await;
    browser.type_into("sign-in-password", "tricky-otter-lamp-31\n").await;
    browser.shown("account-link", "ana").await;

    // What was done with it is on the audit record, newest first.
    let record = stack.operate(&["audit"]);
    let mut lines = record.lines();
    for (action, outcome, by) in [
        ("signed_in", "done", "\"by\":\"password\""),
        ("signed_in", "refused", "\"by\":\"passkey\""),
        ("passkey_removed", "done", "\"passkey\":\"pky-"),
        ("proved", "done", "\"by\":\"passkey\""),
        ("signed_in", "done", "\"by\":\"passkey\""),
        ("passkey_added", "done", "\"name\":\"First passkey\""),
    ] {
        let found = |line: &str| {
            line.contains(&format!("\t{action}\t"))
                && line.contains(&format!("\t{outcome}\t"))
                && line.contains(by)
        };
        assert!(lines.any(found), "{action} {outcome} {by}: {record}");
    }
    browser.close().await;
}

#[tokio::test]
async fn an_invite_becomes_an_account_and_what_is_dangerous_wants_its_password_again() {
    let stack = Stack::start_gateway().await;
    let browser = Browser::open(1200, 800).await;
    let invite = stack.operate(&["invite", "generate", "--workspace", "main", "--role", "viewer"]);
    browser.goto(&invite).await;
    browser.type_into("invite-name", "ana").await;
    assert!(!browser.page.current_url().await.unwrap().as_str().contains('#'), "the code is in the address");
    browser.type_into("invite-password", "password123").await;
    browser.press("invite-submit").await;
    browser.shown("invite", "too easy to guess").await;
    browser.picture("invite-password").await;
    browser.element("invite-password").await.clear().await.unwrap();
    browser.type_into("invite-password", "tricky-otter-lamp-31").await;
    browser.press("invite-submit").await;
    browser.element("view-only").await;

    browser.press("sign-out").await;
    browser.type_into("sign-in-name", "ana").await;
    browser.type_into("sign-in-password", "wrong\n").await;
    browser.shown("signed-out", "that did not work").await;
    browser.type_into("sign-in-password", "tricky-otter-lamp-31\n").await;
    browser.shown("account-link", "ana").await;

    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    store.busy_timeout(wait::PATIENCE).unwrap();
    store.execute("UPDATE browser_sessions SET proved_at_ms = 1", []).unwrap();
    browser.press("account-link").await;
    browser.type_into("token-name", "ci").await;
    browser.press("token-create").await;
    browser.element("prove-dialog").await;
    browser.type_into("sign-in-password", "tricky-otter-lamp-31\n").await;
    browser.shown("token", "never used").await;
    browser.close().await;
}

#[tokio::test]
async fn an_account_shows_its_devices_and_tokens_and_a_workspace_its_members() {
    let stack = Stack::start_gateway().await;
    let phone = stack.client().await;
    let _ana = stack.member("ana", "viewer").await;
    let _bob = stack.person("bob").await;
    let browser = Browser::open(1200, 900).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.press("account-link").await;
    browser.type_into("token-name", "ci").await;
    browser.press("token-create").await;
    let secret = browser.element("token-secret").await.prop("value").await.unwrap().unwrap();
    assert!(secret.starts_with("berth_"), "{secret}");
    browser.shown("token", "never used").await;
    let program = berth_tests::client::plain().get(format!("{}/api/v1/me", stack.origin()));
    let answer = program.header("authorization", format!("Bearer {secret}")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    browser.page.refresh().await.unwrap();
    browser.shown("token", "read · until ").await;
    browser.shown("token", " used ").await;
    assert!(!browser.element("token").await.text().await.unwrap().contains("never"));
    let page = browser.page.source().await.unwrap();
    assert!(!page.contains(&secret), "the secret is told again");
    browser.picture("account").await;
    browser.fits().await;
    browser.page.set_window_size(500, 844).await.unwrap();
    browser.picture("account-phone").await;
    browser.fits().await;
    browser.press("token-revoke").await;
    browser.gone("token").await;
    browser.press("device-end").await;
    wait::until("the other device to be signed out", async || {
        (phone.try_call(http::Method::GET, "/me", None).await?.status == 401).then_some(())
    })
    .await;

    browser.goto(stack.origin()).await;
    browser.press("members-link").await;
    browser.shown("members", "ana").await;
    browser.type_into("member-name", "bob").await;
    browser.press("member-add").await;
    browser.shown("members", "bob").await;
    browser.picture("members-phone").await;
    browser.fits().await;
    browser.page.set_window_size(1200, 800).await.unwrap();
    browser.picture("members").await;
    assert!(stack.operate(&["member", "list", "main"]).contains("bob\teditor"));
    browser.close().await;
}

#[tokio::test]
async fn a_passkey_is_added_on_the_accounts_page_and_signs_in() {
    let mut stack = Stack::start_gateway().await;
    let origin = stack.name_localhost().await;
    let browser = Browser::open(1200, 900).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.add_authenticator().await;
    browser.press("account-link").await;
    browser.type_into("passkey-name", "This laptop").await;
    browser.press("passkey-add").await;
    browser.shown("passkey", "This laptop").await;
    browser.shown("passkey", "never used").await;
    browser.picture("account-passkey").await;
    // The authenticator has one for this account already, and says so.
    browser.type_into("passkey-name", "Again").await;
    browser.press("passkey-add").await;
    browser.css("[data-testid='credentials'] [role='alert']").await;
    assert_eq!(browser.count("passkey").await, 1);

    browser.goto(&origin).await;
    browser.press("sign-out").await;
    browser.press("sign-in-passkey").await;
    browser.shown("account-link", "owner").await;
    browser.press("account-link").await;
    browser.shown("passkey", "used").await;
    assert!(!browser.element("passkey").await.text().await.unwrap().contains("never used"));
    assert!(stack.operate(&["audit"]).contains("\"name\":\"This laptop\""));
    browser.close().await;
}
