//! The table, and the same as JSON.

use std::fmt;
use std::process::Command;

use serde_json::{Value, json};

use crate::plan::{Bound, target_of};
use crate::rounds::Series;

/// Everything that was measured.
pub struct Report {
    quick: bool,
    rows: Vec<(String, Series)>,
}

impl Report {
    /// An empty one.
    pub fn new(quick: bool) -> Self {
        Self { quick, rows: Vec::new() }
    }

    /// Adds a figure, and says so: a run takes minutes.
    pub fn add(&mut self, name: &str, series: Series) {
        eprintln!("  {name}: {:.3}", series.median());
        self.rows.push((name.to_owned(), series));
    }

    /// Adds a figure of two sides and their ratio.
    pub fn add_beside(&mut self, name: &str, ours: &Series, peer: &str, theirs: &Series) {
        self.add(&format!("{name} / {peer}"), ours.ratios(theirs));
    }

    /// Whether no gate is broken.
    pub fn passes(&self) -> bool {
        self.rows.iter().all(|(name, series)| {
            let gate = target_of(name).and_then(|target| target.gate);
            gate.is_none_or(|gate| gate.holds(series.median()))
        })
    }

    /// The figures beside the machine's description.
    pub fn to_json(&self) -> String {
        let rows: Vec<Value> = self.rows.iter().map(|(name, series)| row(name, series)).collect();
        let text = json!({ "version": 1, "quick": self.quick, "machine": machine(), "figures": rows });
        format!("{text:#}\n")
    }
}

fn row(name: &str, series: &Series) -> Value {
    let (low, high) = (series.quantile(0.25), series.quantile(0.75));
    json!({ "name": name, "median": series.median(), "quartiles": [low, high], "rounds": series.0 })
}

/// What the figures were measured on.
fn machine() -> Value {
    let line = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    json!({
        "kernel": line("uname", &["-sr"]),
        "processor": cpu.trim_start_matches([' ', '\t', ':']),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "date": line("date", &["-u", "+%F %H:%M UTC"]),
        "commit": line("git", &["rev-parse", "--short", "HEAD"]),
        "nginx": String::from_utf8_lossy(
            &Command::new("nginx").arg("-v").output().map(|output| output.stderr).unwrap_or_default()
        ).trim(),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<46} {:>10} {:>21} {:>9} {:>9}", "figure", "median", "quartiles", "gate", "goal")?;
        for (name, series) in &self.rows {
            let (low, high) = (series.quantile(0.25), series.quantile(0.75));
            let target = target_of(name);
            let gate = target.and_then(|target| target.gate);
            let goal = target.and_then(|target| target.goal);
            let broken = gate.is_some_and(|gate| !gate.holds(series.median()));
            writeln!(
                f,
                "{name:<46} {:>10.3} {low:>10.3} {high:>10.3} {:>9} {:>9}{}",
                series.median(),
                bound(gate),
                bound(goal),
                if broken { "  beyond its gate" } else { "" }
            )?;
        }
        Ok(())
    }
}

fn bound(bound: Option<Bound>) -> String {
    match bound {
        Some(Bound::AtMost(most)) => format!("≤ {most}"),
        Some(Bound::AtLeast(least)) => format!("≥ {least}"),
        None => String::new(),
    }
}
