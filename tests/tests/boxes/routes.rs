//! The ways to a box: which one is used, what is told of it, and that a box without an open port lacks nothing.

use std::net::TcpListener;
use std::time::Duration;

use berth_tests::terminal::Ask;
use berth_tests::{Browser, Client, Stack, Terminal, wait};
use http::Method;
use http::header::{COOKIE, ORIGIN};
use serde_json::{Value, json};

/// How soon a terminal must be back after a crash.
const BACK: Duration = Duration::from_secs(5);

/// An address of this machine that nothing else uses, so that it can be searched for in what clients get.
const PUBLIC: &str = "127.77.3.9";

/// Another one.
const TAILSCALE: &str = "127.77.64.9";

/// Where the doors of boxes behind NAT listen: nobody is told.
const HIDDEN: &str = "127.78.3.9";

/// A stack whose agent has these settings of its door.
async fn stack_with_door(door: &str) -> Stack {
    let mut stack = Stack::start_gateway().await;
    let config = stack.path("box-agent.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let changed = text.replacen("[door]\nlisten = \"127.0.0.1:0\"\n", &format!("[door]\n{door}\n"), 1);
    assert_ne!(changed, text);
    std::fs::write(&config, changed).unwrap();
    stack.enroll("main");
    stack.start_agent().await;
    stack
}

/// A port of an address that swallows connections: they are made, and nobody ever answers.
fn black_hole(address: &str) -> (TcpListener, u16) {
    let hole = TcpListener::bind((address, 0)).unwrap();
    let port = hole.local_addr().unwrap().port();
    (hole, port)
}

/// A stack behind NAT: at its public address there is a black hole, and its address in the tailnet refuses.
async fn stack_behind_nat() -> (Stack, TcpListener) {
    let (hole, port) = black_hole(PUBLIC);
    let door =
        format!("listen = \"{HIDDEN}:{port}\"\npublic_ip = \"{PUBLIC}\"\ntailscale_ip = \"{TAILSCALE}\"");
    (stack_with_door(&door).await, hole)
}

/// Waits until the one workspace's box is online by a way.
async fn wait_for_route(client: &Client, route: &str) {
    wait::until(&format!("the box to be online by {route}"), async || {
        let answer = client.try_call(Method::GET, "/workspaces", None).await?;
        let found = &answer.body["workspaces"][0]["box"];
        (found["state"] == "online" && found["route"] == route).then_some(())
    })
    .await;
}

