//! Measures Berth beside what people would use instead, in one run: `scripts/bench` builds it and starts it.
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | the figures, with their gates and goals |
//! | [`rounds`] | alternating rounds, medians, ratios |
//! | [`report`] | the table, and the same as JSON |
//! | [`peers`] | nginx and haproxy with the same hops, ttyd alone |
//! | [`line`] | one terminal's WebSocket, of whoever serves it |
//! | [`starts`], [`keys`], [`previews`], [`signals`], [`backups`], [`idle`], [`crowd`], [`boxes`] | the measurements |
//!
//! Peers and Berth are measured in turns, the order reversed each round; a figure is the median of its rounds, a
//! ratio the median of the ratios of one round. Everything is on one machine and on loopback.

#![expect(clippy::disallowed_methods, reason = "the bench starts programs")]

mod backups;
mod boxes;
mod crowd;
mod idle;
mod keys;
mod line;
mod peers;
mod plan;
mod previews;
mod report;
mod rounds;
mod signals;
mod starts;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::plan::Group;
use crate::report::Report;

/// What to measure, and how long.
#[derive(Debug, Parser)]
#[command(name = "bench", about = "Measures Berth beside nginx, haproxy and ttyd alone")]
pub struct Options {
    /// Fewer and shorter rounds of keys, previews and idle: under two minutes
    #[arg(long)]
    quick: bool,
    /// Write the figures here too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only these groups of figures
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    only: Vec<Group>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let wanted = |group: &Group| match options.only.as_slice() {
        [] => !options.quick || group.is_quick(),
        named => named.contains(group),
    };
    let mut report = Report::new(options.quick);
    for group in Group::value_variants().iter().filter(|group| wanted(group)) {
        match group {
            Group::Keys => keys::measure(&mut report, options.quick).await,
            Group::Previews => previews::measure(&mut report, options.quick).await,
            Group::Idle => idle::measure(&mut report, options.quick).await,
            Group::Starts => starts::measure(&mut report, options.quick).await,
            Group::Signals => signals::measure(&mut report, options.quick).await,
            Group::Backups => backups::measure(&mut report).await,
            Group::Crowd => crowd::measure(&mut report).await,
            Group::Boxes => boxes::measure(&mut report).await,
        }
    }
    print!("{report}");
    if let Some(path) = &options.json
        && let Err(error) = std::fs::write(path, report.to_json())
    {
        eprintln!("bench: {} can't be written: {error}", path.display());
        return ExitCode::FAILURE;
    }
    if report.passes() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
