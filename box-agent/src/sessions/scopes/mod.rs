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
use plan::{misplaced, scope_of, stragglers};

/// Where scopes are, and where the memory of all of them is bounded.
const SLICE: &str = "berth-user.slice";

/// A machine that systemd runs has this directory.
const SYSTEMD: &str = "/run/systemd/system";

/// How long systemd may take, seconds.
const TIMEOUT: &str = "--timeout=5";

/// Attempts at a call while processes come and go.
const ATTEMPTS: u32 = 3;

/// Looks after a pane was moved in which what it started is moved too.
const LOOKS: u8 = 3;

/// A way to put processes into scopes.
pub struct Scopes {
    busctl: PathBuf,
    user: Uid,
    /// Whether this systemd knows what a scope does when memory runs out; older ones do nothing, which is right.
    knows_oom_policy: bool,
    trouble: Option<Trouble>,
    /// Sessions whose panes have just been moved: in so many more looks what they had started is moved too.
    unsettled: BTreeMap<SessionId, u8>,
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
        Self { busctl, user, knows_oom_policy: true, trouble: None, unsettled: BTreeMap::new() }
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
        let outcome = self.place_first(misplaced(&panes, is_in_unit)).await;
        self.place_others(&panes).await;
        outcome
    }

    /// Puts the panes' first processes where they belong.
    async fn place_first(&mut self, misplaced: BTreeMap<SessionId, (bool, Vec<i32>)>) -> Result<(), String> {
        if let Some(trouble) = self.trouble.as_ref().filter(|trouble| trouble.retry_at > Instant::now()) {
            return if misplaced.is_empty() { Ok(()) } else { Err(trouble.sentence.clone()) };
        }
        let mut outcome = Ok(());
        for (session, (exists, pids)) in misplaced {
            match self.put(&session, exists, &pids).await {
                Ok(()) => drop(self.unsettled.insert(session, LOOKS)),
                Err(error) => {
                    outcome =
                        Err(format!("the session {session} has no scope of its own: {}", chain(&error)));
                }
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

    /// Lets what panes had started before follow them, for some looks.
    async fn place_others(&mut self, panes: &BTreeMap<SessionId, Vec<i32>>) {
        if self.unsettled.is_empty() {
            return;
        }
        let processes = Kinship::all();
        for (session, looks) in std::mem::take(&mut self.unsettled) {
            let scope = scope_of(&session);
            // Only of panes that were put there, and so were the user's.
            let first = panes.get(&session).into_iter().flatten().copied();
            let first: Vec<i32> = first.filter(|pid| is_in_unit(*pid, &scope)).collect();
            let pids = stragglers(&first, &processes, self.user, |pid| is_in_unit(pid, &scope));
            if !pids.is_empty()
                && let Err(error) = self.call(&attach(&session, &pids)).await
            {
                // One of them has ended meanwhile, most likely.
                tracing::debug!(%session, error = chain(&error), "not everything that runs followed its pane");
            }
            if looks > 1 {
                self.unsettled.insert(session, looks - 1);
            }
        }
    }

    /// Puts processes into the scope of a session, which is made if need be.
    async fn put(&mut self, session: &SessionId, exists: bool, claimed: &[i32]) -> Result<(), CommandError> {
        let mut attempt = 1;
        loop {
            // Which process is a pane's is tmux's claim, and tmux is the user's.
            let own = |pid: &i32| Kinship::of(*pid).is_some_and(|process| process.user == self.user);
            let pids: Vec<i32> = claimed.iter().copied().filter(own).collect();
            if pids.is_empty() {
                return Ok(());
            }
            match self.try_to_put(session, exists, &pids).await {
                // A pane has ended just now; the others have not.
                Err(CommandError::Failed { stderr, .. })
                    if stderr.contains("No such process") && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_to_put(
        &mut self,
        session: &SessionId,
        exists: bool,
        pids: &[i32],
    ) -> Result<(), CommandError> {
        if exists {
            return self.call(&attach(session, pids)).await;
        }
        let started = match self.call(&start(session, pids, self.knows_oom_policy)).await {
            Err(CommandError::Failed { stderr, .. }) if stderr.contains("OOMPolicy") => {
                self.knows_oom_policy = false;
                self.call(&start(session, pids, false)).await
            }
            other => other,
        };
        match started {
            // It is there, with nobody of the panes in it.
            Err(CommandError::Failed { stderr, .. }) if stderr.contains("already") => {
                self.call(&attach(session, pids)).await
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
fn start(session: &SessionId, pids: &[i32], with_oom_policy: bool) -> Vec<String> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut call = words("StartTransientUnit ssa(sv)a(sa(sv))");
    call.extend([scope_of(session), "fail".into()]);
    let mut properties = vec![
        vec!["Description".into(), "s".into(), format!("Berth session {session}")],
        [words("PIDs au"), processes(pids)].concat(),
        words(&format!("Slice s {SLICE}")),
        // Later processes can be put only into what is delegated.
        words("Delegate b true"),
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
fn attach(session: &SessionId, pids: &[i32]) -> Vec<String> {
    let fixed = ["AttachProcessesToUnit", "ssau", &scope_of(session), ""].map(str::to_owned);
    [fixed.to_vec(), processes(pids)].concat()
}

/// An array as `busctl` reads it: how many, then each.
fn processes(pids: &[i32]) -> Vec<String> {
    std::iter::once(pids.len().to_string()).chain(pids.iter().map(ToString::to_string)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SessionId {
        "ses-aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap()
    }

    #[test]
    fn a_scope_is_asked_for_with_its_processes() {
        let call = start(&session(), &[7, 8], true).join(" ");
        let expected = "StartTransientUnit ssa(sv)a(sa(sv)) \
             berth-session-ses-aaaaaaaaaaaaaaaaaaaaaaaaaa.scope fail 9 Description s \
             Berth session ses-aaaaaaaaaaaaaaaaaaaaaaaaaa PIDs au 2 7 8 Slice s berth-user.slice \
             Delegate b true CollectMode s inactive-or-failed SendSIGHUP b true TimeoutStopUSec t 10000000 \
             Before as 1 box-agent.service OOMPolicy s continue 0";
        assert_eq!(call, expected);
        let older = start(&session(), &[7], false);
        assert!(older.contains(&"7".to_owned()) && !older.contains(&"OOMPolicy".to_owned()));
    }

    #[test]
    fn later_processes_go_into_the_scope_that_is_there() {
        let scope = "berth-session-ses-aaaaaaaaaaaaaaaaaaaaaaaaaa.scope";
        assert_eq!(attach(&session(), &[7, 8]), ["AttachProcessesToUnit", "ssau", scope, "", "2", "7", "8"]);
    }
}
