//! How the agent is, in the three forms in which it is asked: a line for systemd, an answer at the door, an
//! answer on the control socket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use berth_protocol::door::Status;
use tokio_util::sync::CancellationToken;

use super::hub::{Hub, Progress};
use super::notify;
use super::ports::Addresses;
use crate::control::{CertificateReport, StatusReport};
use crate::host::machine::boot_id;
use crate::identity::{Facts, Identity};
use crate::link::LinkState;
use crate::sessions::report::{SessionReport, report};

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Hub {
    fn sessions(&self) -> usize {
        self.observed.borrow().as_ref().map_or(0, |observed| observed.sessions.len())
    }

    fn terminals(&self) -> u32 {
        self.attachments.presence().borrow().values().sum()
    }

    fn is_ready(&self) -> bool {
        *self.progress.borrow() == Progress::Ready
    }

    fn has_door(&self) -> bool {
        matches!(*self.progress.borrow(), Progress::Ready | Progress::Suspended)
    }

    /// The line that `systemctl status` shows.
    pub(super) fn line(&self) -> String {
        let (sessions, terminals) = (self.sessions(), self.terminals());
        let mut line =
            line(*self.progress.borrow(), &self.link.borrow(), sessions, terminals, &self.troubles.now());
        if let Some(detail) = self.detail.borrow().as_ref() {
            line = format!("{detail}; {line}");
        }
        line
    }

    /// The answer at the door.
    pub(super) fn door_status(&self, facts: &Facts) -> Status {
        Status {
            instance: facts.instance.clone(),
            workspace: facts.workspace.clone(),
            instance_epoch: facts.instance_epoch,
            agent_version: VERSION.to_owned(),
            boot_id: boot_id(),
            ready: self.is_ready(),
            status: self.line(),
            observed: self.observed.borrow().clone().unwrap_or_default(),
        }
    }

    /// The answer on the control socket.
    pub(super) fn report(&self, identity: &Identity, addresses: Addresses) -> StatusReport {
        let facts = &identity.facts;
        let certificate = identity.standing.as_ref().map(|standing| CertificateReport {
            ca_sha256: standing.ca_sha256.clone(),
            until: standing.not_after,
            trust_generation: facts.trust_generation,
        });
        StatusReport {
            certificate,
            ready: self.is_ready(),
            status: self.line(),
            link: self.link.borrow().to_string(),
            instance: facts.instance.clone(),
            workspace: facts.workspace.clone(),
            door: (self.has_door() && !*self.retired.borrow()).then(|| addresses.door.to_string()),
            troubles: self.troubles.now().into_iter().map(|(part, text)| (part.to_owned(), text)).collect(),
            tailnet: *self.tailnet.borrow(),
            phases: self.phases(),
            sessions: self.sessions(),
            attachments: self.terminals(),
            ttyd_restarts: self.ttyd.borrow().restarts,
            agent_version: VERSION.to_owned(),
        }
    }
}

impl Hub {
    /// The sessions, for people at the machine.
    pub(super) fn session_reports(&self) -> Vec<SessionReport> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let (desired, observed) = (self.desired.borrow().clone(), self.observed.borrow().clone());
        let attention = self.attention.borrow().clone();
        report(desired.as_ref(), observed.as_ref(), &self.survey.borrow(), attention.as_ref(), now)
    }
}

fn line(
    progress: Progress,
    link: &LinkState,
    sessions: usize,
    terminals: u32,
    troubles: &BTreeMap<&'static str, String>,
) -> String {
    let mut line = match progress {
        Progress::Starting(step) => format!("starting: {step}; {link}"),
        Progress::Suspended => format!("suspended: `box-agent resume` takes the volume back; {link}"),
        Progress::Ready => {
            let plural = |count: u64| if count == 1 { "" } else { "s" };
            format!(
                "ready: {sessions} session{}, {terminals} terminal{}; {link}",
                plural(sessions as u64),
                plural(terminals.into())
            )
        }
    };
    for (part, sentence) in troubles {
        // systemd's line is one line.
        let sentence = sentence.replace('\n', " ");
        line.push_str(&format!("; trouble with {part}: {sentence}"));
    }
    line
}

/// Keeps systemd's line and the gauges up to date until `stop`.
pub(super) async fn announce(hub: Arc<Hub>, stop: CancellationToken) {
    let (mut observed, mut link) = (hub.observed.subscribe(), hub.link.subscribe());
    let (mut presence, mut ttyd) = (hub.attachments.presence(), hub.ttyd.subscribe());
    let (mut progress, mut troubles) = (hub.progress.subscribe(), hub.troubles.subscribe());
    let mut pulse = hub.pulses.join("agent");
    let mut detail = hub.detail.subscribe();
    loop {
        notify::status(&hub.line());
        hub.metrics.sessions.set(i64::try_from(hub.sessions()).unwrap_or(i64::MAX));
        hub.metrics.attachments.set(hub.terminals().into());
        hub.metrics.ttyd_restarted(hub.ttyd.borrow().restarts);
        tokio::select! {
            // Cancel-safe, all: watch channels, a question and a token.
            Ok(()) = observed.changed() => {}
            Ok(()) = link.changed() => {}
            Ok(()) = presence.changed() => {}
            Ok(()) = ttyd.changed() => {}
            Ok(()) = progress.changed() => {}
            Ok(()) = troubles.changed() => {}
            question = pulse.asked() => question.answer(),
            Ok(()) = detail.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_going_on() {
        let lost = LinkState::Lost("failed to connect".into());
        assert_eq!(
            line(Progress::Starting("volume"), &lost, 0, 0, &BTreeMap::new()),
            "starting: volume; no connection to the gateway (failed to connect)"
        );
        assert_eq!(
            line(
                Progress::Ready,
                &LinkState::Connected,
                1,
                2,
                &BTreeMap::from([("disk", "95 %\nfull".to_owned())])
            ),
            "ready: 1 session, 2 terminals; connected to the gateway; trouble with disk: 95 % full"
        );
    }
}
