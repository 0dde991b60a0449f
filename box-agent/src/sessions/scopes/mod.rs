//! Each session's processes in a scope of their own, so that one that takes all memory takes its own session's.
//!
//! Scopes are systemd's, and systemd is asked by `busctl`. A session's panes wait for their place for a moment; a
//! place that does not come is reported and keeps nobody from working.

pub mod plan;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::ids::SessionId;
use nix::unistd::Uid;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::host::cgroup::{Kinship, is_in_unit};
use crate::host::command::{CommandError, Invocation};
use crate::host::programs::find;
use crate::terminal::survey::Survey;
use plan::{Move, misplaced, plan, scope_of};

/// Where scopes are, and where the memory of all of them is bounded.
const SLICE: &str = "berth-user.slice";

/// A machine that systemd runs has this directory.
const SYSTEMD: &str = "/run/systemd/system";

/// How long systemd may take, seconds.
const TIMEOUT: &str = "--timeout=5";

/// A way to put processes into scopes.
pub struct Scopes {
    busctl: PathBuf,
    user: Uid,
    /// Whether this systemd knows what a scope does when memory runs out; older ones do nothing, which is right.
    knows_oom_policy: bool,
    trouble: Option<Trouble>,
}

struct Trouble {
    sentence: String,
    backoff: Backoff,
    retry_at: Instant,
}

impl Scopes {
    /// Scopes for the sessions of `user`, where systemd runs and this process may ask it.
    #[must_use]
    pub fn find(user: Uid) -> Option<Self> {
        let search = std::env::var_os("PATH").unwrap_or_default();
        let possible = Uid::effective().is_root() && Path::new(SYSTEMD).is_dir();
        let busctl = possible.then(|| find(Path::new("busctl"), &search, "PATH", "systemd"))?;
        match busctl {
            Ok(busctl) => Some(Self::by(busctl, user)),
            Err(error) => {
                tracing::warn!(error = chain(&error), "sessions get no scopes of their own");
                None
            }
        }
    }

    /// The same by this program.
    #[must_use]
    pub fn by(busctl: PathBuf, user: Uid) -> Self {
        Self { busctl, user, knows_oom_policy: true, trouble: None }
    }

    /// The scope that panes of a new session should wait for: none while scopes are not to be had.
    #[must_use]
    pub fn awaited(&self, session: &SessionId) -> Option<String> {
        self.trouble.is_none().then(|| scope_of(session))
    }

    /// Puts the panes of all sessions where they belong.
    ///
    /// # Errors
    /// A sentence about what went wrong last; it is tried again after a pause.
    pub async fn place(&mut self, survey: &Survey) -> Result<(), String> {
        let panes: BTreeMap<SessionId, Vec<i32>> = survey
            .iter()
            .map(|(id, session)| (id.clone(), session.panes().map(|pane| pane.pid).collect()))
            .collect();
        let misplaced = misplaced(&panes, is_in_unit);
        if misplaced.is_empty() {
            self.trouble = None;
            return Ok(());
        }
        if let Some(trouble) = self.trouble.as_ref().filter(|trouble| trouble.retry_at > Instant::now()) {
            return Err(trouble.sentence.clone());
        }
        let mut outcome = Ok(());
        for wanted in plan(&misplaced, &Kinship::all(), self.user) {
            if let Err(error) = self.put(&wanted).await {
                outcome =
                    Err(format!("the session {} has no scope of its own: {}", wanted.session, chain(&error)));
            }
        }
        match &outcome {
            Ok(()) => self.trouble = None,
            Err(sentence) => {
                let mut backoff = self.trouble.take().map_or_else(
                    || Backoff::new(Duration::from_secs(2), Duration::from_mins(5)),
                    |trouble| trouble.backoff,
                );
                let retry_at = Instant::now() + backoff.next_pause();
                self.trouble = Some(Trouble { sentence: sentence.clone(), backoff, retry_at });
            }
        }
        outcome
    }

