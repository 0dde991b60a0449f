//! Compares an entry of the tree with what is there, and says what could be done about it. Touches nothing.

use std::fmt;

use super::rules::{Kind, Owner, Rule};

/// A user and a group, by number.
pub type Ids = (u32, u32);

/// Whose the two halves of the tree are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owners {
    /// The agent's own.
    pub agent: Ids,
    /// Those of the user whose terminals are served.
    pub user: Ids,
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A directory with this mode, of this user.
    Directory(u32, Ids),
    /// A link to this.
    Link(String),
    /// Something else.
    Other,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is not there.
    Missing,
    /// Others may do something with it: this is its mode.
    Open(u32),
    /// The user can't get through it: this is its mode.
    Closed(u32),
    /// It is somebody else's.
    Owner {
        /// Whose.
        found: Ids,
        /// Whose it should be.
        wanted: Ids,
    },
    /// Something else is in its place: neither directory nor link.
    File,
    /// A directory is in the place of a link.
    Directory,
    /// A link is in its place, and stays in the volume.
    Link(String),
    /// A link is in its place, and leads out of the volume.
    LinkOutside(String),
}

/// A difference between the tree and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The entry's path below the volume.
    pub path: &'static str,
    /// What it should be.
    pub wanted: Kind,
    /// What is wrong.
    pub problem: Problem,
    /// Whether the agent can't work with that.
    pub fatal: bool,
}

/// What can be done about a problem without losing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// Make it.
    Make,
    /// Give it this mode.
    Mode(u32),
    /// Give it to this user.
    Give(Ids),
}

impl Owners {
    fn of(&self, owner: Owner) -> Ids {
        match owner {
            Owner::Agent => self.agent,
            Owner::User => self.user,
        }
    }
}

impl Finding {
    /// What can be done.
    #[must_use]
    pub fn mend(&self) -> Option<Mend> {
        match self.problem {
            Problem::Missing => Some(Mend::Make),
            Problem::Open(mode) => Some(Mend::Mode(mode & 0o700)),
            Problem::Closed(mode) => Some(Mend::Mode(mode | 0o711)),
            Problem::Owner { wanted, .. } => Some(Mend::Give(wanted)),
            Problem::File | Problem::Directory | Problem::Link(_) | Problem::LinkOutside(_) => None,
        }
    }

    /// Whether the agent mends it without being asked. What belongs to the user does not change hands for that: all
    /// that is in it would have to, and only people know whether it should.
    #[must_use]
    pub fn mends_itself(&self) -> bool {
        match self.problem {
            Problem::Missing | Problem::Open(_) | Problem::Closed(_) => true,
            Problem::Owner { .. } => !self.path.starts_with("user"),
            _ => false,
        }
    }

    /// Whether it is the user's choice, and as good: a `.ssh` that a program made in their home.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        matches!((&self.problem, self.wanted), (Problem::Directory | Problem::Link(_), Kind::Link(_)))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, wanted) = (self.path, self.wanted);
        match &self.problem {
            Problem::Missing => write!(f, "{path} is missing"),
            Problem::Open(mode) => write!(f, "{path} is open to others (mode {mode:04o})"),
            Problem::Closed(mode) => write!(f, "{path} keeps the user out (mode {mode:04o})"),
            Problem::Owner { found, wanted } => write!(
                f,
                "{path} belongs to {}:{}, not to {}:{}; what is in it may, too: `chown -R` is for you to do",
                found.0, found.1, wanted.0, wanted.1
            ),
            Problem::File => write!(f, "{path} is a file, not {wanted}"),
            Problem::Directory => write!(f, "{path} is a directory, not {wanted}"),
            Problem::Link(to) => write!(f, "{path} is a link to {to}, not {wanted}"),
            Problem::LinkOutside(to) => {
                write!(
                    f,
                    "{path} is a link to {to}, out of the volume, and not {wanted}: what is there is lost with the machine"
                )
            }
        }
    }
}

/// What is wrong with an entry.
#[must_use]
pub fn compare(rule: &Rule, found: &Found, owners: &Owners) -> Vec<Finding> {
    let mut problems = Vec::new();
    match (rule.kind, found) {
        (_, Found::Nothing) => problems.push(Problem::Missing),
        (Kind::Link(wanted), Found::Link(to)) => {
            if to != wanted {
                problems.push(link(rule.path, to));
            }
        }
        (Kind::Link(_), Found::Directory(..)) => problems.push(Problem::Directory),
        (_, Found::Directory(mode, ids)) => {
            match rule.kind {
                Kind::Private if mode & 0o077 != 0 => problems.push(Problem::Open(*mode)),
                // Whoever is another user than the agent is at best its group.
                Kind::Root if owners.user.0 != owners.agent.0 && mode & 0o011 != 0o011 => {
                    problems.push(Problem::Closed(*mode));
                }
                _ => {}
            }
            let wanted = owners.of(rule.owner);
            // The root is the file system's, and nobody minds as long as everybody gets through.
            if *ids != wanted && rule.kind != Kind::Root {
                problems.push(Problem::Owner { found: *ids, wanted });
            }
        }
        (_, Found::Link(to)) => problems.push(link(rule.path, to)),
        (_, Found::Other) => problems.push(Problem::File),
    }
    let finding = |problem: Problem| {
        let obstructed = matches!(problem, Problem::File | Problem::Link(_) | Problem::LinkOutside(_));
        Finding { path: rule.path, wanted: rule.kind, problem, fatal: rule.required && obstructed }
    };
    problems.into_iter().map(finding).collect()
}

