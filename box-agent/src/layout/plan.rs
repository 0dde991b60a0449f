//! Decides what an entry of the tree needs, from what is there.

use super::rules::{Kind, Rule};

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A directory with this mode.
    Directory(u32),
    /// A link to this.
    Link(String),
    /// Something else.
    Other,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is as it should be.
    Nothing,
    /// Make it.
    Make,
    /// Take away what others may do with it.
    Close,
    /// Something else is in its place.
    Obstructed,
}

/// The step for one rule.
#[must_use]
pub fn plan(rule: &Rule, found: &Found) -> Step {
    match (rule.kind, found) {
        (_, Found::Nothing) => Step::Make,
        (Kind::Private, Found::Directory(mode)) if mode & 0o077 != 0 => Step::Close,
        (Kind::Directory(_) | Kind::Private, Found::Directory(_)) => Step::Nothing,
        (Kind::Link(target), Found::Link(there)) if target == there => Step::Nothing,
        // A directory where a link would be serves its user as well: a `.ssh` that a program has made.
        _ => Step::Obstructed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_made_and_only_the_private_is_closed() {
        let rule = |kind| Rule { path: "x", kind, required: true };
        let directory = rule(Kind::Directory(0o755));
        let private = rule(Kind::Private);
        let link = rule(Kind::Link("../y"));
        for (rule, found, step) in [
            (directory, Found::Nothing, Step::Make),
            (directory, Found::Directory(0o777), Step::Nothing),
            (directory, Found::Link("/etc".into()), Step::Obstructed),
            (directory, Found::Other, Step::Obstructed),
            (private, Found::Directory(0o700), Step::Nothing),
            (private, Found::Directory(0o750), Step::Close),
            (private, Found::Link("/etc".into()), Step::Obstructed),
            (link, Found::Nothing, Step::Make),
            (link, Found::Link("../y".into()), Step::Nothing),
            (link, Found::Link("../z".into()), Step::Obstructed),
            (link, Found::Directory(0o755), Step::Obstructed),
        ] {
            assert_eq!(plan(&rule, &found), step, "{rule:?} {found:?}");
        }
    }
}
