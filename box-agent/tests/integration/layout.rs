//! The tree on the volume, its home directory at another place, and the verbs that look at them.

use std::os::unix::fs::symlink;

use crate::support::agent::{Agent, NO_GATEWAY};
use crate::support::ca::Ca;
use crate::support::disk::{Box, expect, mountinfo, root};
use crate::support::wait::until;

#[tokio::test]
async fn a_home_with_files_is_mounted_over_told_and_untouched() {
    if !root() {
        return;
    }
    let mut this = Box::new("directory", "");
    let home = this.file("claude");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("old"), "mine").unwrap();
    this.agent.amend("[door]", &format!("[layout]\nhome = \"{}\"\n[door]", home.display()));
    this.agent.start().await;
    let mounted = || mountinfo().lines().filter(|line| line.contains(home.to_str().unwrap())).count();
    assert_eq!(mounted(), 1);
    std::fs::write(home.join("new"), "on the volume").unwrap();
    assert!(this.point().join("user/home/new").exists() && !home.join("old").exists());
    let hides = format!("hides 1 entry that were in {}", home.display());
    assert!(this.status().contains(&hides), "{}", this.status());
    expect(&this.agent.verb(&["layout", "check"]), 1, &[&hides]);

    this.agent.end(nix::sys::signal::Signal::SIGKILL);
    this.agent.start().await;
    assert_eq!(mounted(), 1, "it is not mounted twice");
    expect(&this.agent.verb(&["layout", "check"]), 1, &[&hides]);
    expect(&this.agent.verb(&["suspend"]), 0, &["suspended"]);
    assert_eq!(mounted(), 0);
    assert_eq!(std::fs::read_to_string(home.join("old")).unwrap(), "mine");
    expect(&this.agent.verb(&["resume"]), 0, &["serving"]);
    assert_eq!(mounted(), 1);
}

#[tokio::test]
async fn the_verbs_tell_a_difference_and_mend_what_can_be_mended() {
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    expect(&agent.verb(&["layout", "check"]), 69, &["the volume is not at"]);
    agent.amend("[door]", "[layout]\ncheck_secs = 86400\n[door]");
    agent.start().await;
    expect(&agent.verb(&["layout", "check"]), 0, &[]);
    let at = |path: &str| agent.root().join("volume").join(path);
    std::fs::remove_dir(at("system/backups")).unwrap();
    std::fs::remove_file(at("user/home/.ssh")).unwrap();
    symlink("/etc", at("user/home/.ssh")).unwrap();
    let outside = "user/home/.ssh is a link to /etc, out of the volume";
    expect(&agent.verb(&["layout", "check"]), 1, &["system/backups is missing", outside]);
    assert!(!at("system/backups").exists(), "a check changes nothing");
    let said = expect(&agent.verb(&["layout", "apply"]), 1, &[outside]);
    assert!(!said.contains("backups") && at("system/backups").is_dir(), "{said}");
    assert_eq!(std::fs::read_link(at("user/home/.ssh")).unwrap(), std::path::Path::new("/etc"));
}

#[tokio::test]
async fn the_tree_is_looked_at_again_and_again() {
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.amend("[door]", "[layout]\ncheck_secs = 1\n[door]");
    agent.start().await;
    let at = |path: &str| agent.root().join("volume").join(path);
    std::fs::remove_dir(at("system/backups")).unwrap();
    until("the directory again", async || at("system/backups").is_dir().then_some(())).await;
    std::fs::remove_dir(at("user/.ssh")).unwrap();
    std::fs::write(at("user/.ssh"), "mine").unwrap();
    let status = || String::from_utf8(agent.verb(&["status"]).stdout).unwrap();
    let words = "trouble with layout: user/.ssh is a file, not a directory";
    until(words, async || status().contains(words).then_some(())).await;
    assert_eq!(std::fs::read_to_string(at("user/.ssh")).unwrap(), "mine");
    expect(&agent.verb(&["status"]), 0, &["ready"]);
    std::fs::remove_file(at("user/.ssh")).unwrap();
    until("the end of the trouble", async || (!status().contains("trouble with layout")).then_some(())).await;
}

#[test]
fn what_the_agent_needs_and_can_not_have_is_named() {
    let agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    box_agent::volume::Volume::open_directory(&agent.root().join("volume"), &agent.facts.workspace).unwrap();
    std::fs::write(agent.root().join("volume/user"), "mine").unwrap();
    expect(&agent.verb(&["run"]), 73, &["user is a file, not a directory", "move it away"]);
    std::fs::remove_file(agent.root().join("volume/user")).unwrap();
    symlink("/etc", agent.root().join("claude")).unwrap();
    agent.amend("[door]", &format!("[layout]\nhome = \"{}/claude\"\n[door]", agent.root().display()));
    expect(&agent.verb(&["run"]), 73, &["claude is a link to /etc", "layout.home"]);
}
