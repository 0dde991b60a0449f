//! Backups on bad days: after each, the right named error or success, a sound repository and no lock.

use std::fs;
use std::time::{Duration, Instant};

use berth_tests::backup::{BackupStack, PASSWORD};
use berth_tests::process::{kill_child, stdout};
use berth_tests::s3::{KEY_ID, SECRET_KEY, Weather};
use berth_tests::wait;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde_json::Value;

/// Limits so short that what would take minutes takes seconds. What must succeed does not depend on them.
const SHORT: &str = "open_deadline_secs = 2\nstall_secs = 3";

fn kind(record: &Value) -> &str {
    record["problem"]["kind"].as_str().unwrap_or("none")
}

/// A box with one good backup.
async fn with_backup(more: &str) -> BackupStack {
    let this = BackupStack::start(more).await;
    let first = this.first().await;
    assert_eq!(first["outcome"], "good", "{first}");
    this
}

#[tokio::test]
async fn new_keys_need_no_person_and_ones_that_worked_are_not_tried_again() {
    let mut this = BackupStack::prepare("").await;
    // By requests and not by time: what is refused first is the question whether there is a repository.
    this.proxy.set_for(4, Weather::Unknown, Weather::Fair);
    this.stack.start_agent().await;
    let first = this.first().await;
    assert_eq!((first["outcome"].as_str(), this.proxy.refused()), (Some("good"), 4), "{first}");

    this.proxy.set(Weather::Status(403));
    let refused = this.followed(&["run"], 1);
    assert_eq!(kind(&refused), "access_denied", "{refused}");
    assert!(refused["problem"]["message"].as_str().unwrap().contains("check that it is right"), "{refused}");
    assert!(this.proxy.refused() - 4 <= 3, "it was not asked again and again");
    // Keys are rotated without a restart.
    this.proxy.set(Weather::Fair);
    this.write_keys(KEY_ID, "not-the-secret", PASSWORD);
    this.write_keys(KEY_ID, SECRET_KEY, PASSWORD);
    let _ = this.followed(&["run"], 0);
    this.assert_sound();
}

#[tokio::test]
async fn a_key_that_can_not_delete_is_enough_for_backups_and_checks() {
    let mut this = BackupStack::prepare("add_only = true").await;
    this.proxy.set(Weather::AddOnly);
    this.stack.start_agent().await;
    let first = this.first().await;
    // Locks are left, and in nobody's way.
    let good = this.followed(&["run"], 0);
    let checked = this.followed(&["check"], 0);
    for run in [&first, &good, &checked] {
        assert_eq!((run["outcome"].as_str(), run["warnings"].is_null()), (Some("good"), true), "{run}");
    }
    assert!(this.proxy.refused() > 0, "nothing was refused, so nothing was shown");
    let phases = good["phases"].to_string();
    assert!(!phases.contains("forgetting") && !phases.contains("giving space"), "{phases}");
}

#[tokio::test]
async fn each_trouble_has_its_name_and_leaves_a_sound_repository() {
    each_has_its_name(&[(Weather::Status(503), "unreachable"), (Weather::Full, "no_space")]).await;
}

#[tokio::test]
#[ignore = "waits for many deadlines"]
async fn so_has_every_other_trouble() {
    each_has_its_name(&[(Weather::Status(500), "unreachable"), (Weather::Cut(40), "unreachable")]).await;
}

async fn each_has_its_name(troubles: &[(Weather, &str)]) {
    let this = with_backup(SHORT).await;
    fs::write(this.user("projects/news"), vec![7; 300_000]).unwrap();
    for (weather, expected) in troubles.iter().copied() {
        this.proxy.set(weather);
        let failed = this.followed(&["run"], 1);
        assert_eq!(kind(&failed), expected, "{weather:?}: {failed}");
        this.proxy.set(Weather::Fair);
    }
    this.write_keys(KEY_ID, SECRET_KEY, "another-password");
    let failed = this.followed(&["run"], 1);
    assert_eq!(kind(&failed), "wrong_password", "{failed}");
    this.write_keys(KEY_ID, SECRET_KEY, PASSWORD);
    // A lock of a program that is gone is no hindrance.
    let good = this.followed(&["run"], 0);
    assert!(good["added_bytes"].as_u64().unwrap() > 0);
    this.assert_sound();
}

#[tokio::test]
async fn a_server_that_is_only_slow_is_waited_for_and_a_person_may_end_that() {
    let this = with_backup("").await;
    fs::write(this.user("projects/news"), noise(200_000)).unwrap();
    this.proxy.set(Weather::Storm);
    let stormy = this.followed(&["run"], 0);
    assert_eq!(stormy["outcome"], "good", "{stormy}");
    assert!(this.proxy.refused() > 0);
    fs::write(this.user("projects/more"), noise(400_000)).unwrap();
    this.proxy.set(Weather::Trickle(4_000));
    let ended = std::thread::scope(|scope| {
        let run = scope.spawn(|| this.followed(&["run"], 1));
        reaches(&this, "backing up");
        // One at a time: a second is refused while this one goes on.
        let refused = this.backup(&["run"]);
        assert_eq!(refused.status.code(), Some(1));
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(words.contains("a backup goes on"), "{refused:?}");
        let _ = stdout(&this.backup(&["cancel"]));
        run.join().unwrap()
    });
    assert_eq!(ended["outcome"], "cancelled", "{ended}");
    assert!(ended["problem"]["message"].as_str().unwrap().contains("it was at: backing up"), "{ended}");
    fs::write(this.user("projects/more"), noise(100_000)).unwrap();
    let slow = this.followed(&["run"], 0);
    assert_eq!(slow["outcome"], "good", "{slow}");
    this.proxy.set(Weather::Fair);
    this.assert_sound();
}

