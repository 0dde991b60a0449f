//! restic's place is taken by scripts here, for what a real one does not do when asked.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use berth_protocol::backup::{BackupCredentials, Repository};
use berth_protocol::environment::Secret;

use super::*;

struct Fake {
    dir: tempfile::TempDir,
    restic: Restic,
}

/// A restic that is this script.
fn fake(script: &str) -> Fake {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("restic");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Stands for the agent, which becomes what it is told behind `guard --parent <pid> --`.
    let agent = dir.path().join("agent");
    std::fs::write(&agent, "#!/bin/sh\nshift 4\nexec \"$@\"\n").unwrap();
    std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
    let papers = dir.path().join("papers");
    let launcher = Launcher::find(&program, &dir.path().join("cache"), &papers, &agent, "1G").unwrap();
    Fake { dir, restic: Restic::new(launcher) }
}

fn target() -> Target {
    Target {
        repository: Repository {
            endpoint: "http://127.0.0.1:9".into(),
            bucket: "bucket".into(),
            prefix: "p".into(),
            region: "auto".into(),
        },
        credentials: BackupCredentials {
            key_id: "key-id".into(),
            secret_key: Secret::new("canary-secret"),
            session_token: Some(Secret::new("canary-token")),
            password: Secret::new("canary-password"),
        },
        add_only: false,
    }
}

fn bounds() -> Bounds {
    let cancel = CancellationToken::new();
    Bounds { cancel, deadline: Duration::from_mins(5), stall: Duration::from_mins(5) }
}

async fn run(fake: &Fake, bounds: &Bounds) -> (Result<Completeness, Problem>, Vec<Said>) {
    let mut said = Vec::new();
    let call = Call::remote(calls::open());
    let outcome = fake.restic.run(&target(), call, bounds, |line| said.push(line)).await;
    (outcome, said)
}

#[tokio::test]
async fn codes_decide_and_the_last_words_explain() {
    for (script, expected) in [
        ("exit 0", Ok(Completeness::Whole)),
        ("exit 3", Ok(Completeness::Partial)),
        ("exit 12", Err("wrong_password")),
        ("exit 77", Err("restic_failed")),
        ("kill -9 $$", Err("restic_failed")),
        ("echo 'Fatal: dial: connection refused' >&2; exit 1", Err("unreachable")),
        (
            r#"echo '{"message_type":"exit_error","code":1,"message":"Fatal: Access Denied."}' >&2; echo x >&2; exit 1"#,
            Err("access_denied"),
        ),
    ] {
        let (outcome, _) = run(&fake(script), &bounds()).await;
        assert_eq!(outcome.map_err(|problem| problem.kind()), expected, "{script}");
    }
}

#[tokio::test]
async fn secrets_are_in_its_environment_and_in_no_argument_and_gone_afterwards() {
    let script = r#"echo "args: $*"; cat "$RESTIC_PASSWORD_FILE"; echo; env | grep -E 'AWS|CANARY|HOME'"#;
    let fake = fake(script);
    let (outcome, said) = run(&fake, &bounds()).await;
    outcome.unwrap();
    let text = format!("{said:?}");
    let args = text.split("args: ").nth(1).unwrap().split('"').next().unwrap();
    assert!(args.contains("cat config") && !args.contains("canary"), "{args}");
    for word in ["canary-password", "AWS_SECRET_ACCESS_KEY=canary-secret", "AWS_SESSION_TOKEN=canary-token"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    let left: Vec<PathBuf> = std::fs::read_dir(fake.dir.path().join("papers"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn one_that_hangs_is_asked_to_end_and_named_by_what_it_waited_for() {
    let hangs = |words: &str| {
        let script = format!(
            "trap 'kill $!; exit 130' INT; echo 'Stat() returned error, retrying after 1s: {words}' >&2; sleep 600 & wait"
        );
        fake(&script)
    };
    let short = Bounds { stall: Duration::from_millis(100), ..bounds() };
    let (outcome, _) = run(&hangs("connection refused"), &short).await;
    assert_eq!(outcome.unwrap_err().kind(), "unreachable");
    // That is not waited for at all.
    let (outcome, _) = run(&hangs("401 Unauthorized"), &bounds()).await;
    assert_eq!(outcome.unwrap_err().kind(), "access_denied");
    let late = Bounds { deadline: Duration::from_millis(100), ..bounds() };
    let (outcome, _) = run(&fake("trap 'kill $!; exit 130' INT; sleep 600 & wait"), &late).await;
    assert_eq!(outcome.unwrap_err().kind(), "too_late");
    let cancelled = bounds();
    cancelled.cancel.cancel();
    let (outcome, _) = run(&fake("trap 'kill $!; exit 130' INT; sleep 600 & wait"), &cancelled).await;
    assert_eq!(outcome.unwrap_err(), Problem::Cancelled);
}

#[tokio::test]
async fn an_old_one_is_refused_with_the_remedy() {
    for (said, good) in [
        ("restic 0.14.0 compiled with go1.19.8 on linux/amd64", false),
        ("restic 0.18.0 compiled with go1.24.4 on linux/amd64", true),
        ("restic 0.19.1-dev compiled with go1.24.4 on linux/amd64", true),
        ("restic 1.0.0", true),
        ("rustic 0.19.1", false),
    ] {
        let outcome = fake(&format!("echo '{said}'")).restic.check_version(&bounds()).await;
        assert_eq!(outcome.is_ok(), good, "{said}: {outcome:?}");
        if let Err(problem) = outcome {
            assert!(problem.to_string().contains("0.18 or newer"), "{problem}");
        }
    }
}
