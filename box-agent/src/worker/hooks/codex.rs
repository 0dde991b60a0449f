//! The program that Codex calls, `notify` in its `config.toml`: there is only one, and one of the user's own stays.

use toml_edit::{Array, DocumentMut, Item, Value};

use super::{Refused, words};
use crate::notify::hooks::upkeep::HooksJob;

pub(super) fn edit(text: Option<&str>, job: &HooksJob) -> Result<Option<String>, Refused> {
    let before = match text {
        Some(text) => text,
        None if job.enabled => "",
        None => return Ok(None),
    };
    let mut settings: DocumentMut = before
        .parse()
        .map_err(|error: toml_edit::TomlError| Refused::Unintelligible(error.message().to_owned()))?;
    let own = settings.get("notify").map(is_own);
    match (own, job.enabled) {
        (Some(false), true) => return Err(Refused::Taken),
        (Some(false) | None, false) => return Ok(None),
        (Some(true), false) => {
            settings.remove("notify");
        }
        (Some(true) | None, true) => {
            let program = job.agent.to_string_lossy().into_owned();
            let wanted: Array = std::iter::once(program).chain(words("codex", job)).collect();
            let same =
                settings.get("notify").and_then(Item::as_array).is_some_and(|there| same(there, &wanted));
            if same {
                return Ok(None);
            }
            settings.insert("notify", Item::Value(Value::Array(wanted)));
        }
    }
    Ok(Some(settings.to_string()))
}

fn is_own(notify: &Item) -> bool {
    let Some(array) = notify.as_array() else { return false };
    let words: Vec<&str> = array.iter().filter_map(Value::as_str).collect();
    words.first().is_some_and(|program| program.contains("box-agent"))
        && words.get(1..4) == Some(&["notify", "codex", "--socket"])
}

fn same(one: &Array, other: &Array) -> bool {
    let words = |array: &Array| array.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Vec<_>>();
    words(one) == words(other)
}
