use std::net::SocketAddr;

use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    name: String,
    workers: u32,
    front: Front,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Front {
    listen: SocketAddr,
    hosts: Vec<String>,
    public_url: Option<String>,
    key: Option<Secret>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { name: "berth".into(), workers: 2, front: Front::default() }
    }
}

impl Default for Front {
    fn default() -> Self {
        let listen = "127.0.0.1:7391".parse().unwrap();
        Self { listen, hosts: Vec::new(), public_url: None, key: None }
    }
}

fn load_text(
    text: &str,
    env: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Settings, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.toml");
    std::fs::write(&file, text).unwrap();
    load(&Sources {
        file: Some(&file),
        drop_ins: drop_ins(&file)?,
        env_prefix: "T",
        env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        flags: flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(),
    })
}

#[test]
fn files_beside_the_file_outweigh_it_in_the_order_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.toml");
    let load_all =
        || load::<Settings>(&Sources { file: Some(&file), drop_ins: drop_ins(&file)?, ..Sources::default() });
    let beside = dir.path().join("t.d");
    std::fs::write(&file, "name = \"file\"\nworkers = 3\n").unwrap();
    assert_eq!(load_all().unwrap().name, "file");
    std::fs::create_dir(&beside).unwrap();
    for (name, text) in [("20.toml", "name = \"late\""), ("10.toml", "name = \"early\""), ("30.off", "x")] {
        std::fs::write(beside.join(name), text).unwrap();
    }
    let settings = load_all().unwrap();
    assert_eq!((settings.name.as_str(), settings.workers), ("late", 3));
    std::fs::write(beside.join("20.toml"), "\nnmae = 1").unwrap();
    let error = load_all().unwrap_err().to_string();
    assert!(error.contains("t.d/20.toml:2:1"), "{error}");
}

#[test]
fn each_layer_overrides_the_one_below() {
    let text = "name = \"file\"\nworkers = 3\n[front]\nlisten = \"127.0.0.1:1\"\n";
    let settings = load_text(text, &[], &[]).unwrap();
    assert_eq!((settings.name.as_str(), settings.workers, settings.front.listen.port()), ("file", 3, 1));
    let settings = load_text(text, &[("T__WORKERS", "4"), ("T__NAME", "env")], &[("name", "flag")]).unwrap();
    assert_eq!((settings.name.as_str(), settings.workers), ("flag", 4));
}

#[test]
fn the_environment_reaches_nested_keys_of_every_type() {
    let env = [
        ("T__FRONT__LISTEN", "[::1]:9"),
        ("T__FRONT__HOSTS", "[\"a\", \"b\"]"),
        ("T__FRONT__PUBLIC_URL", "7391"),
        ("OTHER__NAME", "ignored"),
    ];
    let settings = load_text("", &env, &[]).unwrap();
    assert_eq!(settings.front.listen, "[::1]:9".parse().unwrap());
    assert_eq!(settings.front.hosts, ["a", "b"]);
    assert_eq!(settings.front.public_url.as_deref(), Some("7391"), "a text stays a text");
    assert_eq!(settings.name, "berth");
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_its_neighbour() {
    let error =
        load_text("workers = 1\n[front]\nlisen = \"127.0.0.1:1\"\n", &[], &[]).unwrap_err().to_string();
    assert!(error.contains("t.toml:3:1: "), "{error}");
    assert!(error.ends_with("unknown key \"lisen\"; did you mean \"listen\"?"), "{error}");
    let error = load_text("zebra = 1\n", &[], &[]).unwrap_err().to_string();
    assert!(error.ends_with("known here: name, workers, front"), "{error}");
}

#[test]
fn a_wrong_variable_or_flag_is_named() {
    let error = load_text("", &[("T__FRONT__LISTEN", "nowhere")], &[]).unwrap_err().to_string();
    assert!(error.starts_with("T__FRONT__LISTEN: "), "{error}");
    let error = load_text("", &[("T__FRONTT", "x")], &[]).unwrap_err().to_string();
    assert!(error.contains("did you mean \"front\"?"), "{error}");
    let error = load_text("", &[], &[("workers", "many")]).unwrap_err().to_string();
    assert!(error.starts_with("flag for workers: "), "{error}");
}

#[test]
fn a_syntax_error_has_a_line() {
    let error = load_text("name = \"x\"\nworkers = = 2\n", &[], &[]).unwrap_err().to_string();
    assert!(error.contains("t.toml:2:"), "{error}");
}

#[test]
fn secrets_reach_the_program_and_nothing_else() {
    let settings = load_text("[front]\nkey = \"hush\"\n", &[], &[("workers", "9")]).unwrap();
    assert_eq!(settings.front.key.as_ref().unwrap().expose(), "hush");
    let shown = show(&settings);
    assert!(!shown.contains("hush") && shown.contains("********"), "{shown}");
    assert!(!format!("{settings:?}").contains("hush"));
}