/// Attaches again as a page does: as often as it takes, within [`BACK`].
async fn attach_again(client: &Client, session: &str) -> Terminal {
    let path = format!("/sessions/{session}/ticket");
    let mut terminal = wait::within(BACK, "the terminal to come back", async || {
        let answer = client.try_call(Method::POST, &path, None).await?;
        let ticket = answer.body["ticket"].as_str()?;
        let protocols = format!("berth.v1, ticket.{ticket}");
        let origin = Some(client.origin().to_owned());
        Terminal::ask(client, &Ask { session: session.to_owned(), protocols, origin }).await.ok()
    })
    .await;
    terminal.send_binary(br#"{"columns": 100, "rows": 30}"#).await;
    terminal
}

/// What the gateway counts, by name and labels as Prometheus writes them.
async fn metric(stack: &Stack, name: &str) -> Option<f64> {
    let addresses = std::fs::read(stack.path("gateway/addresses.json")).ok()?;
    let addresses: Value = serde_json::from_slice(&addresses).ok()?;
    let url = format!("http://{}/metrics", addresses["metrics"].as_str()?);
    let text = berth_tests::client::plain().get(url).send().await.ok()?.text().await.ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[tokio::test]
async fn a_box_with_an_open_port_is_dialled_at_its_public_address() {
    let stack = stack_with_door(&format!("listen = \"{PUBLIC}:0\"\npublic_ip = \"{PUBLIC}\"")).await;
    let client = stack.client().await;
    wait_for_route(&client, "public").await;
    wait::until("the metrics", async || {
        (metric(&stack, "gateway_boxes_online{route=\"public\"}").await == Some(1.0)).then_some(())
    })
    .await;
    assert!(metric(&stack, "gateway_door_connections_total{route=\"public\"}").await >= Some(1.0));
    assert_eq!(metric(&stack, "gateway_door_connections_total{route=\"dial_back\"}").await, None);
}

#[tokio::test]
async fn a_box_whose_public_address_is_dead_is_dialled_in_the_tailnet() {
    let (_hole, port) = black_hole(PUBLIC);
    let door =
        format!("listen = \"{TAILSCALE}:{port}\"\npublic_ip = \"{PUBLIC}\"\ntailscale_ip = \"{TAILSCALE}\"");
    let stack = stack_with_door(&door).await;
    let (client, session) = stack.client_and_session("work").await;
    wait_for_route(&client, "tailscale").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.type_text("echo $((6*7))\r").await;
    terminal.read_until("42").await;
    assert!(metric(&stack, "gateway_door_connections_total{route=\"tailscale\"}").await >= Some(2.0));
}

#[tokio::test]
async fn a_box_without_an_open_port_has_terminals() {
    let (stack, _hole) = stack_behind_nat().await;
    let (client, session) = stack.client_and_session("work").await;
    wait_for_route(&client, "dial_back").await;
    // At once, and more than are kept ready or dialled at a time.
    let opening = (0..12).map(|_| Terminal::open(&client, &session));
    let mut terminals = Vec::new();
    for (number, mut terminal) in futures_util::future::join_all(opening).await.into_iter().enumerate() {
        terminal.type_text(&format!("clear; echo number-$((40+{number}))\r")).await;
        terminal.read_until(&format!("number-{}", 40 + number)).await;
        terminals.push(terminal);
    }
    wait::until("every terminal to be counted", async || {
        let session = client.get(&format!("/sessions/{session}")).await;
        (session["attachments"] == 12).then_some(())
    })
    .await;
    assert!(metric(&stack, "gateway_door_connections_total{route=\"dial_back\"}").await >= Some(12.0));
    assert_eq!(metric(&stack, "gateway_door_connections_total{route=\"public\"}").await, None);
}

#[tokio::test]
async fn a_terminal_by_dial_back_carries_bulk_both_ways() {
    let (stack, _hole) = stack_behind_nat().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    terminal.type_text("stty -echo; wc -c < /dev/stdin\r").await;
    let line = "x".repeat(999) + "\r";
    for _ in 0..64 {
        terminal.type_text(&line).await;
    }
    terminal.type_text("\u{4}").await;
    terminal.read_until("64000").await;
    terminal.type_text("stty echo; yes berth | head -c 3000000; echo do''ne\r").await;
    terminal.read_until("done").await;
}

#[tokio::test]
async fn a_terminal_by_dial_back_survives_the_death_of_the_gateway() {
    let (mut stack, _hole) = stack_behind_nat().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.type_text("echo begun-$((40+2)); sleep 100000\r").await;
    terminal.read_until("begun-42").await;
    let pids = stack.tmux.pane_pids(&session);
    stack.gateway.kill();
    terminal.read_until_closed().await;
    stack.gateway.start();
    attach_again(&client, &session).await.read_until("begun-42").await;
    assert_eq!(stack.tmux.pane_pids(&session), pids);
    wait_for_route(&client, "dial_back").await;
}

#[tokio::test]
async fn a_terminal_by_dial_back_survives_the_death_of_the_agent() {
    let (mut stack, _hole) = stack_behind_nat().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.type_text("echo begun-$((40+2)); sleep 100000\r").await;
    terminal.read_until("begun-42").await;
    let pids = stack.tmux.pane_pids(&session);
    stack.agent.kill();
    stack.agent.start();
    let close = terminal.read_until_closed().await;
    assert_eq!(close.map(|close| u16::from(close.code)), Some(4503));
    attach_again(&client, &session).await.read_until("begun-42").await;
    assert_eq!(stack.tmux.pane_pids(&session), pids);
}

#[tokio::test]
async fn presence_by_dial_back_is_what_is() {
    let (mut stack, _hole) = stack_behind_nat().await;
    let client = stack.client().await;
    wait_for_route(&client, "dial_back").await;
    stack.agent.kill();
    client.wait_for_box("offline").await;
    let told = client.get("/workspaces").await;
    assert_eq!(told["workspaces"][0]["box"]["route"], Value::Null);
    wait::until("the metric to follow", async || {
        (metric(&stack, "gateway_boxes_online{route=\"dial_back\"}").await == Some(0.0)).then_some(())
    })
    .await;
    stack.start_agent().await;
    wait_for_route(&client, "dial_back").await;
}

#[tokio::test]
async fn a_box_that_gets_an_open_port_is_dialled_there() {
    let (mut stack, _hole) = stack_behind_nat().await;
    let client = stack.client().await;
    wait_for_route(&client, "dial_back").await;
    stack.agent.stop();
    let config = stack.path("box-agent.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let open = text.replace(&format!("public_ip = \"{PUBLIC}\""), &format!("public_ip = \"{HIDDEN}\""));
    std::fs::write(&config, open).unwrap();
    stack.start_agent().await;
    wait_for_route(&client, "public").await;
}

#[tokio::test]
async fn the_page_says_which_way_is_used() {
    let (stack, _hole) = stack_behind_nat().await;
    let browser = Browser::open(1200, 800).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-route", "dial_back", wait::PATIENCE).await;
    assert!(browser.element("box-route").await.text().await.unwrap().contains("dial-back"));
    browser.picture("route").await;
    browser.close().await;
}

/// Everything that a client gets to see of a stack, as text.
async fn everything_told(stack: &Stack, client: &Client, session: &str) -> Vec<(String, String)> {
    let workspace = client.workspace().await;
    let (in_workspace, of_session) = (format!("/workspaces/{workspace}"), format!("/sessions/{session}"));
    let http = berth_tests::client::plain();
    let mut told = Vec::new();
    for (method, path, body) in [
        (Method::GET, "/me".to_owned(), None),
        (Method::GET, "/openapi.json".to_owned(), None),
        (Method::GET, "/workspaces".to_owned(), None),
        (Method::GET, in_workspace.clone(), None),
        (Method::GET, format!("{in_workspace}/sessions"), None),
        (Method::POST, format!("{in_workspace}/sessions"), Some(json!({"name": "work"}))),
        (Method::POST, format!("{in_workspace}/sessions"), Some(json!({"name": ""}))),
        (Method::GET, of_session.clone(), None),
        (Method::PATCH, of_session.clone(), Some(json!({"name": "work"}))),
        (Method::POST, format!("{of_session}/ticket"), None),
        (Method::GET, format!("{of_session}/terminal"), None),
        (Method::GET, format!("{of_session}/screen"), None),
        (Method::POST, format!("{of_session}/input"), Some(json!({"text": "echo typed"}))),
        (Method::POST, format!("{in_workspace}/exec"), Some(json!({"argv": ["true"]}))),
        (Method::GET, format!("{in_workspace}/audit"), None),
        (Method::GET, "/nothing".to_owned(), None),
        (Method::GET, "/sessions/nothing".to_owned(), None),
    ] {
        let url = format!("{}/api/v1{path}", client.origin());
        let mut request = http.request(method.clone(), url);
        request = request.header(COOKIE, client.cookie()).header(ORIGIN, client.origin());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let headers = format!("{:?}", answer.headers());
        told.push((format!("{method} {path}"), headers + &answer.text().await.unwrap()));
    }
    told.push(("GET /".to_owned(), http.get(stack.origin()).send().await.unwrap().text().await.unwrap()));
    told
}

/// Listens to the event stream; everything that came so far.
fn listen(client: &Client) -> tokio::sync::watch::Receiver<String> {
    let (tell, told) = tokio::sync::watch::channel(String::new());
    let request = berth_tests::client::plain()
        .get(format!("{}/api/v1/events", client.origin()))
        .header(COOKIE, client.cookie());
    tokio::spawn(async move {
        let mut answer = request.send().await.unwrap();
        while let Ok(Some(bytes)) = answer.chunk().await {
            tell.send_modify(|text| text.push_str(&String::from_utf8_lossy(&bytes)));
        }
    });
    told
}

/// What clients are told of a box that changes all the while: answers, events, and texts of terminals.
async fn told_over_a_life(stack: &mut Stack) -> Vec<(String, String)> {
    let (client, session) = stack.client_and_session("work").await;
    let mut events = listen(&client);
    let heard = async |events: &mut tokio::sync::watch::Receiver<String>, word: &str| {
        let heard = events.wait_for(|text| text.contains(word));
        tokio::time::timeout(wait::PATIENCE, heard).await.unwrap().unwrap().clone()
    };
    heard(&mut events, "\"state\":\"online\"").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.type_text("echo $((6*7))\r").await;
    terminal.read_until("42").await;
    let mut told = everything_told(stack, &client, &session).await;

    stack.agent.kill();
    let close = terminal.read_until_closed().await;
    told.push(("the terminal's end".to_owned(), format!("{close:?}")));
    told.push(("the terminal's texts".to_owned(), terminal.texts.join("\n")));
    let text = heard(&mut events, "\"state\":\"offline\"").await;
    told.extend(everything_told(stack, &client, &session).await);
    told.push(("events".to_owned(), text));
    told
}

#[tokio::test]
async fn no_client_learns_an_address_of_a_box() {
    // One box that is dialled, and one that dials back.
    let open = format!("listen = \"{PUBLIC}:0\"\npublic_ip = \"{PUBLIC}\"\ntailscale_ip = \"{TAILSCALE}\"");
    let mut dialled = stack_with_door(&open).await;
    let (mut behind_nat, _hole) = stack_behind_nat().await;
    for stack in [&mut dialled, &mut behind_nat] {
        let addresses: Value =
            serde_json::from_slice(&std::fs::read(stack.path("run/addresses.json")).unwrap()).unwrap();
        let door = addresses["door"].as_str().unwrap().to_owned();
        let told = told_over_a_life(stack).await;
        assert!(told.iter().any(|(_, text)| text.contains("\"box\"")), "nothing of a box was told");
        for (where_, text) in told {
            // Ports that programs of the user listen on are told; the door's is not.
            let port = format!("\"port\":{}", door.rsplit(':').next().unwrap());
            for secret in [PUBLIC, TAILSCALE, HIDDEN, &door, &port, "_ip\":", "_port\":"] {
                assert!(!text.contains(secret), "{where_} tells {secret}: {text}");
            }
        }
    }
}