#[tokio::test]
#[ignore = "waits until what hangs is killed"]
async fn a_run_that_hangs_is_ended_by_a_person_and_the_next_one_works() {
    let this = with_backup("").await;
    this.proxy.set(Weather::Silent);
    let asked = std::thread::scope(|scope| {
        let run = scope.spawn(|| this.followed(&["run"], 1));
        reaches(&this, "opening the repository");
        let _ = stdout(&this.backup(&["cancel"]));
        run.join().unwrap()
    });
    assert_eq!(asked["outcome"], "cancelled", "{asked}");
    this.proxy.set(Weather::Fair);
    let _ = this.followed(&["run"], 0);
    this.assert_sound();
}

/// Waits until a run is in this phase, on this thread.
fn reaches(this: &BackupStack, phase: &str) {
    let began = Instant::now();
    while this.state()["running"]["phase"] != phase {
        assert!(began.elapsed() < wait::PATIENCE * 4, "{phase} is not reached: {}", this.state());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Restic,
    Agent,
    Gateway,
}

/// Kills one after the other in the middle of a run; the history says so, and the next run works.
async fn killed_at_random(victims: impl IntoIterator<Item = Victim>) {
    // What the agent leaves comes to this process, which collects it as late as a bad init would: until then restic takes
    // it for one that lives, and its lock for one that counts.
    set_child_subreaper(true).unwrap();
    let mut this = with_backup("").await;
    for (round, victim) in victims.into_iter().enumerate() {
        fs::write(this.user("projects/news"), noise(400_000 + round)).unwrap();
        this.proxy.set(Weather::Trickle(3_000));
        let before = newest(&this.state());
        let mut run = background(&this);
        wait::until("restic to run", async || {
            let state = this.state();
            (state["running"]["phase"] == "backing up").then_some(())
        })
        .await;
        if victim == Victim::Agent {
            let locks = this.s3.path("main/locks");
            wait::until("its lock", async || fs::read_dir(&locks).ok()?.next()).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..600))).await;
        let mut orphan = None;
        match victim {
            Victim::Restic => {
                let agent = this.stack.agent.pid();
                if berth_tests::process::descendant(agent, "restic").is_some() {
                    kill_child(agent, "restic");
                }
            }
            Victim::Agent => {
                orphan = berth_tests::process::descendant(this.stack.agent.pid(), "restic");
                this.stack.agent.kill();
                this.stack.start_agent().await;
            }
            Victim::Gateway => {
                this.stack.gateway.kill();
                this.stack.gateway.start();
                this.stack.wait_for_gateway().await;
            }
        }
        this.proxy.set(Weather::Fair);
        let _ = run.wait();
        let record = wait::within(wait::PATIENCE * 4, "the run to be accounted for", async || {
            let state = this.state();
            let runs = state["history"].as_array()?;
            let found = runs.iter().find(|run| run["run"].as_i64() == Some(before + 1)).cloned()?;
            (state["running"].is_null() && found["outcome"].is_string()).then_some(found)
        })
        .await;
        let outcome = record["outcome"].as_str().unwrap();
        // One that was done before the blow is good, and nothing else is called so; a run is none of the gateway's
        // business.
        match (outcome, victim) {
            ("good", _) => assert!(record["snapshot"].is_string(), "{record}"),
            ("failed", Victim::Restic) | ("lost", Victim::Agent) => {
                assert!(record["snapshot"].is_null(), "{record}");
            }
            _ => panic!("round {round}, {victim:?}: {record}"),
        }
        let next = std::thread::scope(|scope| {
            let next = scope.spawn(|| this.followed(&["run"], 0));
            if let Some(orphan) = orphan {
                collect_late(&this, orphan);
            }
            next.join().unwrap()
        });
        let warnings = next["warnings"].as_array().map_or(0, Vec::len);
        assert_eq!((next["outcome"].as_str(), warnings), (Some("good"), 0), "round {round}: {next}");
    }
    this.assert_sound();
}

/// Collects a process once the next run is past the moment at which it should have been gone, or waits for it.
fn collect_late(this: &BackupStack, orphan: Pid) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) && this.state()["running"]["phase"] != "backing up" {
        std::thread::sleep(Duration::from_millis(50));
    }
    waitpid(orphan, None).unwrap();
}

#[tokio::test]
async fn what_is_killed_in_the_middle_is_told_truthfully_and_the_next_run_works() {
    killed_at_random([Victim::Agent]).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn so_are_ten_restics() {
    killed_at_random([Victim::Restic; 10]).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn so_are_ten_agents() {
    killed_at_random([Victim::Agent; 10]).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn so_are_ten_runs_whose_gateway_is_killed() {
    killed_at_random([Victim::Gateway; 10]).await;
}

fn newest(state: &Value) -> i64 {
    state["history"][0]["run"].as_i64().unwrap_or(0)
}

/// A run that somebody follows, who may be left alone.
fn background(this: &BackupStack) -> berth_tests::process::Background {
    let config = this.stack.path("box-agent.toml");
    let words = ["backup", "run", "--config", config.to_str().unwrap()];
    berth_tests::process::background(&berth_tests::programs::built("box-agent"), &words)
}

fn noise(count: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(..)).take(count).collect()
}
