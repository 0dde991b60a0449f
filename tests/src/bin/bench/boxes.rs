//! A gateway with many boxes on which nothing happens.

use std::time::Duration;

use berth_tests::metrics::wait_for_metric;
use berth_tests::{Linked, Stack};

use crate::report::Report;
use crate::rounds::Series;
use crate::starts::{cpu, megabytes};

/// Boxes.
const BOXES: usize = 1000;

/// How often a box says that it is alive, as real ones do.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long the processor time of nothing is watched.
const SPAN: Duration = Duration::from_secs(60);

pub async fn measure(report: &mut Report) {
    eprintln!("Linked boxes: {BOXES}");
    let stack = Stack::start_gateway().await;
    let mut boxes = tokio::task::JoinSet::new();
    for number in 0..BOXES {
        let name = format!("w{number}");
        let made = stack.gateway_verb(&["workspace", "create", &name]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        stack.enroll(&name);
        boxes.spawn(Linked::begin(&stack).await.beat(HEARTBEAT));
        // The next box begins where this one did: with nothing.
        for entry in std::fs::read_dir(stack.path("box")).expect("the box's state").flatten() {
            let path = entry.path();
            let gone = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
            gone.expect("the box's state goes");
        }
    }
    wait_for_metric(&stack, "gateway_links_open", |open| open >= BOXES as f64).await;
    let gateway = stack.gateway.pid();
    let before = cpu(gateway);
    tokio::time::sleep(SPAN).await;
    let percent = (cpu(gateway) - before) * 100.0 / SPAN.as_secs_f64();
    report.add("gateway MB, 1,000 boxes", megabytes(gateway));
    report.add("gateway CPU %, 1,000 boxes", Series(vec![percent]));
    assert!(boxes.try_join_next().is_none(), "every box is still there");
}
