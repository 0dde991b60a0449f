use super::*;

fn refused<T: std::str::FromStr<Err = InvalidItem>>(text: &str) -> String {
    match text.parse::<T>() {
        Ok(_) => panic!("{text:?} was taken"),
        Err(error) => error.to_string(),
    }
}

fn sample() -> DesiredEnvironment {
    let file = |content: &str, secret| DesiredFile {
        content: Secret::new(content),
        mode: FileMode::PRIVATE,
        secret,
    };
    DesiredEnvironment {
        variables: [("KEY".parse().unwrap(), Secret::new("hush-variable"))].into(),
        files: [
            (".ssh/id_ed25519".parse().unwrap(), file("hush-file", true)),
            (".config/a".parse().unwrap(), file("plain", false)),
        ]
        .into(),
        repository: Some(Repository {
            url: "https://git.example/a/b.git".parse().unwrap(),
            directory: "b".parse().unwrap(),
            branch: None,
            token: Some(Secret::new("hush-token")),
        }),
        post_start: Some("make\n".into()),
        withheld: false,
    }
}

#[test]
fn a_variable_is_a_plain_name_that_nobody_else_sets() {
    for name in ["A", "_a1", "ANTHROPIC_API_KEY", "ENV", "LDAP", &"X".repeat(128)] {
        name.parse::<VariableName>().unwrap();
    }
    for name in ["", "1A", "A=B", "A B", "Ü", "A\0", "A\n", "$(x)", "-x", &"X".repeat(129)] {
        assert!(refused::<VariableName>(name).contains("use 1 to 128"), "{name:?}");
    }
    for name in ["HOME", "USER", "SHELL", "PATH", "BERTH_SESSION", "berth_name", "TMUX", "TMUX_PANE", "TERM"]
    {
        assert!(refused::<VariableName>(name).contains("Berth sets it itself"), "{name}");
    }
    assert!(refused::<VariableName>("LD_PRELOAD").contains("keep every program from starting"));
    for name in ["IFS", "UID", "BASHOPTS", "BASH_ENV", "OPTIND"] {
        assert!(refused::<VariableName>(name).contains("the shell's own"), "{name}");
    }
}

#[test]
fn a_destination_leads_down_from_home() {
    for path in [".ssh/id_ed25519", "a", "projects/app/.env", "a b/ü", "..."] {
        path.parse::<Destination>().unwrap();
    }
    let long = "x/".repeat(300);
    for path in ["", "/etc/passwd", "~/x", "..", "a/../b", "a//b", "a/", "./a", "a\nb", "a\0", &long] {
        assert!(refused::<Destination>(path).starts_with("file \""), "{path:?}");
    }
    assert!(refused::<Destination>(&"x".repeat(256)).contains("component"));
}

#[test]
fn an_address_of_a_repository_is_never_an_option_a_command_or_a_secret() {
    for url in [
        "https://github.com/a/b.git",
        "https://git.example:8443/a",
        "ssh://git@host.example:2222/a/b",
        "git@github.com:a/b.git",
        "http://127.0.0.1:3000/a",
        "http://[::1]:3000/a",
    ] {
        url.parse::<RepositoryUrl>().unwrap_or_else(|error| panic!("{url}: {error}"));
    }
    for url in [
        "",
        "--upload-pack=touch /tmp/x",
        "-u",
        "ext::sh -c touch% /tmp/x",
        "file:///etc",
        "/etc",
        "../x",
        "host:path",
        "git://host/a",
        "https://",
        "https://host",
        "https:///a",
        "https://-host/a",
        "ssh://-oProxyCommand=x/a",
        "ssh://git@-oProxyCommand=x/a",
        "-oProxyCommand=x@host:a",
        "git@-host:a",
        "git@host:-a",
        "git@host::a",
        "https://host:99999/a",
        "https://host:x/a",
        "https://a b/c",
        "https://host/a\nb",
        "https://[zz]/a",
        "https://host\\@evil/a",
        "https://host/a?x",
        "https://host/a#x",
        "http://host.example/a",
        "http://127.0.0.1.evil.example/a",
    ] {
        refused::<RepositoryUrl>(url);
    }
    for url in ["https://token@host/a", "https://user:token@host/a", "ssh://git:pass@host/a"] {
        assert!(refused::<RepositoryUrl>(url).contains("the token has a field of its own"), "{url}");
    }
    let port = "https://git.example:8443/a/b".parse::<RepositoryUrl>().unwrap();
    assert_eq!(port.http_authority(), Some(("https", "git.example:8443")));
    assert_eq!("git@host:a".parse::<RepositoryUrl>().unwrap().http_authority(), None);
}

#[test]
fn names_of_branches_and_projects_are_no_options_and_no_paths() {
    for name in ["main", "feature/x-1", "v1.0", "ü"] {
        name.parse::<Branch>().unwrap();
    }
    for name in ["", "-b", "a..b", "a b", "a:b", "/a", "a/", "a.lock", "@{", "@", "a\n", "a//b", "x/.y"] {
        refused::<Branch>(name);
    }
    for name in ["app", "my-app_2.x"] {
        name.parse::<ProjectDirectory>().unwrap();
    }
    for name in ["", ".", "..", ".git", "a/b", "-a", "a b", "ü"] {
        refused::<ProjectDirectory>(name);
    }
}