    async fn put(&mut self, wanted: &Move) -> Result<(), CommandError> {
        if wanted.exists {
            return self.call(&attach(wanted)).await;
        }
        let started = match self.call(&start(wanted, self.knows_oom_policy)).await {
            Err(CommandError::Failed { stderr, .. }) if stderr.contains("OOMPolicy") => {
                self.knows_oom_policy = false;
                self.call(&start(wanted, false)).await
            }
            other => other,
        };
        match started {
            // What was in it has moved on, or ends just now.
            Err(CommandError::Failed { stderr, .. }) if stderr.contains("already") => {
                self.call(&attach(wanted)).await
            }
            other => other,
        }
    }

    async fn call(&self, what: &[String]) -> Result<(), CommandError> {
        let manager = [
            "--system",
            TIMEOUT,
            "call",
            "org.freedesktop.systemd1",
            "/org/freedesktop/systemd1",
            "org.freedesktop.systemd1.Manager",
        ];
        let args = manager.into_iter().chain(what.iter().map(String::as_str));
        Invocation::new(&self.busctl, args).run().await.map(drop)
    }
}

/// The call that makes a scope with these processes.
fn start(wanted: &Move, with_oom_policy: bool) -> Vec<String> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut call = words("StartTransientUnit ssa(sv)a(sa(sv))");
    call.extend([scope_of(&wanted.session), "fail".into()]);
    let mut properties = vec![
        vec!["Description".into(), "s".into(), format!("Berth session {}", wanted.session)],
        [words("PIDs au"), processes(&wanted.pids)].concat(),
        words(&format!("Slice s {SLICE}")),
        words("CollectMode s inactive-or-failed"),
        // Shells end at a hangup, and at nothing else.
        words("SendSIGHUP b true"),
        words("TimeoutStopUSec t 10000000"),
        // What is before the agent is stopped after it: by then the last screens are kept.
        words("Before as 1 box-agent.service"),
    ];
    if with_oom_policy {
        properties.push(words("OOMPolicy s continue"));
    }
    call.push(properties.len().to_string());
    call.extend(properties.concat());
    call.push("0".into());
    call
}

/// The call that puts these processes into a scope that is there.
fn attach(wanted: &Move) -> Vec<String> {
    let fixed = ["AttachProcessesToUnit", "ssau", &scope_of(&wanted.session), ""].map(str::to_owned);
    [fixed.to_vec(), processes(&wanted.pids)].concat()
}

/// An array as `busctl` reads it: how many, then each.
fn processes(pids: &[i32]) -> Vec<String> {
    std::iter::once(pids.len().to_string()).chain(pids.iter().map(ToString::to_string)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Move {
        let session = "ses-aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap();
        Move { session, exists: false, pids: vec![7, 8] }
    }

    #[test]
    fn a_scope_is_asked_for_with_its_processes() {
        let call = start(&wanted(), true).join(" ");
        let expected = "StartTransientUnit ssa(sv)a(sa(sv)) \
             berth-session-ses-aaaaaaaaaaaaaaaaaaaaaaaaaa.scope fail 8 Description s \
             Berth session ses-aaaaaaaaaaaaaaaaaaaaaaaaaa PIDs au 2 7 8 Slice s berth-user.slice \
             CollectMode s inactive-or-failed SendSIGHUP b true TimeoutStopUSec t 10000000 \
             Before as 1 box-agent.service OOMPolicy s continue 0";
        assert_eq!(call, expected);
        assert!(start(&wanted(), false).contains(&"7".to_owned()));
        assert!(!start(&wanted(), false).join(" ").contains("OOMPolicy"));
    }

    #[test]
    fn later_processes_go_into_the_scope_that_is_there() {
        let expected = [
            "AttachProcessesToUnit",
            "ssau",
            "berth-session-ses-aaaaaaaaaaaaaaaaaaaaaaaaaa.scope",
            "",
            "2",
            "7",
            "8",
        ];
        assert_eq!(attach(&wanted()), expected);
    }
}
