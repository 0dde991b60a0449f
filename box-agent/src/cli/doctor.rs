//! `box-agent doctor`: looks at everything that an operator would look at.

use berth_daemon::exit::{Exit, Fatal};
use clap::Args;

use super::Options;
use crate::doctor::{Finding, Verdict, examine};

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        let settings = options.settings()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fatal::with(Exit::Failure))?;
        let findings = runtime.block_on(examine(&settings));
        if self.json {
            let text = serde_json::to_string_pretty(&findings).map_err(Fatal::with(Exit::Failure))?;
            println!("{text}");
        } else {
            for Finding { check, verdict, sentence } in &findings {
                println!("{verdict:<8} {check}: {sentence}");
            }
        }
        let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failure);
        Ok(if failed { Exit::Failure } else { Exit::Success })
    }
}