#[test]
fn a_mode_is_octal_and_gives_nobody_more_than_the_owner_has() {
    assert_eq!("0600".parse::<FileMode>().unwrap(), FileMode::PRIVATE);
    assert_eq!("755".parse::<FileMode>().unwrap().to_string(), "0755");
    for mode in ["", "8", "4755", "1777", "0x1ff", "+600", "0000", "0200", "00600"] {
        refused::<FileMode>(mode);
    }
}

#[test]
fn what_is_said_of_an_environment_has_none_of_its_values() {
    let environment = sample();
    environment.check().unwrap();
    let said = format!("{environment:?}");
    assert!(said.contains("KEY") && !said.contains("hush") && !said.contains("plain"), "{said}");
    let error = serde_json::from_str::<Secret>("\"hush!\"").unwrap_err().to_string();
    assert!(!error.contains("hush"), "{error}");
}

#[test]
fn what_a_volume_keeps_mentions_no_secret() {
    let kept = sample().without_secrets();
    assert!(kept.withheld && kept.variables.is_empty() && kept.files.len() == 1);
    let text = serde_json::to_string(&kept).unwrap();
    for secret in ["hush-variable", "hush-file", "hush-token"] {
        let encoded = data_encoding::BASE64.encode(secret.as_bytes());
        assert!(!text.contains(secret) && !text.contains(&encoded), "{text}");
    }
    let plain = DesiredEnvironment { post_start: Some("x".into()), ..DesiredEnvironment::default() };
    assert_eq!(plain.without_secrets(), plain);
    assert_eq!(kept.without_secrets(), kept, "what was withheld stays withheld");
}

#[test]
fn every_bound_is_told_with_its_item() {
    let told = |change: fn(&mut DesiredEnvironment)| {
        let mut environment = sample();
        change(&mut environment);
        environment.check().unwrap_err().to_string()
    };
    let says = told(|e| drop(e.variables.insert("A".parse().unwrap(), Secret::new("a\0b"))));
    assert!(says.starts_with("variable A: "), "{says}");
    let says = told(|e| drop(e.variables.insert("A".parse().unwrap(), Secret::new([0xff]))));
    assert!(says.starts_with("variable A: "), "{says}");
    let says = told(|e| {
        (0..=MAX_VARIABLES)
            .for_each(|n| drop(e.variables.insert(format!("V{n}").parse().unwrap(), Secret::new(""))));
    });
    assert!(says.starts_with("variables: there are 130"), "{says}");
    let says = told(|e| {
        let file = e.files.values().next().unwrap().clone();
        (0..MAX_FILES).for_each(|n| drop(e.files.insert(format!("f{n}").parse().unwrap(), file.clone())));
    });
    assert!(says.starts_with("files: there are 66"), "{says}");
    let says = told(|e| e.files.values_mut().for_each(|file| file.mode = FileMode::PUBLIC));
    assert!(says.starts_with("file .ssh/id_ed25519: a secret file is its owner's alone"), "{says}");
    let says = told(|e| {
        let file = e.files[&".config/a".parse().unwrap()].clone();
        e.files.insert(".config".parse().unwrap(), file);
    });
    assert!(says.starts_with("file .config: it can't be a file while .config/a is in it"), "{says}");
    let says = told(|e| e.repository.as_mut().unwrap().url = "git@host:a".parse().unwrap());
    assert!(says.starts_with("repository token: it is sent over https only"), "{says}");
    let says = told(|e| e.repository.as_mut().unwrap().token = Some(Secret::new("a\nb")));
    assert!(says.starts_with("repository token: "), "{says}");
    let says = told(|e| {
        let file = e.files[&".config/a".parse().unwrap()].clone();
        e.files.insert("projects/b".parse().unwrap(), file);
    });
    assert!(says.starts_with("repository directory: "), "{says}");
    let says = told(|e| e.post_start = Some("x".repeat(MAX_SCRIPT_BYTES + 1)));
    assert!(says.starts_with("script: "), "{says}");
    let says = told(|e| e.post_start = Some("\u{1b}[0m".into()));
    assert!(says.starts_with("script: "), "{says}");
    let says =
        told(|e| drop(e.variables.insert("A".parse().unwrap(), Secret::new("x".repeat(64 * 1024 + 1)))));
    assert!(says.starts_with("variable A: its value has more than 65536 bytes"), "{says}");
    let says = told(|e| {
        e.files
            .values_mut()
            .for_each(|file| file.content = Secret::new("x".repeat(MAX_ENVIRONMENT_BYTES / 2)));
    });
    assert!(says.starts_with("environment: it has "), "{says}");
}

#[test]
fn the_largest_environment_fits_into_a_message_beside_the_largest_desired_state() {
    let mut environment = DesiredEnvironment {
        post_start: Some("\"".repeat(MAX_SCRIPT_BYTES)),
        ..DesiredEnvironment::default()
    };
    let left = MAX_ENVIRONMENT_BYTES - environment.bytes() - 1;
    let file =
        DesiredFile { content: Secret::new("\u{1}".repeat(left)), mode: FileMode::PUBLIC, secret: false };
    environment.files.insert("a".parse().unwrap(), file);
    environment.check().unwrap();
    let written = serde_json::to_vec(&environment).unwrap().len();
    // 200 sessions of 64 characters, and as many that have ended as anybody could ever tell apart.
    assert!(written + 300 * 1024 < crate::link::MAX_MESSAGE_BYTES, "{written}");
}
