//! Volumes that are not this box's as they are: refused, left as they were, and adopted when a person says so.

use berth_protocol::ids::SessionId;
use box_agent::store::Store;

use crate::support::agent::desired;
use crate::support::disk::{Box, Disk, expect, root, run};

fn marker(this: &Box) -> serde_json::Value {
    let text = std::fs::read_to_string(this.point().join("system/state/volume.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_copy_of_a_volume_is_refused_until_it_is_adopted() {
    if !root() {
        return;
    }
    let (mut this, disk) = Box::started(64, "").await;
    std::fs::write(this.point().join("user/home/work"), "years").unwrap();
    let original = marker(&this);
    this.stop_and_unmount();
    let copy = this.file("copy");
    run("dd", &[&format!("if={}", disk.device), &format!("of={}", copy.display()), "bs=1M"]);
    let copy = Disk::attach(&copy, &[]);
    let content = copy.bytes();
    this.source(&disk.device, &copy.device);
    let (from, to) =
        (format!("loop:{}", this.file("disk").display()), format!("loop:{}", this.file("copy").display()));
    this.fails(&["is a copy, or was moved", &from, &to, "box-agent volume adopt"]);
    assert!(copy.bytes() == content, "not even its journal was touched");
    expect(
        &this.agent.verb(&["volume", "status"]),
        1,
        &["verdict:     refused", "mounted:     no", &from, &to],
    );
    assert!(copy.bytes() == content);

    let said = expect(&this.agent.verb(&["volume", "adopt"]), 0, &["mounting", &from, "now it is"]);
    assert!(said.contains(original["incarnation"].as_str().unwrap()), "{said}");
    assert!(copy.places().is_empty(), "it is as it was");
    this.agent.start().await;
    assert_eq!(copy.places(), [this.point()]);
    assert_eq!(std::fs::read_to_string(this.point().join("user/home/work")).unwrap(), "years");
    let adopted = marker(&this);
    assert_eq!(adopted["device"], to.as_str());
    assert_ne!(adopted["incarnation"], original["incarnation"]);
    expect(&this.agent.verb(&["volume", "status"]), 0, &["mounted:     yes", "verdict:     in order"]);
    expect(&this.agent.verb(&["volume", "adopt"]), 69, &["the agent runs: stop it first"]);
}

#[tokio::test]
async fn another_workspaces_volume_is_not_touched_and_brings_nothing_of_it_when_it_is_adopted() {
    if !root() {
        return;
    }
    let (mut theirs, disk) = Box::started(64, "").await;
    theirs.stop();
    let session = SessionId::random();
    let store = Store::open(&theirs.agent.database()).unwrap();
    store.save_desired(&desired(500, &[&session])).await.unwrap();
    store.close().await;
    std::fs::write(theirs.point().join("user/home/work"), "years").unwrap();
    run("umount", &[theirs.point().to_str().unwrap()]);
    let content = disk.bytes();

    let mut ours = Box::new(&disk.device, "new = true");
    ours.fails(&["belongs to the workspace", theirs.agent.facts.workspace.as_str(), "volume adopt"]);
    assert!(disk.bytes() == content, "it was touched");
    expect(&ours.agent.verb(&["volume", "adopt"]), 0, &[theirs.agent.facts.workspace.as_str(), "put "]);
    ours.agent.start().await;
    assert!(ours.agent.sessions().is_empty(), "what was desired of another box is not desired of this one");
    assert_eq!(std::fs::read_to_string(ours.point().join("user/home/work")).unwrap(), "years");
}

#[tokio::test]
async fn an_agent_before_this_one_left_a_marker_without_a_device_and_it_is_named() {
    if !root() {
        return;
    }
    let (mut this, _disk) = Box::started(64, "").await;
    let path = this.point().join("system/state/volume.json");
    let old =
        format!("{{\"version\":1,\"workspace\":\"{}\",\"incarnation\":\"abc\"}}", this.agent.facts.workspace);
    std::fs::write(&path, old).unwrap();
    this.stop_and_unmount();
    this.agent.start().await;
    let marker = marker(&this);
    assert_eq!((marker["incarnation"].as_str(), marker["version"].as_u64()), (Some("abc"), Some(2)));
    assert_eq!(marker["device"], format!("loop:{}", this.file("disk").display()).as_str());
}

#[tokio::test]
async fn a_blank_disk_in_the_place_of_the_right_one_is_not_formatted_until_the_other_is_forgotten() {
    if !root() {
        return;
    }
    let (mut this, disk) = Box::started(64, "").await;
    this.stop_and_unmount();
    let blank = Disk::blank(&this.file("blank"), 64);
    this.source(&disk.device, &blank.device);
    this.fails(&["is empty, but this box has used a volume already", "volume forget"]);
    expect(&this.agent.verb(&["volume", "adopt"]), 73, &["is blank"]);
    assert!(blank.bytes().iter().all(|byte| *byte == 0));
    expect(&this.agent.verb(&["volume", "forget"]), 0, &["forgotten"]);
    this.agent.start().await;
    assert_eq!(blank.places(), [this.point()]);
}

#[test]
fn what_is_no_ext4_is_not_adopted() {
    if !root() {
        return;
    }
    let this = Box::new("/nowhere", "");
    let disk = Disk::blank(&this.file("disk"), 16);
    run("mkswap", &[&disk.device]);
    this.source("/nowhere", &disk.device);
    let content = disk.bytes();
    expect(&this.agent.verb(&["volume", "adopt"]), 73, &["holds swap, not ext4"]);
    assert!(disk.bytes() == content);
    let expected = ["content:     swap", "verdict:     refused"];
    expect(&this.agent.verb(&["volume", "status"]), 1, &expected);
}
