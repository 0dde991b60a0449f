//! Servers as people run them, through a preview: Python's, a plain one of Node, and Vite with a change that shows up
//! in the browser without a reload.

use berth_tests::ports::Ports;
use berth_tests::process::Process;
use berth_tests::{Browser, Preview, Stack, programs, wait};
use fantoccini::Locator;
use serde_json::json;

/// What `npm create vite -- --template react` makes, without its pictures and styles.
const REACT: [(&str, &str); 3] = [
    (
        "index.html",
        "<!doctype html><html lang=en><div id=root></div><script type=module src=/main.jsx></script></html>",
    ),
    (
        "main.jsx",
        "import { StrictMode } from 'react';
         import { createRoot } from 'react-dom/client';
         import Words from './Words.jsx';
         createRoot(document.getElementById('root')).render(<StrictMode><Words /></StrictMode>);",
    ),
    (
        // What it makes of dependencies belongs to the test, and not to the packages, which tests share.
        "vite.config.js",
        "import { defineConfig } from 'vite';
         import react from '@vitejs/plugin-react';
         export default defineConfig({ plugins: [react()], cacheDir: '.vite', server: { fs: { strict: false } } });",
    ),
];

const WORDS: &str = "import { useState } from 'react';
    export default function Words() {
      const [count, setCount] = useState(0);
      return <button onClick={() => setCount(count + 1)}><span id=\"shown\">WORD {count}</span></button>;
    }";

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
async fn a_change_of_vites_react_template_shows_up_without_a_reload() {
    let f = Fixture::open().await;
    for (name, text) in REACT {
        f.write(name, text);
    }
    f.write("Words.jsx", &WORDS.replace("WORD", "first"));
    let packages = programs::repository().join("gateway/web/node_modules");
    assert!(
        packages.join("@vitejs/plugin-react").exists(),
        "the web UI's packages are missing: run scripts/test"
    );
    std::os::unix::fs::symlink(&packages, f.directory.path().join("node_modules")).unwrap();
    let vite = packages.join("vite/bin/vite.js");
    let port = f.ports.port(0).to_string();
    let _server = f.start("node", &[vite.to_str().unwrap(), f.root(), "--port", &port, "--strictPort"]);
    let preview = Preview::open(&f.client, f.ports.port(0)).await;
    f.shows(&preview, "/").await;
    // Named by what it is, not only by the program that runs it.
    let previews = format!("/workspaces/{}/previews", f.client.workspace().await);
    wait::until("the port to be listed as Vite's", async || {
        let listed = f.client.get(&previews).await;
        let ports = listed["ports"].as_array()?.iter();
        ports.clone().any(|one| one["port"] == f.ports.port(0) && one["kind"] == "vite").then_some(())
    })
    .await;
    let browser = Browser::open(800, 600).await;
    browser.goto(&f.stack.sign_in_link()).await;
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
        let in_flight = berth_tests::metrics::metric(&f.stack, "gateway_preview_in_flight").await;
        (in_flight >= Some(1.0)).then_some(())
    })
    .await;
    f.write("Words.jsx", &WORDS.replace("WORD", "second"));
    // React's own state is kept, which is what hot reload is for.
    shown("second 1").await;
    assert_eq!(browser.script("return window.mark").await, "kept", "the page was loaded again");
    browser.close().await;
}
