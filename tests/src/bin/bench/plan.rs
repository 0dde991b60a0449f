//! The figures: what each is called, and which values are asked for.

use clap::ValueEnum;

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Keys and floods in terminals.
    Keys,
    /// Requests and downloads of previews.
    Previews,
    /// Memory of terminals and connections on which nothing happens.
    Idle,
    /// From the start of a program to its first answer, and its memory then.
    Starts,
    /// From a bell in a pane to a browser's inbox.
    Signals,
    /// A backup by the agent and by restic alone.
    Backups,
    /// A gateway with nine thousand terminals.
    Crowd,
    /// A gateway with a thousand boxes.
    Boxes,
}

impl Group {
    /// Whether a quick run has it, unless groups were named.
    pub fn is_quick(self) -> bool {
        matches!(self, Self::Keys | Self::Previews | Self::Idle)
    }
}

/// A bound that a figure must keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Bound {
    /// Whether a value keeps it.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

/// What is asked of a figure.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The figure's name, which is also its name in the JSON.
    pub name: &'static str,
    /// The run fails beyond it.
    pub gate: Option<Bound>,
    /// What we are after.
    pub goal: Option<Bound>,
}

const fn target(name: &'static str, gate: Option<Bound>, goal: Option<Bound>) -> Target {
    Target { name, gate, goal }
}

use Bound::{AtLeast, AtMost};

/// Everything that has a target. Ratios are called `... / <peer>`, the rest are absolute.
pub const TARGETS: &[Target] = &[
    target("preview requests/s / nginx", Some(AtLeast(0.95)), Some(AtLeast(1.25))),
    target("preview bulk MB/s / nginx", Some(AtLeast(1.2)), Some(AtLeast(1.4))),
    target("keystroke p50 / nginx", Some(AtMost(1.05)), Some(AtMost(0.9))),
    target("keystroke p99 beside a flood / nginx", None, Some(AtMost(0.6))),
    target("terminal bulk MB/s / ttyd", Some(AtLeast(0.92)), Some(AtLeast(0.97))),
    target("KB per idle terminal, gateway / nginx", Some(AtMost(0.30)), None),
    target("KB per idle terminal, gateway", None, Some(AtMost(13.0))),
    target("KB per idle terminal after 1 MB, gateway", None, Some(AtMost(13.0))),
    target("KB per idle terminal, agent / nginx", Some(AtMost(0.30)), None),
    target("KB per idle terminal, agent", None, Some(AtMost(13.0))),
    target("KB per idle HTTP connection, gateway", Some(AtMost(16.0)), Some(AtMost(4.0))),
    target("agent MB, linked, no session", Some(AtMost(8.0)), Some(AtMost(4.0))),
    target("gateway MB, 1,000 boxes", Some(AtMost(60.0)), Some(AtMost(30.0))),
    target("gateway MB, 9,000 terminals", Some(AtMost(180.0)), Some(AtMost(130.0))),
    target("gateway CPU %, 9,000 terminals", Some(AtMost(5.0)), Some(AtMost(2.0))),
    target("bell to inbox p50 ms", Some(AtMost(50.0)), Some(AtMost(10.0))),
    target("bell to inbox p99 ms", Some(AtMost(250.0)), None),
    target("gateway start ms / nginx", Some(AtMost(1.0)), None),
    target("gateway start ms", None, Some(AtMost(10.0))),
    target("agent start ms / nginx", Some(AtMost(1.0)), None),
    target("agent start ms", None, Some(AtMost(10.0))),
];

/// What is asked of a figure, if anything is.
pub fn target_of(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
