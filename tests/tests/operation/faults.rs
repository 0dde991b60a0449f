//! Faults of the machine and of operators: each is named, with its remedy, and damages nothing.

use std::os::unix::fs::PermissionsExt;

use berth_tests::process::{failure, run, run_with, stdout};
use berth_tests::stack::write_agent_config;
use berth_tests::{Stack, programs, wait};
use data_encoding::BASE64;
use tempfile::TempDir;

/// An address that nobody has.
const FREE: &str = "127.0.0.1:0";

/// Runs a gateway to its end with a state directory and the addresses of front, link and metrics.
fn serve(stack: &Stack, state: &str, [front, link, metrics]: [&str; 3]) -> std::process::Output {
    let config = stack.path("faulty.toml");
    let text = format!(
        "state_dir = \"{state}\"\n[front]\nlisten = \"{front}\"\n[link]\nlisten = \"{link}\"\n\
         [metrics]\nlisten = \"{metrics}\"\n"
    );
    std::fs::write(&config, text).unwrap();
    run(&programs::built("gateway"), &["serve", "--config", config.to_str().unwrap()], "")
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let stack = Stack::start_gateway().await;
    let taken = stack.origin().trim_start_matches("http://");
    let state = stack.path("other");
    for (setting, addresses) in [
        ("front.listen", [taken, FREE, FREE]),
        ("link.listen", [FREE, taken, FREE]),
        ("metrics.listen", [FREE, FREE, taken]),
    ] {
        let error = failure(&serve(&stack, state.to_str().unwrap(), addresses), 69);
        assert!(error.contains(taken) && error.contains(setting), "{error}");
    }
}

#[tokio::test]
async fn the_agents_taken_port_is_named() {
    let stack = Stack::start_gateway().await;
    stack.enroll("main");
    let taken = stack.origin().trim_start_matches("http://");
    let config = stack.path("box-agent.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replacen("listen = \"127.0.0.1:0\"", &format!("listen = \"{taken}\""), 1);
    std::fs::write(&config, text).unwrap();
    let error = failure(&stack.agent_verb(&["run"], ""), 69);
    assert!(error.contains(taken) && error.contains("door.listen"), "{error}");
}

#[tokio::test]
async fn an_unwritable_state_directory_is_named() {
    let stack = Stack::start_gateway().await;
    // A file is in the way: not even root can make a directory below it.
    let file = stack.path("file");
    std::fs::write(&file, "").unwrap();
    let state = file.join("state");
    let error = failure(&serve(&stack, state.to_str().unwrap(), [FREE; 3]), 73);
    assert!(error.contains(state.to_str().unwrap()), "{error}");

    let error = failure(&stack.agent_verb(&["run", "--state", state.to_str().unwrap()], ""), 73);
    assert!(error.contains(state.to_str().unwrap()), "{error}");
}

