//! Who is there, who is not, and how soon the gateway knows.

use std::time::{Duration, Instant};

use berth_tests::metrics::{metric, wait_for_metric};
use berth_tests::network::{self, GATEWAY, Weather};
use berth_tests::raw::{BINARY, PING, START, frame};
use berth_tests::{Browser, Client, Raw, Stack, wait};
use serde_json::json;
use tokio::time::timeout;

/// Silence after which a client that answers nothing is gone, and the slack of a busy machine.
const DEAD: std::ops::Range<Duration> = Duration::from_secs(25)..Duration::from_secs(29);

/// How soon a key is seen.
const ECHO: Duration = Duration::from_secs(1);

/// How soon a path that swallows everything must be noticed.
const NOTICED: Duration = Duration::from_secs(35);

/// Bytes of a flood that is well under way.
const FLOOD: usize = 64 * 1024;

const OPEN: &str = "gateway_terminals_open";
const SILENT: &str = "gateway_terminals_closed_total{reason=\"browser_silent\"}";
const LOST: &str = "gateway_terminals_closed_total{reason=\"browser_lost\"}";

#[tokio::test]
async fn who_answers_no_ping_is_closed_and_who_answers_nothing_else_lives() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut page = Raw::started(&client, &session).await;
    let mut stock = Raw::started_stock(&client, &session).await;
    let mut mute = Raw::started(&client, &session).await;
    mute.answers_pings = false;
    let begun = Instant::now();
    let gone = async {
        while mute.read().await {}
        begun.elapsed()
    };
    let others = async {
        tokio::join!(page.read_until_quiet(NOTICED), stock.read_until_quiet(NOTICED));
    };
    let after = tokio::select! {
        after = gone => after,
        () = others => panic!("those that answer were closed, or nobody was"),
    };
    assert!(DEAD.contains(&after), "closed after {after:?}");
    assert!(mute.others.iter().any(|other| other.first == PING), "it was never asked");
    wait_for_metric(&stack, SILENT, |count| count == 1.0).await;
    for (raw, echo) in [(&mut page, "page-42"), (&mut stock, "stock-42")] {
        assert!(raw.others.iter().any(|other| other.first == PING), "it was never asked");
        assert!(raw.type_text(&format!("clear; echo {}-$((40+2))\r", &echo[..echo.len() - 3])).await);
        raw.read_until(echo).await;
    }
}

/// A terminal that was opened across the link.
async fn across(network: &network::Network, client: &Client, session: &str) -> Raw {
    let port = client.origin().rsplit(':').next().unwrap().parse().unwrap();
    let stream = network.far.connect((GATEWAY, port).into(), NOTICED).await.unwrap();
    let protocols = format!("berth.v1, ticket.{}", client.ticket(session).await);
    let mut raw = Raw::over(stream, client, session, &protocols).await.expect("an upgrade");
    assert!(raw.send(&frame(BINARY, START)).await);
    raw.read_until("\u{1b}").await;
    raw
}

#[test]
fn a_path_that_swallows_everything_is_noticed_whether_output_waits_or_not() {
    network::test(async |network| {
        let (client, session) = network.client_and_session().await;
        let mut idle = across(&network, &client, &client.running_session("idle").await).await;
        idle.read_until_quiet(Duration::from_millis(500)).await;
        let mut flooded = across(&network, &client, &session).await;
        // tmux leaves out most of a flood, also what came just before it, so no line can be waited for.
        assert!(flooded.type_text("yes flood\r").await);
        let begun = flooded.output.len();
        while flooded.output.len() < begun + FLOOD {
            assert!(flooded.read().await, "closed during the flood");
        }
        network.link.set(Weather { cut: true, ..Weather::default() });
        let cut = Instant::now();
        wait::within(NOTICED, "both terminals to end", async || {
            (metric(&network.stack, OPEN).await? == 0.0).then_some(())
        })
        .await;
        assert!(cut.elapsed() >= DEAD.start - Duration::from_secs(2), "after {:?} only", cut.elapsed());
        wait_for_metric(&network.stack, SILENT, |count| count == 1.0).await;
        wait_for_metric(&network.stack, LOST, |count| count == 1.0).await;
    });
}

#[tokio::test]
async fn a_frozen_page_is_not_taken_for_dead_and_works_again_by_itself() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    let session = browser.open_terminal(&stack).await;
    browser.type_text("echo before-$((40+2))\n").await;
    browser.shows("before-42").await;
    browser.devtools("Page.setWebLifecycleState", json!({ "state": "frozen" })).await;
    // Nothing of the page's own runs now, so that its terminal stays open is the answers to pings.
    let ended = async { wait_for_metric(&stack, OPEN, |open| open == 0.0).await };
    assert!(timeout(DEAD.end, ended).await.is_err(), "the terminal of a frozen page was closed");
    browser.devtools("Page.setWebLifecycleState", json!({ "state": "active" })).await;
    // Chromium closes a frozen page's WebSocket itself once the page runs again; the page attaches anew, and what is
    // typed meanwhile is dropped. tmux is asked, for Chromium does not paint a page that was frozen in this way.
    let target = format!("={session}:");
    let shown =
        async || stack.tmux.run(&["capture-pane", "-p", "-t", &target])?.contains("after-42").then_some(());
    wait::until("keys to arrive", async || {
        browser.type_text("echo after-$((40+2))\n").await;
        wait::try_within(ECHO, shown).await
    })
    .await;
    browser.close().await;
}
