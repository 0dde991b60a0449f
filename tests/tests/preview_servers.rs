//! Servers as people run them, through a preview: Python's, a plain one of Node, and Vite with a change that shows up
//! in the browser without a reload.

use std::path::Path;

use berth_tests::ports::Ports;
use berth_tests::process::Process;
use berth_tests::{Browser, Preview, Stack, programs, wait};
use serde_json::json;

struct Fixture {
    stack: Stack,
    client: berth_tests::Client,
    directory: tempfile::TempDir,
    ports: Ports,
}

impl Fixture {
    async fn open() -> Self {
        let stack = Stack::start().await;
        let client = stack.client().await;
        client.wait_for_box("online").await;
        let directory = tempfile::Builder::new().prefix("bt-server-").tempdir().unwrap();
        Self { stack, client, directory, ports: Ports::take(1) }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    fn start(&self, program: &str, arguments: &[&str]) -> Process {
        let program = programs::on_path(program).expect("node and python3 are there: run scripts/test");
        let mut server = Process::new("server", program, arguments, self.stack.path("").as_path());
        server.start();
        server
    }

    fn root(&self) -> &str {
        self.directory.path().to_str().unwrap()
    }

    async fn shows(&self, preview: &Preview, path: &str) -> String {
        wait::until("the server to answer", async || {
            let answer = preview.get(path).await;
            if answer.status() == 200 { answer.text().await.ok() } else { None }
        })
        .await
    }
}

#[tokio::test]
async fn pythons_http_server_is_seen() {
    let f = Fixture::open().await;
    f.write("index.html", "<p>from python</p>");
    let port = f.ports.port(0).to_string();
    let _server =
        f.start("python3", &["-m", "http.server", &port, "--bind", "127.0.0.1", "--directory", f.root()]);
    let preview = Preview::open(&f.client, f.ports.port(0)).await;
    assert_eq!(f.shows(&preview, "/").await, "<p>from python</p>");
    assert_eq!(preview.get("/nothing").await.status(), 404);
}

#[tokio::test]
async fn a_plain_server_of_node_is_seen_where_it_listens_for_ipv6_too() {
    let f = Fixture::open().await;
    f.write(
        "server.mjs",
        "import http from 'node:http';
         http.createServer((request, response) => response.end(`${request.headers.host} ${request.url}`))
           .listen(Number(process.argv[2]), process.argv[3]);",
    );
    let script = format!("{}/server.mjs", f.root());
    let port = f.ports.port(0).to_string();
    let _server = f.start("node", &[&script, &port, "::1"]);
    let preview = Preview::open(&f.client, f.ports.port(0)).await;
    assert_eq!(f.shows(&preview, "/a").await, format!("localhost:{port} /a"));
}

#[tokio::test]
async fn a_change_shows_up_by_vites_hot_reload_without_a_reload() {
    let f = Fixture::open().await;
    f.write("index.html", "<p id=shown></p><script type=module src=/main.js></script>");
    f.write(
        "main.js",
        "import { text } from './text.js';
         const show = (text) => { document.getElementById('shown').textContent = text; };
         show(text);
         window.loadedOnce = (window.loadedOnce ?? 0) + 1;
         if (import.meta.hot) import.meta.hot.accept('./text.js', (changed) => show(changed.text));",
    );
    f.write("text.js", "export const text = 'first';");
    let vite = programs::repository().join("gateway/web/node_modules/vite/bin/vite.js");
    assert!(Path::new(&vite).exists(), "the web UI's packages are missing: run scripts/test");
    let port = f.ports.port(0).to_string();
    let _server = f.start("node", &[vite.to_str().unwrap(), f.root(), "--port", &port, "--strictPort"]);
    let preview = Preview::open(&f.client, f.ports.port(0)).await;
    f.shows(&preview, "/").await;
    let browser = Browser::open(800, 600).await;
    browser.goto(&f.stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    browser.goto(&format!("{}/", preview.origin)).await;
    let shown = async |text: &str| {
        let script = "return document.getElementById('shown')?.textContent ?? ''";
        wait::until(text, async || (browser.script(script).await == json!(text)).then_some(())).await;
    };
    shown("first").await;
    browser.script("window.mark = 'kept'").await;
    // Changes before its WebSocket is open would be missed, and a reload would show them.
    wait::until("Vite's WebSocket", async || {
        let in_flight = berth_tests::metrics::metric(&f.stack, "gateway_preview_in_flight").await;
        (in_flight >= Some(1.0)).then_some(())
    })
    .await;
    f.write("text.js", "export const text = 'second';");
    shown("second").await;
    assert_eq!(browser.script("return window.mark").await, "kept", "the page was loaded again");
    browser.close().await;
}
