//! The tree, as data. Parents come before what is in them.

use std::fmt;

/// One entry of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its path below the volume; "." is the volume's own root.
    pub path: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whose it is.
    pub owner: Owner,
    /// Whether the agent can't work without it.
    pub required: bool,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The volume's root: others than its owner must get through it.
    Root,
    /// A directory, made with this mode; its user may change it later.
    Directory(u32),
    /// A directory that stays closed to everybody but its owner.
    Private,
    /// A symbolic link to this.
    Link(&'static str),
}

/// Whose an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The agent's.
    Agent,
    /// The user's whose terminals are served.
    User,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root | Self::Directory(_) | Self::Private => f.write_str("a directory"),
            Self::Link(target) => write!(f, "a link to {target}"),
        }
    }
}

const fn user(path: &'static str, mode: u32) -> Rule {
    Rule { path, kind: Kind::Directory(mode), owner: Owner::User, required: true }
}

/// What only its user may read: a key that others can read is refused by ssh.
const fn secret(path: &'static str) -> Rule {
    Rule { path, kind: Kind::Private, owner: Owner::User, required: true }
}

const fn link(path: &'static str, target: &'static str) -> Rule {
    Rule { path, kind: Kind::Link(target), owner: Owner::User, required: false }
}

const fn system(path: &'static str) -> Rule {
    Rule { path, kind: Kind::Private, owner: Owner::Agent, required: true }
}

/// What every volume has.
pub const RULES: &[Rule] = &[
    Rule { path: ".", kind: Kind::Root, owner: Owner::Agent, required: true },
    user("user", 0o755),
    user("user/home", 0o755),
    user("user/projects", 0o755),
    secret("user/.ssh"),
    secret("user/.claude"),
    // Where a shell expects them.
    link("user/home/projects", "../projects"),
    link("user/home/.ssh", "../.ssh"),
    link("user/home/.claude", "../.claude"),
    system("system"),
    system("system/logs"),
    system("system/backups"),
    system("system/state"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_no_path_leaves_the_volume() {
        for (index, rule) in RULES.iter().enumerate() {
            assert!(!rule.path.starts_with('/') && !rule.path.contains(".."), "{}", rule.path);
            if let Some((parent, _)) = rule.path.rsplit_once('/') {
                assert!(RULES[..index].iter().any(|earlier| earlier.path == parent), "{}", rule.path);
            }
        }
    }

    #[test]
    fn the_tree_is_that_of_the_specification() {
        let paths: Vec<&str> = RULES.iter().map(|rule| rule.path).collect();
        for path in [
            "user/home",
            "user/projects",
            "user/.ssh",
            "user/.claude",
            "system/logs",
            "system/backups",
            "system/state",
        ] {
            assert!(paths.contains(&path), "{path}");
        }
        for rule in RULES.iter().filter(|rule| rule.path != ".") {
            assert_eq!(rule.owner == Owner::User, rule.path.starts_with("user"), "{}", rule.path);
        }
    }
}
