//! Servers as people run them, through a preview: what a browser makes of Vite's, and addresses that are not 127.0.0.1.

use berth_tests::servers::{Kind, Server};
use berth_tests::{Browser, Client, Preview, Stack, wait};
use fantoccini::Locator;
use serde_json::json;

async fn open() -> (Stack, Client) {
    let stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    (stack, client)
}

async fn shows(preview: &Preview, path: &str) -> String {
    wait::until("the server to answer", async || {
        let answer = preview.get(path).await;
        if answer.status() == 503 { None } else { answer.text().await.ok() }
    })
    .await
}

#[tokio::test]
async fn a_server_is_seen_where_it_listens_for_ipv6_too() {
    let (_stack, client) = open().await;
    let server = Server::start(Kind::Node("::1"));
    let preview = Preview::open(&client, server.port).await;
    assert_eq!(shows(&preview, "/a").await, format!("localhost:{} /a", server.port));
}

#[tokio::test]
async fn a_change_of_vites_react_template_shows_up_without_a_reload() {
    let (stack, client) = open().await;
    let server = Server::start(Kind::Vite);
    let preview = Preview::open(&client, server.port).await;
    shows(&preview, "/").await;
    let browser = Browser::open(800, 600).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    browser.goto(&format!("{}/", preview.origin)).await;
    let shown = async |text: &str| {
        let script = "return document.getElementById('shown')?.textContent ?? ''";
        wait::until(text, async || (browser.script(script).await == json!(text)).then_some(())).await;
    };
    shown("first 0").await;
    browser.page.find(Locator::Css("button")).await.unwrap().click().await.unwrap();
    shown("first 1").await;
    browser.script("window.mark = 'kept'").await;
    // Changes before its WebSocket is open would be missed, and a reload would show them.
    wait::until("Vite's WebSocket", async || {
        let in_flight = berth_tests::metrics::metric(&stack, "gateway_preview_in_flight").await;
        (in_flight >= Some(1.0)).then_some(())
    })
    .await;
    server.say("second");
    // React's own state is kept, which is what hot reload is for.
    shown("second 1").await;
    assert_eq!(browser.script("return window.mark").await, "kept", "the page was loaded again");
    browser.close().await;
}
