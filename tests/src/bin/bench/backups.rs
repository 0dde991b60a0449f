//! A backup by the agent beside restic alone, both to the same S3 server.
//!
//! The agent does more in the same time: it checks what it backs up, looks for what changed meanwhile, notes hashes to
//! compare a restore with, and keeps its history.

use std::path::Path;
use std::time::{Duration, Instant};

use berth_tests::backup::{BackupStack, PASSWORD};
use berth_tests::wait;

use crate::report::Report;
use crate::rounds::{Series, order};

/// What restic alone stores in.
const BARE: &str = "bare";

/// New data of a round: so many files of so many bytes.
const FILES: usize = 1000;
const SIZE: usize = 64 * 1024;

#[derive(Default)]
struct Times {
    new: Series,
    unchanged: Series,
}

pub async fn measure(report: &mut Report) {
    eprintln!("Backups");
    let this = BackupStack::start("").await;
    let _ = this.first().await;
    bare(&this, &["init"]);
    bare(&this, &["backup", &tree(&this)]);
    let mut sides = [Times::default(), Times::default()];
    for round in 0..5 {
        for side in order(round, sides.len()) {
            // Each stores data that it has not seen, and then the same again.
            plant(&this.user(&format!("projects/round-{round}-{side}")));
            for again in [false, true] {
                idle(&this).await;
                let begun = Instant::now();
                match side {
                    0 => drop(this.followed(&["run"], 0)),
                    _ => bare(&this, &["backup", &tree(&this)]),
                }
                let taken = begun.elapsed().as_secs_f64();
                let times = &mut sides[side];
                if again { times.unchanged.0.push(taken) } else { times.new.0.push(taken) }
            }
        }
    }
    let [agent, restic] = &sides;
    for (what, ours, theirs) in
        [("new data", &agent.new, &restic.new), ("no change", &agent.unchanged, &restic.unchanged)]
    {
        report.add(&format!("backup s, {what}, agent"), ours.clone());
        report.add(&format!("backup s, {what}, restic"), theirs.clone());
        report.add_beside(&format!("backup s, {what}"), ours, "restic", theirs);
    }
}

/// What both back up.
fn tree(this: &BackupStack) -> String {
    this.stack.path("workspace/user").display().to_string()
}

/// Runs restic alone, which must succeed.
fn bare(this: &BackupStack, arguments: &[&str]) {
    let output = this.try_restic_in(BARE, arguments, PASSWORD);
    assert!(output.status.success(), "restic: {}", String::from_utf8_lossy(&output.stderr));
}

/// Waits until the agent does nothing by itself: a backup may be followed by a drill.
async fn idle(this: &BackupStack) {
    wait::within(Duration::from_secs(60), "the agent to be idle", async || {
        this.state()["running"].is_null().then_some(())
    })
    .await;
}

/// Files that nobody has seen before.
fn plant(directory: &Path) {
    std::fs::create_dir_all(directory).expect("a directory");
    let mut bytes = vec![0; SIZE];
    for number in 0..FILES {
        fastrand::fill(&mut bytes);
        std::fs::write(directory.join(number.to_string()), &bytes).expect("a file");
    }
}
