//! The page of a workspace's environment, in a real browser: what is typed is on the box, and secrets are not shown
//! again.

use berth_tests::{Browser, Exec, Stack, wait};
use serde_json::Value;

/// Everything that the page holds, in fields too.
const ALL_TEXT: &str = "return document.body.innerText + [...document.querySelectorAll('input, textarea')]
    .map((field) => field.value + field.placeholder).join('\\n')";

/// Elements that are there to be used and have no name for those who can't see them.
const NAMELESS: &str = "return [...document.querySelectorAll('main input, main textarea, main button')]
    .filter((element) => !(element.labels?.length || element.ariaLabel || element.textContent.trim()
        || element.getAttribute('aria-labelledby')))
    .map((element) => element.outerHTML)";

#[tokio::test]
async fn an_environment_is_typed_saved_and_found_on_the_box() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 900).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    browser.press("environment-link").await;
    browser.press("variable-add").await;
    browser.type_into("variable-name", "API_KEY").await;
    browser.type_into("variable-value", "canary-typed-1").await;
    browser.press("file-add-secret").await;
    browser.type_into("file-path", ".ssh/id_test").await;
    browser.type_into("file-content", "canary-typed-2").await;
    browser.type_into("environment-script", "echo \"$API_KEY\" > ~/ran").await;
    browser.picture("environment").await;
    assert_eq!(browser.script(NAMELESS).await, Value::Array(vec![]));
    browser.press("environment-save").await;
    browser.state("report-script", "done", wait::PATIENCE).await;

    let client = stack.client().await;
    assert_eq!(Exec::sh(&client, "cat ~/ran ~/.ssh/id_test").await.text(), "canary-typed-1\ncanary-typed-2");
    let text = browser.script(ALL_TEXT).await.to_string();
    assert!(text.contains("API_KEY") && text.contains("unchanged"), "{text}");
    assert!(!text.contains("canary-typed"), "{text}");

    // Another change keeps what is not shown; a mistake is said with its remedy, and nothing that was typed is lost.
    browser.type_into("repository-url", "ext::sh").await;
    browser.press("environment-save").await;
    let error = browser.element("environment-error").await.text().await.unwrap();
    assert!(error.contains("repository address \"ext::sh\": write https://host/path"), "{error}");
    // Backspace, as WebDriver writes it: its own way to clear a field is none that a page hears of.
    browser.type_into("repository-url", &"\u{e003}".repeat("ext::sh".len())).await;
    browser.press("variable-add").await;
    browser
        .css("[data-testid=environment-variable]:nth-child(2) input")
        .await
        .send_keys("SECOND")
        .await
        .unwrap();
    browser.press("environment-save").await;
    wait::until("both variables", async || {
        let said = Exec::sh(&client, "echo \"$API_KEY [${SECOND-none}]\"").await.text();
        (said == "canary-typed-1 []\n").then_some(())
    })
    .await;
    browser.close().await;
}

#[tokio::test]
async fn the_page_fits_a_phone_and_says_what_was_kept() {
    let stack = Stack::start().await;
    let home = stack.path("workspace/user/home");
    std::fs::write(home.join(".toolrc"), "mine").unwrap();
    let client = stack.client().await;
    client.wait_for_box("online").await;
    client
        .put_environment(
            serde_json::json!({ "files": [{ "destination": ".toolrc", "content": "b3VycwoK" }] }),
        )
        .await;
    let browser = Browser::open_phone(390, 844).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    browser.press("environment-link").await;
    browser.state("report-file", "kept", wait::PATIENCE).await;
    let said = browser.element("report-file").await.text().await.unwrap();
    assert!(said.contains("~/.toolrc: it was on the box before and is kept"), "{said}");
    browser.picture("environment-phone").await;
    let wide = browser.script("return document.documentElement.scrollWidth > innerWidth").await;
    assert_eq!(wide, false, "the page is wider than the phone");
    assert_eq!(std::fs::read_to_string(home.join(".toolrc")).unwrap(), "mine");
    browser.close().await;
}
