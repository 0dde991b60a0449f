//! The audit record in a real browser: what it shows, as text alone, filtered, page by page, and exported.

use std::path::Path;

use berth_tests::{Browser, Stack, wait};
use fantoccini::key::Key;
use http::Method;
use serde_json::{Value, json};

/// A name that would be read another way than it is written, and one that would be a picture.
const HOSTILE: &str = "a\u{202e}b<img src=x>";

/// What was downloaded under this name, once it is there as a whole.
async fn downloaded(directory: &Path, name: &str) -> Value {
    wait::until(&format!("{name} to be downloaded"), async || {
        serde_json::from_slice(&std::fs::read(directory.join(name)).ok()?).ok()
    })
    .await
}

#[tokio::test]
async fn the_record_is_read_filtered_and_exported_in_the_page() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    client.create_session(HOSTILE).await;
    // More than a page of it.
    for _ in 0..26 {
        let made = client.call(Method::POST, "/tokens", Some(json!({ "name": "ci" }))).await;
        let path = format!("/tokens/{}", made.body["token"]["id"].as_str().unwrap());
        assert_eq!(client.call(Method::DELETE, &path, None).await.status, 204);
    }
    let stranger = stack.person("ana").await;
    stranger.call(Method::POST, "/sign-out", None).await;

    let browser = Browser::open(1200, 900).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.press("audit-link").await;
    browser.shown("audit-entries", "token_revoked").await;
    let newest = browser.css("[data-testid='audit-entries'] li").await.text().await.unwrap();
    for part in ["signed_in", "done", "owner", "from 127.0.0.1"] {
        assert!(newest.contains(part), "{part}: {newest}");
    }
    let shown = async || {
        browser.script("return document.querySelectorAll('[data-testid=audit-entries] li').length").await
    };
    assert_eq!(shown().await, 50);
    browser.pictures("audit").await;
    // What others did, who share no workspace with them, is nobody's business here.
    browser.press("audit-more").await;
    wait::until("the older ones", async || (shown().await.as_u64()? > 55).then_some(())).await;
    browser.gone("audit-more").await;
    let all = browser.element("audit-entries").await.text().await.unwrap();
    assert!(all.contains("workspace_created") && all.contains("from command line, user "), "{all}");
    assert!(!all.contains("signed_out"), "{all}");

    // By action, and what people have said is text that reads as it is written.
    browser.type_into("audit-action", "session_created").await;
    wait::until("one entry", async || (shown().await == 1).then_some(())).await;
    let entry = browser.element("audit-entries").await.text().await.unwrap();
    assert!(entry.contains("a\\u202eb<img src=x>") && !entry.contains('\u{202e}'), "{entry}");

    // Exported is what is shown.
    let directory = tempfile::tempdir().unwrap();
    let allowed = json!({ "behavior": "allow", "downloadPath": directory.path() });
    browser.devtools("Browser.setDownloadBehavior", allowed).await;
    browser.press("audit-export").await;
    let exported = downloaded(directory.path(), "audit.json").await;
    let entries = exported["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{exported}");
    assert_eq!(
        (&entries[0]["action"], &entries[0]["detail"]["name"]),
        (&json!("session_created"), &json!(HOSTILE))
    );
    assert_eq!(exported["entries"], client.get("/audit?action=session_created").await["entries"]);

    // By outcome: that somebody guessed is on the record, and not this user's.
    let backspace = String::from(char::from(Key::Backspace));
    browser.type_into("audit-action", &backspace.repeat("session_created".len())).await;
    browser.choose("audit-outcome", "refused").await;
    browser.shown("audit", "Nothing.").await;
    assert_eq!(shown().await, 0);
    browser.choose("audit-outcome", "done").await;
    wait::until("the first page", async || (shown().await == 50).then_some(())).await;
    browser.close().await;
}
