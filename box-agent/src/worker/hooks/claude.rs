//! Hooks in Claude Code's `settings.json`:
//!
//! ```json
//! { "hooks": { "Stop": [ { "hooks": [ { "type": "command", "command": "box-agent notify claude …" } ] } ] } }
//! ```

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstObject, CstRootNode};
use serde::de::IgnoredAny;

use super::{Refused, words};
use crate::notify::hooks::upkeep::HooksJob;

/// The events that Berth hears of.
const EVENTS: [&str; 5] = ["Notification", "PermissionRequest", "Stop", "SessionStart", "SessionEnd"];

/// How long Claude Code waits for a hook, seconds.
const TIMEOUT: &str = "10";

pub(super) fn edit(text: Option<&str>, job: &HooksJob) -> Result<Option<String>, Refused> {
    let before = match text {
        Some(text) => text,
        None if job.enabled => "{}\n",
        None => return Ok(None),
    };
    let unintelligible = |error: &dyn std::fmt::Display| Refused::Unintelligible(error.to_string());
    // As strictly as Claude Code reads it; what edits it would let comments and more pass.
    serde_json::from_str::<IgnoredAny>(before).map_err(|error| unintelligible(&error))?;
    let root =
        CstRootNode::parse(before, &ParseOptions::default()).map_err(|error| unintelligible(&error))?;
    let settings = root.object_value().ok_or(Refused::Shape("the whole"))?;
    let hooks = match (settings.get("hooks"), job.enabled) {
        (Some(_), _) => settings.object_value("hooks").ok_or(Refused::Shape("hooks"))?,
        (None, true) => settings.object_value_or_set("hooks"),
        (None, false) => return Ok(None),
    };
    let lists: Vec<Option<CstArray>> =
        EVENTS.iter().map(|event| list(&hooks, event)).collect::<Result<_, _>>()?;
    let mut changed = false;
    for (event, list) in EVENTS.iter().zip(lists) {
        changed |= if job.enabled { enter(&hooks, event, list, job) } else { take_out(&hooks, event, list) };
    }
    if changed && !job.enabled && hooks.properties().is_empty() {
        settings.get("hooks").into_iter().for_each(|property| property.remove());
    }
    Ok(changed.then(|| root.to_string()))
}

fn list(hooks: &CstObject, event: &str) -> Result<Option<CstArray>, Refused> {
    match hooks.get(event) {
        None => Ok(None),
        Some(property) => property.array_value().map(Some).ok_or(Refused::Shape("an event of hooks")),
    }
}

/// Enters the hook, or brings it up to date: whether that changed anything.
fn enter(hooks: &CstObject, event: &str, list: Option<CstArray>, job: &HooksJob) -> bool {
    let wanted = command(job);
    if let Some(own) = list.as_ref().and_then(|list| own_hooks(list).into_iter().next()) {
        let (_, _, hook) = own;
        if hook_command(&hook).as_deref() == Some(&wanted) {
            return false;
        }
        if let Some(property) = hook.get("command") {
            property.set_value(CstInputValue::String(wanted));
        }
        return true;
    }
    let hook = CstInputValue::Object(vec![
        ("type".into(), CstInputValue::String("command".into())),
        ("command".into(), CstInputValue::String(wanted)),
        ("timeout".into(), CstInputValue::Number(TIMEOUT.into())),
    ]);
    let group = CstInputValue::Object(vec![("hooks".into(), CstInputValue::Array(vec![hook]))]);
    list.unwrap_or_else(|| hooks.array_value_or_set(event)).append(group);
    true
}

/// Takes the hook out, and what is empty without it.
fn take_out(hooks: &CstObject, event: &str, list: Option<CstArray>) -> bool {
    let Some(list) = list else { return false };
    let own = own_hooks(&list);
    if own.is_empty() {
        return false;
    }
    for (group, inner, hook) in own {
        hook.remove();
        if inner.elements().is_empty() {
            group.remove();
        }
    }
    if list.elements().is_empty() {
        hooks.get(event).into_iter().for_each(|property| property.remove());
    }
    true
}

/// Berth's hooks of an event, each with the group and the list that it is in.
fn own_hooks(list: &CstArray) -> Vec<(CstObject, CstArray, CstObject)> {
    let groups = list.elements().into_iter().filter_map(|group| group.as_object());
    let inner = groups.filter_map(|group| Some((group.clone(), group.array_value("hooks")?)));
    inner
        .flat_map(|(group, inner)| {
            let hooks = inner.elements().into_iter().filter_map(|hook| hook.as_object());
            let own = hooks.filter(|hook| hook_command(hook).is_some_and(|command| is_own(&command)));
            own.map(|hook| (group.clone(), inner.clone(), hook)).collect::<Vec<_>>()
        })
        .collect()
}

fn hook_command(hook: &CstObject) -> Option<String> {
    hook.get("command")?.value()?.as_string_lit()?.decoded_value().ok()
}

/// Whichever path the program had when it was entered.
fn is_own(command: &str) -> bool {
    command.contains("box-agent") && command.contains(" notify claude --socket ")
}

/// A line for the shell that Claude Code runs.
fn command(job: &HooksJob) -> String {
    let quoted = |word: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    let program = quoted(&job.agent.to_string_lossy());
    words("claude", job).iter().fold(program, |line, word| format!("{line} {}", quoted(word)))
}