#[test]
fn a_state_directory_that_may_only_be_read_is_named() {
    let directory = tempfile::Builder::new().prefix("bf-").tempdir_in("/tmp").unwrap();
    let readonly = directory.path().join("readonly");
    std::fs::create_dir(&readonly).unwrap();
    write_agent_config(directory.path(), &programs::ttyd());
    let config = directory.path().join("box-agent.toml");
    for (path, mode) in [(directory.path(), 0o755), (&readonly, 0o555), (&config, 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    for state in [readonly.clone(), readonly.join("state")] {
        let state = state.to_str().unwrap();
        for (program, options) in
            [("gateway", ["--listen", FREE]), ("box-agent", ["--config", config.to_str().unwrap()])]
        {
            let verb = if program == "gateway" { "serve" } else { "run" };
            let output = as_nobody(&directory, program, &[&[verb, "--state", state], &options[..]].concat());
            let error = failure(&output, 73);
            assert!(error.contains(state) && error.contains("make the directory writable"), "{error}");
        }
    }
}

/// Runs a program as a user who may not write everywhere, as root may.
fn as_nobody(directory: &TempDir, program: &str, arguments: &[&str]) -> std::process::Output {
    if !nix::unistd::Uid::effective().is_root() {
        return run(&programs::built(program), arguments, "");
    }
    // Where it was built, only root may be able to look.
    let copy = directory.path().join(program);
    std::fs::copy(programs::built(program), &copy).unwrap();
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", copy.to_str().unwrap()];
    run(&programs::on_path("setpriv").unwrap(), &[&nobody, arguments].concat(), "")
}

#[tokio::test]
async fn a_state_directory_has_one_gateway_and_one_agent() {
    let stack = Stack::start().await;
    let state = stack.path("gateway");
    let error = failure(&serve(&stack, state.to_str().unwrap(), [FREE; 3]), 73);
    assert!(error.contains("in use by another process"), "{error}");
    let error = failure(&stack.agent_verb(&["run"], ""), 73);
    assert!(error.contains("in use by another process"), "{error}");
}

#[tokio::test]
async fn a_missing_ttyd_or_tmux_is_named() {
    let stack = Stack::start_gateway().await;
    stack.enroll("main");
    write_agent_config(stack.path("").as_path(), "/nowhere/ttyd".as_ref());
    let error = failure(&stack.agent_verb(&["run"], ""), 69);
    assert!(error.contains("/nowhere/ttyd") && error.contains("terminal.ttyd"), "{error}");

    write_agent_config(stack.path("").as_path(), &programs::ttyd());
    let config = stack.path("box-agent.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[terminal]\n", "[terminal]\ntmux = \"/nowhere/tmux\"\n")).unwrap();
    let error = failure(&stack.agent_verb(&["run"], ""), 69);
    assert!(error.contains("/nowhere/tmux") && error.contains("terminal.tmux"), "{error}");
}

#[tokio::test]
async fn a_damaged_store_is_named_and_left_alone() {
    let mut stack = Stack::start_gateway().await;
    stack.gateway.stop();
    let path = stack.path("gateway/gateway.db");
    let damaged = vec![b'x'; 8192];
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(stack.path(&format!("gateway/gateway.db{suffix}")));
    }
    std::fs::write(&path, &damaged).unwrap();
    let error = failure(&stack.gateway_verb(&["serve"]), 73);
    assert!(error.contains("gateway.db") && error.contains("damaged"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), damaged);
}

#[tokio::test]
async fn the_key_of_the_ca_is_sealed_and_another_sealing_key_is_named() {
    let mut stack = Stack::start_gateway().await;
    stack.gateway.stop();
    let store = std::fs::read(stack.path("gateway/gateway.db")).unwrap();
    let holds = |text: &str| store.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("BEGIN CERTIFICATE") && !holds("PRIVATE KEY"), "the CA is not stored as it should be");

    let key = stack.path("gateway/sealing.key");
    let other = BASE64.encode(&[7; 32]);
    std::fs::write(&key, &other).unwrap();
    let error = failure(&stack.gateway_verb(&["serve"]), 73);
    assert!(error.contains("use the sealing key that this store was made with"), "{error}");
    assert_eq!(std::fs::read_to_string(&key).unwrap(), other);
}

#[tokio::test]
async fn a_damaged_agent_database_is_named_and_left_alone() {
    let mut stack = Stack::start().await;
    stack.agent.stop();
    let path = stack.path("workspace/system/state/agent.db");
    let damaged = vec![b'x'; 8192];
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(stack.path(&format!("workspace/system/state/agent.db{suffix}")));
    }
    std::fs::write(&path, &damaged).unwrap();
    let error = failure(&stack.agent_verb(&["run"], ""), 73);
    assert!(error.contains("agent.db"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), damaged);
}

#[tokio::test]
async fn an_agent_that_never_enrolled_says_how() {
    let stack = Stack::start_gateway().await;
    let error = failure(&stack.agent_verb(&["run"], ""), 78);
    assert!(error.contains("gateway workspace enroll") && error.contains("box-agent enroll"), "{error}");
}

