//! `box-agent status`: how the running agent is.

use std::fmt::Write as _;

use berth_daemon::exit::{Exit, Fatal};
use clap::Args;

use super::{Options, ask_agent, unexpected};
use crate::control::{Answer, Request, StatusReport};

#[derive(Debug, Args)]
pub(super) struct Status {
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        let Answer::Status(report) = ask_agent(options, &Request::Status)? else { return Err(unexpected()) };
        if self.json {
            let text = serde_json::to_string_pretty(&report).map_err(Fatal::with(Exit::Failure))?;
            println!("{text}");
        } else {
            print!("{}", shown(&report));
        }
        Ok(if report.ready { Exit::Success } else { Exit::Failure })
    }
}

fn shown(report: &StatusReport) -> String {
    let mut text = format!(
        "status:        {}\n\
         link:          {}\n\
         door:          {}\n\
         workspace:     {}\n\
         instance:      {}\n\
         sessions:      {}\n\
         terminals:     {}\n\
         ttyd restarts: {}\n\
         tailnet:       {}\n\
         version:       {}\n",
        report.status,
        report.link,
        report.door.as_deref().unwrap_or("closed"),
        report.workspace,
        report.instance,
        report.sessions,
        report.attachments,
        report.ttyd_restarts,
        report.tailnet.map_or_else(|| "not in one".to_owned(), |address| address.to_string()),
        report.agent_version
    );
    if !report.phases.is_empty() {
        let phases: Vec<String> =
            report.phases.iter().map(|phase| format!("{} {} ms", phase.name, phase.millis)).collect();
        // Writing to a string can't fail.
        let _ = writeln!(text, "start:         {}", phases.join(", "));
    }
    for (part, sentence) in &report.troubles {
        let _ = writeln!(text, "trouble:       {part}: {sentence}");
    }
    text
}
