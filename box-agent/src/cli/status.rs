//! `box-agent status`: how the running agent is.

use std::fmt::Write as _;

use berth_daemon::exit::{Exit, Fatal};
use clap::Args;

use super::{Options, ask_agent, unexpected};
use crate::control::{Answer, CertificateReport, Request, StatusReport};

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

fn certificate(certificate: &CertificateReport) -> String {
    let CertificateReport { ca_sha256, until, trust_generation } = certificate;
    let secs = i64::try_from(*until).unwrap_or(i64::MAX);
    let until = jiff::Timestamp::from_second(secs).map_or_else(|_| until.to_string(), |at| at.to_string());
    let ca = ca_sha256.get(..16).unwrap_or_default();
    format!("until {until}, by the CA {ca}…, trust generation {trust_generation}")
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
         certificate:   {}\n\
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
        report.certificate.as_ref().map_or_else(|| "of no CA that is believed".to_owned(), certificate),
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
