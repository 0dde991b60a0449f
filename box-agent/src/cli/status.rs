//! `box-agent status`: how the running agent is.

use berth_daemon::exit::{Exit, Fatal};
use clap::Args;

use super::Options;
use crate::control::client::{ControlError, ask};
use crate::control::{Answer, Request, StatusReport};
use crate::host::runtime::RuntimeDir;

#[derive(Debug, Args)]
pub(super) struct Status {}

impl Status {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        let socket = RuntimeDir::at(&options.settings()?.runtime_dir, None).agent_socket();
        let (answer, _) = ask(&socket, &Request::Status).map_err(Fatal::with(Exit::Failure))?;
        let Answer::Status(report) = answer else {
            let problem = std::io::Error::other("it answered another question");
            return Err(Fatal::with(Exit::Failure)(ControlError::Unintelligible(problem)));
        };
        print!("{}", shown(&report));
        Ok(if report.ready { Exit::Success } else { Exit::Failure })
    }
}

fn shown(report: &StatusReport) -> String {
    format!(
        "status:        {}\n\
         link:          {}\n\
         door:          {}\n\
         workspace:     {}\n\
         instance:      {}\n\
         sessions:      {}\n\
         terminals:     {}\n\
         ttyd restarts: {}\n\
         version:       {}\n",
        report.status,
        report.link,
        report.door.as_deref().unwrap_or("closed"),
        report.workspace,
        report.instance,
        report.sessions,
        report.attachments,
        report.ttyd_restarts,
        report.agent_version
    )
}