fn link(path: &str, to: &str) -> Problem {
    if leaves(path, to) { Problem::LinkOutside(to.to_owned()) } else { Problem::Link(to.to_owned()) }
}

/// Whether a link at `path` to `to` leads above the root that `path` is below. Only what is written counts.
fn leaves(path: &str, to: &str) -> bool {
    if to.starts_with('/') {
        return true;
    }
    let mut depth = path.split('/').count() - 1;
    for component in to.split('/') {
        match component {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: Ids = (0, 0);
    const USER: Ids = (1000, 1000);
    const OWNERS: Owners = Owners { agent: AGENT, user: USER };

    fn problems(kind: Kind, owner: Owner, found: Found) -> Vec<Problem> {
        let rule = Rule { path: "user/home/x", kind, owner, required: true };
        compare(&rule, &found, &OWNERS).into_iter().map(|finding| finding.problem).collect()
    }

    #[test]
    fn every_difference_is_found() {
        let directory = Kind::Directory(0o755);
        let link = Kind::Link("../x");
        for (kind, found, expected) in [
            (directory, Found::Nothing, vec![Problem::Missing]),
            (directory, Found::Directory(0o777, USER), vec![]),
            (directory, Found::Directory(0o755, AGENT), vec![Problem::Owner { found: AGENT, wanted: USER }]),
            (directory, Found::Link("/etc".into()), vec![Problem::LinkOutside("/etc".into())]),
            (directory, Found::Link("../y".into()), vec![Problem::Link("../y".into())]),
            (directory, Found::Other, vec![Problem::File]),
            (Kind::Private, Found::Directory(0o700, USER), vec![]),
            (
                Kind::Private,
                Found::Directory(0o750, AGENT),
                vec![Problem::Open(0o750), Problem::Owner { found: AGENT, wanted: USER }],
            ),
            (link, Found::Nothing, vec![Problem::Missing]),
            (link, Found::Link("../x".into()), vec![]),
            (link, Found::Link("../z".into()), vec![Problem::Link("../z".into())]),
            (
                link,
                Found::Link("../../../../etc".into()),
                vec![Problem::LinkOutside("../../../../etc".into())],
            ),
            (link, Found::Directory(0o755, USER), vec![Problem::Directory]),
            (link, Found::Other, vec![Problem::File]),
            (Kind::Root, Found::Directory(0o700, AGENT), vec![Problem::Closed(0o700)]),
            (Kind::Root, Found::Directory(0o755, (7, 7)), vec![]),
        ] {
            assert_eq!(problems(kind, Owner::User, found.clone()), expected, "{kind:?} {found:?}");
        }
    }

    #[test]
    fn the_root_may_be_closed_where_there_is_one_user() {
        let rule = Rule { path: ".", kind: Kind::Root, owner: Owner::Agent, required: true };
        let one = Owners { agent: USER, user: USER };
        assert_eq!(compare(&rule, &Found::Directory(0o700, USER), &one), []);
    }

    #[test]
    fn what_is_in_the_way_is_never_mended_and_a_users_own_never_by_itself() {
        let finding = |path, wanted, problem| Finding { path, wanted, problem, fatal: false };
        let link = Kind::Link("../x");
        for problem in
            [Problem::File, Problem::Directory, Problem::Link("y".into()), Problem::LinkOutside("/".into())]
        {
            let finding = finding("user/home/x", link, problem);
            assert_eq!((finding.mend(), finding.mends_itself()), (None, false), "{finding}");
        }
        let owner = Problem::Owner { found: AGENT, wanted: USER };
        let theirs = finding("user/projects", Kind::Directory(0o755), owner.clone());
        assert_eq!((theirs.mend(), theirs.mends_itself()), (Some(Mend::Give(USER)), false));
        assert!(finding("system/state", Kind::Private, owner).mends_itself());
        let open = finding("user/.ssh", Kind::Private, Problem::Open(0o2755));
        assert_eq!(open.mend(), Some(Mend::Mode(0o700)));
        let closed = finding(".", Kind::Root, Problem::Closed(0o700));
        assert_eq!(closed.mend(), Some(Mend::Mode(0o711)));
        assert!(finding("user/home/.ssh", link, Problem::Directory).is_harmless());
        assert!(!finding("user/home/.ssh", link, Problem::LinkOutside("/x".into())).is_harmless());
    }

    #[test]
    fn a_link_leaves_the_volume_when_it_climbs_above_it() {
        for (to, out) in [
            ("../projects", false),
            ("x/../../..", false),
            ("../../..", false),
            ("../../../..", true),
            ("/mnt/workspace/user", true),
            ("a//./b", false),
        ] {
            assert_eq!(leaves("user/home/a/b", to), out, "{to}");
        }
    }
}
