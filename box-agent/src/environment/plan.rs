//! Decides what becomes of a file of the environment: pure, from what is wanted, what Berth has written there
//! before, and what is there now.
//!
//! What the user has put there or changed is never touched. What Berth has written is known by its hash; of a
//! secret file only the link is remembered, because a hash of it would be a way to guess it.

use berth_protocol::environment::FileMode;
use serde::{Deserialize, Serialize};

/// SHA-256 of a content, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hash(pub String);

/// What Berth has left at a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// A file of this content, with these permissions.
    Plain {
        /// Of the content.
        hash: Hash,
        /// The permissions that it got.
        mode: FileMode,
    },
    /// A link to the file in memory.
    Link,
}

/// What is at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A file of this content.
    File(Hash),
    /// A link to this.
    Link(String),
    /// Something else, or a file that can't be one of ours.
    Other,
}

/// What should be at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A file.
    Plain {
        /// Of its content.
        hash: Hash,
        /// Its permissions.
        mode: FileMode,
    },
    /// A link to the file in memory.
    Secret,
    /// Nothing of ours.
    Nothing,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is as it should be.
    Leave,
    /// Write it where nothing is.
    Make,
    /// Write it in the place of what Berth left there.
    Replace,
    /// Take away what Berth left there.
    Remove,
    /// What is there is the user's: nothing is done, and this is said.
    Keep(&'static str),
    /// It is not wanted, and what is there is not ours any more.
    Forget,
}

/// The step for one destination; `link` is where a link of ours leads.
#[must_use]
pub fn step(wanted: &Wanted, mark: Option<&Mark>, found: &Found, link: &str) -> Step {
    let ours = match (mark, found) {
        (Some(Mark::Plain { hash, .. }), Found::File(there)) => hash == there,
        (Some(Mark::Link), Found::Link(there)) => link == there,
        _ => false,
    };
    match (wanted, found) {
        (Wanted::Nothing, _) if ours => Step::Remove,
        (Wanted::Nothing, _) => Step::Forget,
        (_, Found::Nothing) => Step::Make,
        (Wanted::Secret, Found::Link(there)) if link == there => Step::Leave,
        (Wanted::Plain { hash, mode }, Found::File(there)) if hash == there => match mark {
            Some(Mark::Plain { mode: given, .. }) if ours && given != mode => Step::Replace,
            _ => Step::Leave,
        },
        _ if ours => Step::Replace,
        _ if mark.is_some() => Step::Keep(
            "it was changed on the box and is kept; move it away there to get the one of the environment",
        ),
        _ => Step::Keep(
            "it was on the box before and is kept; move it away there to get the one of the environment",
        ),
    }
}

/// What Berth has left there once the step is done.
#[must_use]
pub fn mark_after(step: &Step, wanted: Wanted, before: Option<Mark>) -> Option<Mark> {
    match (step, wanted) {
        (Step::Remove | Step::Forget, _) | (_, Wanted::Nothing) => None,
        (Step::Keep(_), _) => before,
        (_, Wanted::Plain { hash, mode }) => Some(Mark::Plain { hash, mode }),
        (_, Wanted::Secret) => Some(Mark::Link),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "/run/box/secrets/files/a";

    fn hash(text: &str) -> Hash {
        Hash(text.to_owned())
    }

    fn plain(text: &str) -> Wanted {
        Wanted::Plain { hash: hash(text), mode: FileMode::PUBLIC }
    }

    fn wrote(text: &str) -> Option<Mark> {
        Some(Mark::Plain { hash: hash(text), mode: FileMode::PUBLIC })
    }

    fn file(text: &str) -> Found {
        Found::File(hash(text))
    }

    #[test]
    fn what_is_the_users_is_kept_and_what_is_ours_is_replaced_or_removed() {
        let our_link = || Found::Link(LINK.into());
        let other_link = || Found::Link("/etc/passwd".into());
        let keep = |step: &Step| matches!(step, Step::Keep(_));
        for (wanted, mark, found, expected) in [
            (plain("new"), None, Found::Nothing, Step::Make),
            (plain("new"), wrote("old"), Found::Nothing, Step::Make),
            (plain("new"), wrote("old"), file("old"), Step::Replace),
            (plain("new"), wrote("new"), file("new"), Step::Leave),
            (plain("new"), None, file("new"), Step::Leave),
            (plain("new"), Some(Mark::Link), our_link(), Step::Replace),
            (Wanted::Secret, None, Found::Nothing, Step::Make),
            (Wanted::Secret, Some(Mark::Link), our_link(), Step::Leave),
            (Wanted::Secret, None, our_link(), Step::Leave),
            (Wanted::Secret, wrote("old"), file("old"), Step::Replace),
            (Wanted::Nothing, wrote("old"), file("old"), Step::Remove),
            (Wanted::Nothing, Some(Mark::Link), our_link(), Step::Remove),
            (Wanted::Nothing, wrote("old"), file("changed"), Step::Forget),
            (Wanted::Nothing, Some(Mark::Link), other_link(), Step::Forget),
            (Wanted::Nothing, Some(Mark::Link), file("x"), Step::Forget),
            (Wanted::Nothing, wrote("old"), Found::Nothing, Step::Forget),
        ] {
            assert_eq!(step(&wanted, mark.as_ref(), &found, LINK), expected, "{wanted:?} {mark:?} {found:?}");
        }
        for (wanted, mark, found) in [
            (plain("new"), None, file("theirs")),
            (plain("new"), wrote("old"), file("changed")),
            (plain("new"), wrote("old"), other_link()),
            (plain("new"), None, our_link()),
            (plain("new"), wrote("old"), Found::Other),
            (Wanted::Secret, None, file("theirs")),
            (Wanted::Secret, None, other_link()),
            (Wanted::Secret, Some(Mark::Link), file("theirs")),
            (Wanted::Secret, None, Found::Other),
        ] {
            let step = step(&wanted, mark.as_ref(), &found, LINK);
            assert!(keep(&step), "{wanted:?} {mark:?} {found:?} {step:?}");
            assert_eq!(mark_after(&step, wanted, mark.clone()), mark, "what was ours is known as before");
        }
    }

    #[test]
    fn other_permissions_are_given_to_what_is_ours_alone() {
        let wanted = Wanted::Plain { hash: hash("x"), mode: FileMode::PRIVATE };
        assert_eq!(step(&wanted, wrote("x").as_ref(), &file("x"), LINK), Step::Replace);
        assert_eq!(step(&wanted, None, &file("x"), LINK), Step::Leave);
    }
}
