//! `scripts/start` with the real programs: from the command to a session in the browser, and back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use berth_tests::process::{descendant, is_alive, kill_child, stdout};
use berth_tests::{Checkout, Client, Terminal, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How soon a terminal must be back after a crash.
const BACK: Duration = Duration::from_secs(5);

/// How long a start with nothing to make may take on a busy machine.
const SECONDS: Duration = Duration::from_secs(15);

#[tokio::test]
async fn two_side_by_side_keep_their_sessions_over_a_restart() {
    let (mut own, mut ordinary) = (Checkout::own(), Checkout::ordinary());
    let (client, other) = tokio::join!(own.sign_in(), ordinary.sign_in());
    let cookie_name = |client: &Client| client.cookie().split('=').next().unwrap().to_owned();
    assert_ne!(cookie_name(&client), cookie_name(&other));
    tokio::join!(
        used_stopped_and_started_again(own, client),
        used_stopped_and_started_again(ordinary, other)
    );
}

async fn used_stopped_and_started_again(mut checkout: Checkout, client: Client) {
    client.wait_for_box("online").await;
    let session = client.running_session("work").await;
    Terminal::open(&client, &session).await.read_until("\u{1b}").await;
    let panes = checkout.tmux.pane_pids(&session);
    assert_eq!(panes.len(), 3);
    the_volume_is_the_home(&checkout, &session).await;
    for name in ["gateway", "box-agent"] {
        a_crash_is_mended(&checkout, name, &client, &session).await;
        assert_eq!(checkout.tmux.pane_pids(&session), panes, "{name} took the session with it");
    }

    let certificate = std::fs::read(checkout.state("box/identity/certificate.pem")).unwrap();
    let programs =
        ["gateway", "box-agent", "ttyd"].map(|name| descendant(checkout.script.pid(), name).unwrap());
    assert_eq!(BTreeSet::from(programs).len(), 3);
    interrupt(&mut checkout).await;
    for pid in programs {
        wait::until("the programs to be gone", async || (!is_alive(pid)).then_some(())).await;
    }
    assert!(all_alive(&panes), "a session's processes ended with Berth");

    let begun = Instant::now();
    let client = checkout.sign_in().await;
    assert!(begun.elapsed() < SECONDS, "a second start took {:?}", begun.elapsed());
    client.wait_for_session(&session, "running").await;
    assert_eq!(checkout.tmux.pane_pids(&session), panes);
    let kept = std::fs::read(checkout.state("box/identity/certificate.pem")).unwrap();
    assert_eq!(kept, certificate, "the box was enrolled again");
    interrupt(&mut checkout).await;

    let said = stdout(&checkout.run("--clean"));
    assert!(said.contains("Ended the tmux sessions"), "{said}");
    assert!(!checkout.state("").exists());
    wait::until("tmux to end", async || (!any_alive(&panes)).then_some(())).await;
}

/// What a shell of the session writes to its home is on the volume, and the user's own.
async fn the_volume_is_the_home(checkout: &Checkout, session: &str) {
    let pane = format!("={session}:.2");
    let typed = checkout.tmux.run(&["send-keys", "-t", &pane, "echo $((6*7)) >~/proof", "Enter"]);
    assert!(typed.is_some());
    let proof = checkout.state("workspace/user/home/proof");
    wait::until("the file in the home directory", async || {
        (std::fs::read_to_string(&proof).ok()? == "42\n").then_some(())
    })
    .await;
    let owner = |path| std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(path).unwrap());
    assert_eq!(owner(proof), owner(checkout.state("")));
}

/// Kills a program as a crash would: it is started again, and the terminal is back in time.
async fn a_crash_is_mended(checkout: &Checkout, name: &str, client: &Client, session: &str) {
    let mut terminal = Terminal::open(client, session).await;
    terminal.read_until("\u{1b}").await;
    let crash = Instant::now();
    kill_child(checkout.script.pid(), name);
    terminal.read_until_closed().await;
    let left = BACK.saturating_sub(crash.elapsed());
    let mut terminal = Terminal::open_again(client, session, left).await;
    terminal.read_until("\u{1b}").await;
    assert!(crash.elapsed() < BACK, "{name} was away for {:?}", crash.elapsed());
}

/// Ctrl-C.
async fn interrupt(checkout: &mut Checkout) {
    kill(checkout.script.pid(), Signal::SIGINT).unwrap();
    let status = checkout.script.ended().await;
    assert_eq!(status.code(), Some(130), "{}", checkout.script.log());
}

fn pids(panes: &[String]) -> impl Iterator<Item = Pid> {
    panes.iter().map(|pid| Pid::from_raw(pid.parse().unwrap()))
}

fn all_alive(panes: &[String]) -> bool {
    pids(panes).all(is_alive)
}

fn any_alive(panes: &[String]) -> bool {
    pids(panes).any(is_alive)
}
