use super::*;

fn load(text: &str) -> Result<Settings, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.toml");
    std::fs::write(&file, text).unwrap();
    Settings::load(&Sources { file: Some(&file), env_prefix: ENV_PREFIX, ..Sources::default() })
}

fn refusal(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

/// The reference with its settings switched on: lines `# key = …`, `# [templates…]` and what continues a list
/// become settings, prose stays a comment.
fn switched_on(except: &[&str]) -> String {
    let is_setting = |body: &str| {
        let key = body.split_once(" = ").map(|(key, _)| key);
        key.is_some_and(|key| {
            key.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !except.contains(&key)
        }) || body.starts_with("[templates.")
            || body.starts_with("  { ")
            || body == "]"
    };
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(body) if is_setting(body) => format!("{body}\n"),
        _ => format!("{line}\n"),
    };
    REFERENCE.lines().map(line).collect()
}

/// Keys that have no default; the reference shows an example of each.
const WITHOUT_DEFAULT: [&str; 13] = [
    "repository",
    "credentials",
    "home",
    "public_ip",
    "tailscale_ip",
    "address",
    "shell",
    "user",
    "tmux_directory",
    "auth_key_file",
    "hostname",
    "unit",
    "patterns_file",
];

#[test]
fn the_reference_states_exactly_the_defaults() {
    assert_eq!(load(&switched_on(&WITHOUT_DEFAULT)).unwrap(), Settings::default());
}

#[test]
fn the_reference_has_every_key() {
    let stated = load(&switched_on(&[])).unwrap();
    assert!(stated.door.public_ip.is_some() && stated.door.tailscale_ip.is_some());
    assert!(stated.link.address.is_some() && stated.terminal.shell.is_some());
    let mut keys = 0;
    for (section, value) in toml::Table::try_from(Settings::default()).unwrap() {
        match value {
            toml::Value::Table(table) if section == "templates" => {
                assert!(REFERENCE.contains("\n# [templates.default]\n"), "{table}");
            }
            toml::Value::Table(table) => {
                assert!(REFERENCE.contains(&format!("\n[{section}]\n")), "{section}");
                for key in table.keys() {
                    assert!(REFERENCE.contains(&format!("\n# {key} = ")), "{section}.{key}");
                    keys += 1;
                }
            }
            _ => assert!(REFERENCE.contains(&format!("\n# {section} = ")), "{section}"),
        }
    }
    assert!(keys >= 7, "the loop looked at {keys} keys");
}

#[test]
fn the_reference_alone_changes_nothing() {
    assert_eq!(load(REFERENCE).unwrap(), Settings::default());
}

#[test]
fn a_template_of_ones_own_replaces_or_joins_the_default() {
    let text = "[templates.go]\npanes = [{ name = \"run\", command = [\"go\", \"test\"] }]\n";
    let settings = load(text).unwrap();
    assert_eq!(settings.templates.len(), 2);
    let text = "[templates.default]\npanes = [{ name = \"only\" }]\n";
    assert_eq!(load(text).unwrap().templates[DEFAULT_TEMPLATE].panes.len(), 1);
}

#[test]
fn what_could_not_work_is_refused_with_its_key() {
    assert!(refusal("[metrics]\nlisten = \"0.0.0.0:1\"\n").contains("loopback"));
    assert!(refusal("state_dir = \"box\"\n").contains("state_dir"));
    assert!(refusal("[templates.x]\npanes = []\n").contains("templates.x has 0 panes"));
    assert!(refusal("[templates.x]\npanes = [{ name = \"\" }]\n").contains("pane 1"));
    assert!(refusal("[volume]\nsource = \"nfs\"\n").contains("directory"));
    assert!(refusal("[volume]\npath = \"w\"\n").contains("volume.path"));
    assert!(refusal("[volume]\nsource = \"hcloud:1\"\npath = \"/\"\n").contains("volume.path"));
    assert!(refusal("[volume]\ndeadline_secs = 0\n").contains("deadline_secs"));
    assert!(refusal("[layout]\nhome = \"/mnt/workspace/user/home\"\n").contains("inside each other"));
    assert!(refusal("[suspend]\nhook = [\"backup\"]\n").contains("suspend.hook"));
    let long = format!("runtime_dir = \"/{}\"\n", "x".repeat(90));
    assert!(refusal(&long).contains("choose a shorter one"));
    assert!(refusal("[terminal]\nttyd_path = \"/x\"\n").contains("agent.toml:2:"));
}
