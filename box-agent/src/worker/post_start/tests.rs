use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;

struct User(tempfile::TempDir);

impl User {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for path in ["user/home", "user/projects/app", "secrets", "outside"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        Self(dir)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn run(&self, script: &str) -> ScriptLine {
        let directories = vec![self.at("user/projects/none"), self.at("user/projects/app")];
        run(&self.at("user"), &self.at("secrets"), &ScriptJob { script: script.into(), directories })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.at("user/home/.local/state/berth/post-start.log")).unwrap()
    }
}

#[test]
fn a_script_gets_the_variables_and_its_outputs_are_kept() {
    let user = User::new();
    std::fs::write(user.at("secrets/environment.sh"), "export A='b c'\n").unwrap();
    assert_eq!(user.run("echo \"$A\"; pwd; echo oh >&2"), ScriptLine::Done);
    assert_eq!(user.log(), format!("b c\n{}\noh\n", user.at("user/projects/app").display()));
    assert_eq!(user.run("#!/bin/bash\necho \"${BASH_VERSION:+bash}\""), ScriptLine::Done);
    assert_eq!(user.log(), "bash\n");
}

#[test]
fn a_failure_is_told_without_what_was_said() {
    let user = User::new();
    let ScriptLine::Failed(message) = user.run("echo hush; exit 3") else { panic!("it failed") };
    assert!(message.contains("exit status: 3") && message.contains(LOG_SHOWN), "{message}");
    assert!(!message.contains("hush"));
    assert!(matches!(user.run("#!/nowhere/x\n"), ScriptLine::Failed(_)));
}

#[test]
fn a_log_is_bounded_and_a_script_that_says_too_much_goes_on() {
    let user = User::new();
    assert_eq!(user.run("head -c 3000000 /dev/zero; true"), ScriptLine::Done);
    let log = user.log();
    assert!(log.len() < 1_050_000 && log.ends_with("[the rest is left out]\n"), "{}", log.len());
}

#[test]
fn what_a_script_leaves_behind_holds_nothing_up() {
    let user = User::new();
    let begun = std::time::Instant::now();
    assert_eq!(user.run("sleep 20 & echo $!"), ScriptLine::Done);
    assert!(begun.elapsed() < std::time::Duration::from_secs(15));
    // The agent kills the group of its worker; there is none here.
    let left = nix::unistd::Pid::from_raw(user.log().trim().parse().unwrap());
    nix::sys::signal::kill(left, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn nothing_in_the_place_of_the_log_is_written_to() {
    let user = User::new();
    let place = user.at("user/home/.local/state/berth");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(user.at("outside/file"), "theirs").unwrap();
    symlink(user.at("outside/file"), place.join("post-start.log")).unwrap();
    assert_eq!(user.run("echo ours"), ScriptLine::Done);
    assert_eq!(std::fs::read_to_string(user.at("outside/file")).unwrap(), "theirs");
    std::fs::remove_dir_all(&place).unwrap();
    symlink(user.at("outside"), &place).unwrap();
    let ScriptLine::Failed(message) = user.run("touch ran") else { panic!("it was run") };
    assert!(message.contains("leads out"), "{message}");
    assert!(!user.at("user/projects/app/ran").exists());
}
