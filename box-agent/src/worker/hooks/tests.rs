use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn job(enabled: bool) -> HooksJob {
    HooksJob {
        enabled,
        agent: "/usr/lib/it's/box-agent".into(),
        socket: "/run/box/agent.sock".into(),
        spool: "/run/box/spool".into(),
    }
}

fn home() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    (dir, home)
}

/// What a user may have there, written in a way of their own.
const OWN: &str = concat!(
    "{\n",
    "\t\"model\": \"opus\",\n",
    "\t\"hooks\": {\n",
    "\t\t\"Stop\": [ { \"matcher\": \"\", \"hooks\": [ { \"type\": \"command\", \"command\": \"say done\" } ] } ],\n",
    "\t\t\"PreToolUse\": []\n",
    "\t},\n",
    "\t\"env\": { \"Z\": \"1\", \"A\": \"2\" }\n",
    "}\n",
);

#[test]
fn hooks_are_entered_once_and_everything_else_stays() {
    let (dir, home) = home();
    fs::create_dir(home.join(".claude")).unwrap();
    let file = home.join(".claude/settings.json");
    fs::write(&file, OWN).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let outcome = settle(dir.path(), &job(true));
    assert_eq!(
        (outcome.changed.as_slice(), outcome.troubles.len()),
        (&["~/.claude/settings.json".to_owned()][..], 0)
    );
    let text = fs::read_to_string(&file).unwrap();
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    for event in ["Notification", "PermissionRequest", "Stop", "SessionStart", "SessionEnd"] {
        let last = read["hooks"][event].as_array().unwrap().last().unwrap().clone();
        let command = last["hooks"][0]["command"].as_str().unwrap().to_owned();
        let expected =
            r"'/usr/lib/it'\''s/box-agent' notify claude --socket /run/box/agent.sock --spool /run/box/spool";
        assert_eq!(command, expected, "{event}");
    }
    assert_eq!(read["hooks"]["Stop"][0]["hooks"][0]["command"], "say done");
    // Order and spacing are the user's.
    for kept in [
        "\t\"model\": \"opus\",\n",
        "[ { \"matcher\": \"\", ",
        "\"env\": { \"Z\": \"1\", \"A\": \"2\" }\n}\n",
    ] {
        assert!(text.contains(kept), "{kept:?} is not in\n{text}");
    }
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);

    assert_eq!(settle(dir.path(), &job(true)), HooksOutcome::default(), "a second time changes nothing");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let moved = HooksJob { agent: "/opt/box-agent".into(), ..job(true) };
    assert_eq!(settle(dir.path(), &moved).changed.len(), 1);
    let moved = fs::read_to_string(&file).unwrap();
    assert!(moved.contains("/opt/box-agent") && !moved.contains("/usr/lib/it"));
    assert_eq!(moved.matches("notify claude").count(), 5);

    assert_eq!(settle(dir.path(), &job(false)).changed.len(), 1);
    let without: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(without, serde_json::from_str::<serde_json::Value>(OWN).unwrap());
    assert_eq!(settle(dir.path(), &job(false)), HooksOutcome::default());
}

#[test]
fn settings_that_are_not_there_are_made_and_emptied() {
    let (dir, home) = home();
    assert_eq!(settle(dir.path(), &job(false)), HooksOutcome::default());
    assert!(!home.join(".claude").exists());
    assert_eq!(settle(dir.path(), &job(true)).changed, ["~/.claude/settings.json"]);
    assert!(!home.join(".codex").exists(), "Codex is not used here");
    let mode = home.join(".claude/settings.json").metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let _ = settle(dir.path(), &job(false));
    let left = fs::read_to_string(home.join(".claude/settings.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&left).unwrap(), serde_json::json!({}));
}

#[test]
fn what_is_not_understood_is_left_alone_and_said() {
    for (text, word) in [
        ("{ \"model\": ", "not understood"),
        ("{ // a comment\n}", "not understood"),
        ("{ \"a\": 1, }", "not understood"),
        ("", "not understood"),
        ("[]", "the whole"),
        ("{ \"hooks\": [] }", "hooks in it"),
        ("{ \"hooks\": { \"Stop\": {} } }", "an event of hooks"),
        ("\u{fffd}", "not understood"),
    ] {
        let (dir, home) = home();
        fs::create_dir(home.join(".claude")).unwrap();
        let file = home.join(".claude/settings.json");
        fs::write(&file, text).unwrap();
        let outcome = settle(dir.path(), &job(true));
        assert_eq!(outcome.changed.len(), 0, "{text:?}");
        assert!(
            outcome.troubles[0].contains("~/.claude/settings.json") && outcome.troubles[0].contains(word),
            "{outcome:?}"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let (dir, home) = home();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("settings.json");
    fs::write(&victim, "{}").unwrap();
    fs::create_dir(home.join(".claude")).unwrap();
    symlink(&victim, home.join(".claude/settings.json")).unwrap();
    assert!(settle(dir.path(), &job(true)).troubles[0].contains("a link"));
    fs::remove_dir_all(home.join(".claude")).unwrap();
    symlink(outside.path(), home.join(".claude")).unwrap();
    assert!(settle(dir.path(), &job(true)).troubles[0].contains("leads out"));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "{}");
}

#[test]
fn codex_gets_its_program_unless_it_has_one() {
    let (dir, home) = home();
    fs::create_dir(home.join(".codex")).unwrap();
    let file = home.join(".codex/config.toml");
    let own = "# mine\nmodel = \"o\" # fast\n\n[tui]\ntheme = 'x'\n";
    fs::write(&file, own).unwrap();
    assert!(settle(dir.path(), &job(true)).changed.contains(&"~/.codex/config.toml".to_owned()));
    let text = fs::read_to_string(&file).unwrap();
    let read: toml::Table = text.parse().unwrap();
    let words: Vec<&str> =
        read["notify"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(words[..4], ["/usr/lib/it's/box-agent", "notify", "codex", "--socket"]);
    assert!(
        text.starts_with("# mine\nmodel = \"o\" # fast\n") && text.ends_with("[tui]\ntheme = 'x'\n"),
        "{text}"
    );
    assert_eq!(settle(dir.path(), &job(true)), HooksOutcome::default());
    let _ = settle(dir.path(), &job(false));
    assert_eq!(fs::read_to_string(&file).unwrap(), own);

    let taken = "notify = [\"notify-send\", \"Codex\"]\n";
    fs::write(&file, taken).unwrap();
    let outcome = settle(dir.path(), &job(true));
    assert!(
        outcome.troubles[0].contains("~/.codex/config.toml: it has a notify program of your own"),
        "{outcome:?}"
    );
    let _ = settle(dir.path(), &job(false));
    assert_eq!(fs::read_to_string(&file).unwrap(), taken);
    fs::write(&file, "model = ").unwrap();
    assert!(settle(dir.path(), &job(true)).troubles[0].contains("not understood"));
}
