//! What a message says to people.

use std::collections::BTreeMap;

use berth_protocol::attention::Reason;
use serde::Serialize;

use super::plan::What;
use crate::store::{About, Taken};

/// Choices that fit below a message on a screen.
const MAX_ACTIONS: usize = 2;

/// Names that are told one by one.
const MAX_NAMES: usize = 4;

/// A message in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Words {
    /// In one line.
    pub title: String,
    /// More of it.
    pub body: String,
    /// Where it leads in the console, from its root.
    pub path: String,
    /// What can be done about it at once, when it is about one notification.
    pub actions: Vec<Action>,
    /// That notification.
    pub notification: Option<String>,
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action {
    /// The choice's name in an answer.
    pub choice: String,
    /// What people read.
    pub label: String,
}

/// The message's words; those of the terminal only where `with_text`.
#[must_use]
pub fn words(taken: &Taken, with_text: bool) -> Words {
    if taken.what == What::Test {
        return plain(
            "Berth reaches you here",
            "This is the test that you asked for.",
            "/settings/notifications",
        );
    }
    let open: Vec<&About> = taken.about.iter().filter(|about| !about.over).collect();
    let mut newest: BTreeMap<_, &About> = BTreeMap::new();
    for about in &open {
        newest.insert((about.session.clone(), about.session.is_none().then(|| about.id.clone())), about);
    }
    match (open.last(), newest.len()) {
        (None, _) => plain("Nothing waits any more", "", "/inbox"),
        (Some(last), 1) => single(last, with_text),
        (Some(_), places) => {
            let waits = newest.values().all(|about| waits(about.reason));
            let verb = if waits { "wait" } else { "want your attention" };
            let mut names: Vec<&str> = newest.values().map(|about| name(about)).collect();
            names.sort_unstable();
            let more = names.len().saturating_sub(MAX_NAMES);
            names.truncate(MAX_NAMES);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let body = format!("{}{more}", names.join(", "));
            plain(&format!("{places} sessions {verb}"), &body, "/inbox")
        }
    }
}

fn single(about: &About, with_text: bool) -> Words {
    let does = match about.reason {
        Reason::WaitingForApproval => "wants your approval",
        Reason::WaitingForInput => "waits for you",
        Reason::Done => "is done",
        Reason::Failed => "has failed",
        Reason::Message => "has a message",
        Reason::Berth | Reason::Unknown => "needs attention",
    };
    let path = about.session.as_ref().map_or_else(|| "/inbox".to_owned(), |id| format!("/sessions/{id}"));
    // What Berth says itself is no terminal's text.
    let body = if with_text || about.reason == Reason::Berth { &about.text } else { &about.workspace_name };
    let choices = about.question.iter().flat_map(|question| &question.choices);
    let actions = choices
        .take(MAX_ACTIONS)
        .map(|choice| Action { choice: choice.id.clone(), label: choice.label.clone() });
    Words {
        title: format!("{} {does}", name(about)),
        body: body.clone(),
        path,
        actions: actions.collect(),
        notification: Some(about.id.to_string()),
    }
}

fn plain(title: &str, body: &str, path: &str) -> Words {
    Words {
        title: title.to_owned(),
        body: body.to_owned(),
        path: path.to_owned(),
        actions: Vec::new(),
        notification: None,
    }
}

fn waits(reason: Reason) -> bool {
    matches!(reason, Reason::WaitingForApproval | Reason::WaitingForInput)
}

/// What something is about, in a word of the user's own.
fn name(about: &About) -> &str {
    about.session_name.as_deref().unwrap_or(&about.workspace_name)
}
