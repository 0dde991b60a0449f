//! What the JSON of coding agents' hooks means. It comes from programs of the box's user: every text is bounded and made
//! inert here.

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;

use crate::notify::signal::HookSignal;
use crate::notify::text::for_notification;

/// Whose JSON it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Speaker {
    /// Claude Code, on standard input.
    Claude,
    /// Codex, as an argument.
    Codex,
}

/// What Claude Code gives its hooks, as far as it is of interest.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Claude {
    hook_event_name: String,
    message: Option<String>,
    notification_type: Option<String>,
    tool_name: Option<String>,
    tool_input: Option<Value>,
    last_assistant_message: Option<String>,
    source: Option<String>,
}

/// What Codex gives its program.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Codex {
    r#type: String,
    last_assistant_message: Option<String>,
}

/// What is said; nothing when it is not understood, or of no interest.
#[must_use]
pub fn understood(speaker: Speaker, json: &str) -> Option<HookSignal> {
    match speaker {
        Speaker::Claude => claude(serde_json::from_str(json).ok()?),
        Speaker::Codex => codex(serde_json::from_str(json).ok()?),
    }
}

fn claude(said: Claude) -> Option<HookSignal> {
    let message = said.message.as_deref().unwrap_or_default();
    Some(match said.hook_event_name.as_str() {
        "PermissionRequest" => HookSignal::Approval(for_notification(&permission(&said))),
        "Notification" => {
            let text =
                |otherwise: &str| for_notification(if message.is_empty() { otherwise } else { message });
            let lower = message.to_lowercase();
            match said.notification_type.as_deref() {
                Some("permission_prompt") => HookSignal::Approval(text("Claude needs your permission")),
                Some("idle_prompt") => HookSignal::Input(text("Claude waits for your input")),
                Some("elicitation_dialog") => HookSignal::Input(text("Claude asks you something")),
                // That somebody signed in is no news.
                Some("auth_success") => return None,
                _ if lower.contains("permission") || lower.contains("approval") => {
                    HookSignal::Approval(text(""))
                }
                _ if lower.contains("waiting for your input") => HookSignal::Input(text("")),
                _ if message.is_empty() => return None,
                _ => HookSignal::Message(text("")),
            }
        }
        "Stop" => HookSignal::Done(done("Claude", said.last_assistant_message.as_deref())),
        // A conversation that is compacted goes on.
        "SessionStart" if said.source.as_deref() == Some("compact") => return None,
        "SessionStart" => HookSignal::Started,
        "SessionEnd" => HookSignal::Ended,
        _ => return None,
    })
}

/// What is to be permitted: the tool, and the one of its inputs that says most.
fn permission(said: &Claude) -> String {
    let tool = said.tool_name.as_deref().unwrap_or("a tool");
    let input = said.tool_input.as_ref();
    let telling = ["command", "file_path", "notebook_path", "url", "query", "pattern", "path", "plan"];
    let detail = telling.iter().find_map(|key| input?.get(key)?.as_str());
    match detail {
        Some(detail) => format!("Claude wants to use {tool}: {detail}"),
        None => format!("Claude wants to use {tool}"),
    }
}

fn codex(said: Codex) -> Option<HookSignal> {
    match said.r#type.as_str() {
        "agent-turn-complete" => {
            Some(HookSignal::Done(done("Codex", said.last_assistant_message.as_deref())))
        }
        "approval-requested" => Some(HookSignal::Approval("Codex asks for your approval".into())),
        _ => None,
    }
}

fn done(who: &str, last: Option<&str>) -> String {
    match last.map(str::trim).filter(|last| !last.is_empty()) {
        Some(last) => for_notification(&format!("{who} has finished: {last}")),
        None => format!("{who} has finished"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claude(json: &str) -> Option<HookSignal> {
        understood(Speaker::Claude, json)
    }

    #[test]
    fn claudes_events_are_understood() {
        let approval = |text: &str| Some(HookSignal::Approval(text.into()));
        assert_eq!(
            claude(
                r#"{"hook_event_name": "PermissionRequest", "tool_name": "Bash",
                    "tool_input": {"description": "d", "command": "cargo\ttest\u001b[31m"}, "new": 1}"#
            ),
            approval("Claude wants to use Bash: cargo test [31m")
        );
        assert_eq!(
            claude(
                r#"{"hook_event_name": "Notification", "message": "Claude needs your permission to use Bash"}"#
            ),
            approval("Claude needs your permission to use Bash")
        );
        assert_eq!(
            claude(r#"{"hook_event_name": "Notification", "notification_type": "idle_prompt"}"#),
            Some(HookSignal::Input("Claude waits for your input".into()))
        );
        assert_eq!(
            claude(r#"{"hook_event_name": "Stop", "last_assistant_message": "All tests pass."}"#),
            Some(HookSignal::Done("Claude has finished: All tests pass.".into()))
        );
        assert_eq!(
            claude(r#"{"hook_event_name": "SessionStart", "source": "startup"}"#),
            Some(HookSignal::Started)
        );
        assert_eq!(claude(r#"{"hook_event_name": "SessionEnd", "reason": "exit"}"#), Some(HookSignal::Ended));
        for nothing in [
            r#"{"hook_event_name": "SessionStart", "source": "compact"}"#,
            r#"{"hook_event_name": "PreToolUse"}"#,
            r#"{"hook_event_name": 7}"#,
            "[]",
            "",
        ] {
            assert_eq!(claude(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn codexs_events_are_understood() {
        let said = understood(
            Speaker::Codex,
            r#"{"type": "agent-turn-complete", "turn-id": "1", "last-assistant-message": "Renamed it"}"#,
        );
        assert_eq!(said, Some(HookSignal::Done("Codex has finished: Renamed it".into())));
        assert_eq!(understood(Speaker::Codex, r#"{"type": "other"}"#), None);
    }

    #[test]
    fn a_long_text_is_short() {
        let long = "x".repeat(1_000_000);
        let json = format!(r#"{{"hook_event_name": "Notification", "message": "{long}"}}"#);
        let Some(HookSignal::Message(text)) = claude(&json) else { panic!("it is a message") };
        assert_eq!(text.chars().count(), berth_protocol::attention::MAX_TEXT_CHARS);
    }
}