#[tokio::test]
async fn an_unknown_key_is_named_with_its_place() {
    let stack = Stack::start_gateway().await;
    for (program, file, verb) in
        [("gateway", "g.toml", &["config", "show"][..]), ("box-agent", "a.toml", &["check-config"][..])]
    {
        let config = stack.path(file);
        std::fs::write(&config, "[metrics]\nlisen = \"127.0.0.1:1\"\n").unwrap();
        let arguments = [verb, &["--config", config.to_str().unwrap()]].concat();
        let error = failure(&run(&programs::built(program), &arguments, ""), 78);
        assert!(
            error.contains(&format!("{file}:2:1: unknown key \"lisen\"; did you mean \"listen\"?")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn secrets_are_masked_wherever_settings_are_shown() {
    let stack = Stack::start_gateway().await;
    let config = stack.path("secret.toml");
    std::fs::write(&config, "[sealing]\nkey = \"aHVzaC1odXNo\"\n").unwrap();
    let shown = stdout(&run(
        &programs::built("gateway"),
        &["config", "show", "--config", config.to_str().unwrap()],
        "",
    ));
    assert!(!shown.contains("aHVzaC1odXNo") && shown.contains("********"), "{shown}");
}

#[tokio::test]
async fn init_writes_a_configuration_that_serve_takes_and_reset_keeps_the_old_one() {
    let stack = Stack::start_gateway().await;
    let (config, state) = (stack.path("new/gateway.toml"), stack.path("new/state"));
    let gateway = |verb: &[&str]| {
        let common = ["--config", config.to_str().unwrap(), "--state", state.to_str().unwrap()];
        stdout(&run(&programs::built("gateway"), &[verb, &common].concat(), ""))
    };
    gateway(&["init"]);
    assert!(state.join("gateway.db").exists());
    let before = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{before}# mine\n")).unwrap();
    gateway(&["init"]);
    assert!(std::fs::read_to_string(&config).unwrap().ends_with("# mine\n"), "init overwrote the file");
    for _ in 0..3 {
        gateway(&["config", "reset"]);
        assert_eq!(std::fs::read_to_string(&config).unwrap(), before);
    }
    let kept = |name| std::fs::read_to_string(stack.path(name)).unwrap();
    assert!(kept("new/gateway.toml.old").ends_with("# mine\n"), "a later reset overwrote the file");
    assert_eq!((kept("new/gateway.toml.old.2"), kept("new/gateway.toml.old.3")), (before.clone(), before));
    assert_eq!(gateway(&["config", "path"]), config.to_str().unwrap());
}

#[test]
fn a_wrong_command_line_has_its_own_code() {
    let gateway = |arguments: &[&str]| run(&programs::built("gateway"), arguments, "");
    for wrong in [&["fly"][..], &["serve", "--bogus"], &["workspace", "create"], &[]] {
        let error = failure(&gateway(wrong), 64);
        assert!(error.contains("Usage: gateway"), "{error}");
    }
    for answer in ["--help", "--version"] {
        assert!(stdout(&gateway(&[answer])).contains("gateway"), "{answer}");
    }
}

#[test]
fn variables_that_are_not_text_are_nobodys_settings() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    for (program, verb) in [("gateway", &["config", "show"][..]), ("box-agent", &["check-config"])] {
        let odd = [
            (OsStr::new("LATIN_1"), OsStr::from_bytes(b"M\xfcll")),
            (OsStr::from_bytes(b"\xff"), OsStr::new("")),
        ];
        let shown = stdout(&run_with(&programs::built(program), verb, &odd));
        assert!(shown.contains("[metrics]"), "{program}");
    }
}

#[tokio::test]
async fn completions_are_printed() {
    let stack = Stack::start_gateway().await;
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&stack.gateway_verb(&["completions", shell])).contains("sign-in-link"), "{shell}");
        assert!(stdout(&stack.agent_verb(&["completions", shell], "")).contains("check-config"), "{shell}");
    }
}

#[tokio::test]
async fn an_agent_without_its_gateway_gets_ready_with_its_sessions() {
    let mut stack = Stack::start().await;
    let (_client, session) = stack.client_and_session("work").await;
    stack.agent.stop();
    stack.gateway.stop();
    // The tmux server goes too, as with the VM.
    let _ = stack.tmux.run(&["kill-server"]);
    stack.start_agent().await;
    wait::until("the session to be made again", async || {
        (stack.tmux.sessions() == [session.as_str()]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn processes_that_open_a_new_installation_at_once_agree() {
    let stack = Stack::start_gateway().await;
    for round in 0..5 {
        let state = stack.path(&format!("fresh-{round}"));
        let link = || {
            let arguments = ["sign-in-link", "--state", state.to_str().unwrap()];
            std::thread::scope(|scope| {
                let run = || stdout(&run(&programs::built("gateway"), &arguments, ""));
                [(); 4].map(|()| scope.spawn(run)).map(|thread| thread.join().unwrap())
            })
        };
        assert!(link().iter().all(|link| link.contains("/sign-in?code=")));
        assert!(link().iter().all(|link| link.contains("/sign-in?code=")), "the state was damaged");
    }
}
