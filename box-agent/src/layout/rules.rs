//! The tree, as data. Parents come before what is in them.

use std::fmt;

/// One entry of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its path below the volume.
    pub path: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether the agent can't work without it.
    pub required: bool,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory, made with this mode; its user may change it later.
    Directory(u32),
    /// A directory that stays closed to everybody but the agent.
    Private,
    /// A symbolic link to this.
    Link(&'static str),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(_) | Self::Private => f.write_str("a directory"),
            Self::Link(target) => write!(f, "a link to {target}"),
        }
    }
}

const fn directory(path: &'static str, mode: u32) -> Rule {
    Rule { path, kind: Kind::Directory(mode), required: true }
}

const fn private(path: &'static str) -> Rule {
    Rule { path, kind: Kind::Private, required: true }
}

const fn link(path: &'static str, target: &'static str) -> Rule {
    Rule { path, kind: Kind::Link(target), required: false }
}

/// What every volume has.
pub const RULES: &[Rule] = &[
    directory("user", 0o755),
    directory("user/home", 0o755),
    directory("user/projects", 0o755),
    directory("user/.ssh", 0o700),
    directory("user/.claude", 0o700),
    // Where a shell expects them.
    link("user/home/projects", "../projects"),
    link("user/home/.ssh", "../.ssh"),
    link("user/home/.claude", "../.claude"),
    private("system"),
    directory("system/logs", 0o700),
    directory("system/backups", 0o700),
    directory("system/state", 0o700),
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
}
