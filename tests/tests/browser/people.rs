//! Invites and organisations in real browsers: one makes them, another joins.

use berth_tests::people::page;
use berth_tests::{Browser, Stack, wait};
use serde_json::json;

const PASSWORD: &str = "tricky-otter-lamp-31";

/// Joins with an invite, in a browser of its own.
async fn join(url: &str, name: &str) -> Browser {
    let browser = Browser::open(1200, 900).await;
    browser.goto(url).await;
    browser.type_into("invite-name", name).await;
    browser.type_into("invite-password", PASSWORD).await;
    browser.press("invite-submit").await;
    browser.shown("account-link", name).await;
    browser
}

/// The link of the invite that was made just now.
async fn made(browser: &Browser) -> String {
    browser.press("invite-create").await;
    browser.element("invite-url").await.prop("value").await.unwrap().unwrap()
}

/// Presses what has this label, once it can be pressed.
async fn press(browser: &Browser, label: &str) {
    let selector = format!("button[aria-label='{label}']:enabled");
    browser.css(&selector).await.click().await.unwrap();
}

#[tokio::test]
async fn a_second_person_joins_with_an_invite_that_was_made_in_the_page() {
    let stack = Stack::start_gateway().await;
    let browser = Browser::open(1200, 900).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.allow_clipboard(stack.origin()).await;
    browser.press("invites-link").await;
    let main = stack.client().await.workspace().await;
    wait::until("the workspaces to be there", async || {
        browser.element("invite-place").await.select_by_value(&main).await.ok()
    })
    .await;
    browser.choose("invite-role", "viewer").await;
    let url = made(&browser).await;
    assert!(url.starts_with(&format!("{}/invite#", stack.origin())), "{url}");
    browser.shown("invite", "viewer in main").await;
    browser.shown("invite", "one account").await;
    browser.shown("invite", "made by owner").await;
    browser.press("invite-url-copy").await;
    browser.shown("invite-url-copy", "Copied").await;
    assert_eq!(browser.script("return navigator.clipboard.readText()").await, json!(url));
    browser.pictures("invites").await;
    // It is told once.
    browser.page.refresh().await.unwrap();
    browser.shown("invite", "viewer in main").await;
    assert_eq!(browser.count("invite-url").await, 0);
    let code = url.split_once('#').unwrap().1;
    assert!(!browser.page.source().await.unwrap().contains(code), "the code is told again");

    let second = join(&url, "ana").await;
    second.element("view-only").await;
    assert_eq!(second.count("invites-link").await, 0, "it is the owner's");
    second.goto(&format!("{}/invites", stack.origin())).await;
    second.shown("invites-page", "the installation’s owner makes invites").await;
    // Used up, for whoever has the link, too.
    second.goto(stack.origin()).await;
    second.press("sign-out").await;
    second.goto(&url).await;
    second.type_into("invite-name", "bob").await;
    second.type_into("invite-password", PASSWORD).await;
    second.press("invite-submit").await;
    second.shown("invite", "was used, has ended or was taken back").await;
    second.close().await;

    browser.page.refresh().await.unwrap();
    browser.element("invite-create").await;
    browser.gone("invite").await;
    let plain = made(&browser).await;
    browser.shown("invite", "An account").await;
    browser.css("[data-testid='invite-revoke']:enabled").await.click().await.unwrap();
    browser.gone("invite").await;
    let body = json!({ "code": plain.split_once('#').unwrap().1, "name": "eva", "password": PASSWORD });
    assert_eq!(page(&stack, "/invites/redeem", body).await.1["error"]["kind"], "invite_invalid");
    browser.goto(stack.origin()).await;
    browser.press("members-link").await;
    browser.css("select[aria-label='Role of ana']").await;
    browser.close().await;
}

#[tokio::test]
async fn an_organisation_is_made_and_run_in_the_page() {
    let stack = Stack::start_gateway().await;
    let ana = stack.person("ana").await;
    let browser = Browser::open(1200, 900).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.press("organizations-link").await;
    browser.shown("organizations", "You are in none.").await;
    browser.type_into("organization-name", "team").await;
    browser.press("organization-create").await;
    browser.shown("organization-page", "There are none yet.").await;

    browser.type_into("member-name", "ana").await;
    browser.press("member-add").await;
    let anas = "select[aria-label='Role of ana']:enabled";
    let role_of_ana = async |role: &str| {
        wait::until(&format!("ana to be {role}"), async || {
            let told = ana.get("/organizations").await;
            (told["organizations"][0]["role"] == role).then_some(())
        })
        .await;
    };
    role_of_ana("editor").await;
    browser.css(anas).await.select_by_value("viewer").await.unwrap();
    role_of_ana("viewer").await;
    // The last owner stays, and the page shows what holds.
    browser.css("select[aria-label='Role of owner']:enabled").await.select_by_value("editor").await.unwrap();
    browser.shown("organization-page", "keeps an owner").await;
    let mine = browser.css("select[aria-label='Role of owner']:enabled").await;
    assert_eq!(mine.prop("value").await.unwrap().as_deref(), Some("owner"));
    press(&browser, "Remove owner").await;
    browser.shown("organization-page", "keeps an owner").await;

    browser.choose("invite-role", "owner").await;
    let url = made(&browser).await;
    browser.shown("invite", "owner in team").await;
    stack.operate(&["organization", "give", "main", "team"]);
    let second = join(&url, "bob").await;
    second.element("environment-link").await;
    second.press("organizations-link").await;
    second.shown("organization", "owner · 3 members · one workspace").await;
    second.pictures("organizations").await;
    second.press("organization-link").await;
    second.shown("organization-workspaces", "main").await;
    second.pictures("organization").await;
    second.element("organization-rename").await.clear().await.unwrap();
    second.type_into("organization-rename", "crew\n").await;
    wait::until("the other name", async || {
        stack.operate(&["organization", "list"]).starts_with("crew\t").then_some(())
    })
    .await;

    // An owner among others goes, and what he saw goes with it.
    press(&second, "Remove owner").await;
    wait::until("two members", async || (second.count("member").await == 2).then_some(())).await;
    browser.goto(stack.origin()).await;
    browser.gone("workspace").await;
    browser.press("organizations-link").await;
    browser.shown("organizations", "You are in none.").await;
    second.close().await;
    browser.close().await;
}
