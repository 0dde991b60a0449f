//! `box-agent sessions`: what runs, from the running agent.

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::observed::SessionState;
use clap::Args;

use super::Options;
use crate::control::client::{ControlError, ask};
use crate::control::{Answer, Request};
use crate::host::runtime::RuntimeDir;
use crate::sessions::report::SessionReport;

#[derive(Debug, Args)]
pub(super) struct Sessions {
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Sessions {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        let socket = RuntimeDir::at(&options.settings()?.runtime_dir, None).agent_socket();
        let (answer, _) = ask(&socket, &Request::Sessions).map_err(Fatal::with(Exit::Failure))?;
        let Answer::Sessions(sessions) = answer else {
            let problem = std::io::Error::other("it answered another question");
            return Err(Fatal::with(Exit::Failure)(ControlError::Unintelligible(problem)));
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&sessions).map_err(Fatal::with(Exit::Failure))?);
        } else {
            print!("{}", shown(&sessions));
        }
        Ok(Exit::Success)
    }
}

fn shown(sessions: &[SessionReport]) -> String {
    if sessions.is_empty() {
        return "There are no sessions.\n".to_owned();
    }
    let mut text = format!(
        "{:<30}  {:<20}  {:<10}  {:<20}  {:>5}  {:>9}  {:>8}\n",
        "ID", "NAME", "STATE", "ACTIVITY", "PANES", "TERMINALS", "IDLE"
    );
    for session in sessions {
        let name = session.name.as_deref().map_or_else(|| "-".to_owned(), plain);
        let activity = session.activity.map_or_else(|| "-".to_owned(), |activity| activity.to_string());
        let idle = session.idle_secs.map_or_else(|| "-".to_owned(), duration);
        text.push_str(&format!(
            "{:<30}  {name:<20}  {:<10}  {activity:<20}  {:>5}  {:>9}  {idle:>8}\n",
            session.id.as_str(),
            state(session.state),
            session.panes,
            session.attachments,
        ));
        if let Some(message) = &session.message {
            text.push_str(&format!("    {}\n", plain(message)));
        }
    }
    text
}

fn state(state: SessionState) -> &'static str {
    match state {
        SessionState::Running => "running",
        SessionState::Failed => "failed",
        SessionState::Unexpected => "unexpected",
        SessionState::Unknown => "unknown",
    }
}

/// A text that others chose, for a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn duration(secs: u64) -> String {
    match secs {
        0..60 => format!("{secs} s"),
        60..3600 => format!("{} min", secs / 60),
        3600..172_800 => format!("{} h", secs / 3600),
        _ => format!("{} d", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_line_for_each_session_and_no_control_characters() {
        let session = SessionReport {
            id: "ses-aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap(),
            name: Some("wo\u{1b}]0;x\u{7}rk".into()),
            state: SessionState::Running,
            panes: 3,
            attachments: 1,
            idle_secs: Some(61),
            message: Some("oh\nno".into()),
            activity: Some(berth_protocol::attention::Activity::WaitingForInput),
        };
        let text = shown(&[session]);
        let expected = "\
ID                              NAME                  STATE       ACTIVITY              PANES  TERMINALS      IDLE
ses-aaaaaaaaaaaaaaaaaaaaaaaaaa  wo\u{fffd}]0;x\u{fffd}rk            running     waiting for input         3          1     1 min
    oh\u{fffd}no
";
        assert_eq!(text, expected);
        assert_eq!(shown(&[]), "There are no sessions.\n");
        assert_eq!([59, 3599, 172_799, 172_800].map(duration), ["59 s", "59 min", "47 h", "2 d"]);
    }
}
