use berth_protocol::environment::Secret;

use super::*;

#[test]
fn progress_is_understood_and_nothing_else_is() {
    let line = "Receiving objects:  42% (21/50), 1.00 MiB | 2.00 MiB/s";
    assert_eq!(progress(line), Some(("Receiving objects".into(), 42)));
    assert_eq!(
        progress("remote: Counting objects: 100% (3/3), done."),
        Some(("Counting objects".into(), 100))
    );
    for line in ["Cloning into 'work'...", "fatal: 12", "x: 101% (1/1)", "x: -1% (1/1)", ": % (", ""] {
        assert_eq!(progress(line), None, "{line}");
    }
}

#[test]
fn what_git_says_is_bounded_and_cleaned() {
    let mut said = Vec::new();
    let flood = format!("{}\n{}\nfatal: \u{1b}[31mno\n", "x".repeat(1 << 20), "y\r".repeat(10_000));
    let words = listen(flood.as_bytes(), &mut |line| said.push(line));
    assert!(words.len() <= LAST_WORDS + 4 && words.ends_with("no"), "{words}");
    assert!(!explained(&words, "").contains('\u{1b}'));
    let repeated =
        "Receiving objects:  1% (1/9)\rReceiving objects:  1% (1/9)\rReceiving objects:  2% (1/9)\r";
    listen(repeated.as_bytes(), &mut |line| said.push(line));
    assert_eq!(said.len(), 2);
    assert_eq!(hide("a hush b", b"hush"), "a ******** b");
}

#[test]
fn nothing_of_a_job_becomes_an_option_or_a_line_of_a_shell() {
    let job = CloneJob {
        repository: Repository {
            url: "https://git.example:8443/a".parse().unwrap(),
            directory: "a".parse().unwrap(),
            branch: Some("b".parse().unwrap()),
            token: Some(Secret::new("hush")),
        },
        agent: "/opt/it's/box-agent".into(),
    };
    let words = arguments(&job, Path::new("/run/box/secrets"));
    let line = words.join(&OsString::from("|")).into_string().unwrap();
    assert!(line.ends_with("|clone|--progress|--branch=b|--|https://git.example:8443/a|work"), "{line}");
    let helper = "-c|credential.helper=|-c|credential.helper=!'/opt/it'\\''s/box-agent' worker credential --scheme https \
                  --authority 'git.example:8443' --token-file '/run/box/secrets/clone-token'|";
    assert!(line.starts_with(helper), "{line}");
    assert!(!line.contains("hush"));
}

#[test]
fn git_is_led_astray_by_no_variable() {
    let variable = |name: &str| (OsString::from(name), OsString::from("theirs"));
    let set =
        ["GIT_DIR", "GIT_TRACE_CURL", "GIT_ASKPASS", "GIT_CONFIG_COUNT", "GIT_ALLOW_PROTOCOL"].map(variable);
    let env = environment([variable("HOME")], [set.to_vec(), vec![variable("https_proxy")]].concat());
    let get = |name: &str| {
        env.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.to_str().unwrap())
    };
    assert_eq!((get("HOME"), get("https_proxy")), (Some("theirs"), Some("theirs")));
    for name in ["GIT_DIR", "GIT_TRACE_CURL", "GIT_ASKPASS", "GIT_CONFIG_COUNT"] {
        assert_eq!(get(name), None, "{name}");
    }
    assert_eq!((get("GIT_ALLOW_PROTOCOL"), get("GIT_TERMINAL_PROMPT")), (Some("https:http:ssh"), Some("0")));
    assert!(get("GIT_SSH_COMMAND").unwrap().contains("BatchMode=yes"));
}
