//! What the running agent says of itself, and the way to the gateway.

use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::standing::Standing;

use super::Finding;
use crate::control::client::ask;
use crate::control::{Answer, Request, StatusReport};
use crate::host::names;
use crate::host::runtime::RuntimeDir;
use crate::identity;
use crate::identity::keeper::now;
use crate::identity::plan::{end, is_overdue};
use crate::settings::Settings;

/// How long the gateway may take to accept a connection.
const DEADLINE: Duration = Duration::from_secs(5);

pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let socket = RuntimeDir::at(&settings.runtime_dir, None).agent_socket();
    let mut findings = Vec::new();
    match identity::load(&settings.state_dir) {
        Ok(identity) => {
            findings.push(Finding::fine("identity", identity.facts.instance.to_string()));
            findings.push(certificate(identity.standing.as_ref(), now()));
            let address = settings.link.address.clone().unwrap_or(identity.facts.link_address);
            findings.push(reach(&address).await);
        }
        Err(error) => findings.push(Finding::failure("identity", chain(&error))),
    }
    match ask(&socket, &Request::Status) {
        Ok((Answer::Status(report), _)) => findings.extend(judge(&report)),
        Ok(_) => {
            findings.push(Finding::failure("agent", "the running agent is of another version: restart it"))
        }
        Err(error) => findings.push(Finding::failure("agent", chain(&error))),
    }
    findings
}

/// How the certificate is, by this machine's clock.
fn certificate(standing: Option<&Standing>, now: u64) -> Finding {
    let check = "certificate";
    let again =
        "make a token with `gateway workspace enroll <name>`, and give it to `box-agent enroll --replace`";
    let Some(standing) = standing else {
        let sentence = format!("no CA that this box believes vouches for it: {again}");
        return Finding::failure(check, sentence);
    };
    let end = end(standing, now);
    if now > standing.not_after {
        let sentence = format!(
            "{end}: a running agent renews it as soon as it reaches the gateway, which allows that for a while after the \
             end (link.renewal_grace_secs there, a year unless set); after that {again}"
        );
        Finding::failure(check, sentence)
    } else if is_overdue(standing, now) {
        let sentence = format!(
            "{end}, and should have been renewed: a running agent renews it when the gateway says so; look at the link and \
             at `box-agent logs`"
        );
        Finding::warning(check, sentence)
    } else {
        Finding::fine(check, end)
    }
}

async fn reach(address: &str) -> Finding {
    let check = "way to the gateway";
    let remedy = "check the network and link.address; sessions go on meanwhile";
    match tokio::time::timeout(DEADLINE, names::connect(address)).await {
        Ok(Ok(_)) => Finding::fine(check, format!("{address} accepts connections")),
        Ok(Err(error)) => {
            Finding::failure(check, format!("failed to connect to {address} ({}): {remedy}", chain(&error)))
        }
        Err(_) => Finding::failure(
            check,
            format!("{address} did not accept within {} s: {remedy}", DEADLINE.as_secs()),
        ),
    }
}

fn judge(report: &StatusReport) -> Vec<Finding> {
    let agent = if report.ready {
        Finding::fine("agent", report.status.clone())
    } else {
        let sentence = format!("{}: it is not ready; `box-agent logs` may say why", report.status);
        Finding::failure("agent", sentence)
    };
    let restarts = (report.ttyd_restarts > 0).then(|| {
        let sentence =
            format!("started again {} times: `box-agent logs` has its last words", report.ttyd_restarts);
        Finding::warning("ttyd's restarts", sentence)
    });
    let troubles =
        report.troubles.iter().map(|(part, sentence)| Finding::warning(part.as_str(), sentence.as_str()));
    std::iter::once(agent).chain(restarts).chain(troubles).collect()
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::{InstanceId, WorkspaceId};

    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_certificate_that_ends_is_found() {
        let standing = Standing { ca_sha256: "a".into(), not_before: 0, not_after: 600 };
        let found = |now| certificate(Some(&standing), now);
        assert_eq!(found(500).verdict, Verdict::Fine);
        assert_eq!(found(501).verdict, Verdict::Warning);
        let expired = found(601);
        assert_eq!(expired.verdict, Verdict::Failure);
        assert!(expired.sentence.contains("expired 1 second ago"), "{}", expired.sentence);
        assert!(expired.sentence.contains("gateway workspace enroll"), "{}", expired.sentence);
        assert_eq!(certificate(None, 0).verdict, Verdict::Failure);
    }

    #[test]
    fn what_the_agent_complains_of_is_found() {
        let mut report = StatusReport {
            ready: true,
            status: "ready".into(),
            link: "connected".into(),
            instance: InstanceId::random(),
            workspace: WorkspaceId::random(),
            certificate: None,
            door: None,
            troubles: [("disk".to_owned(), "90 % full".to_owned())].into(),
            tailnet: None,
            phases: Vec::new(),
            sessions: 0,
            attachments: 0,
            ttyd_restarts: 2,
            agent_version: "1".into(),
        };
        let verdicts = |report: &StatusReport| -> Vec<(String, Verdict)> {
            judge(report).into_iter().map(|finding| (finding.check, finding.verdict)).collect()
        };
        let expected =
            [("agent", Verdict::Fine), ("ttyd's restarts", Verdict::Warning), ("disk", Verdict::Warning)];
        assert_eq!(verdicts(&report), expected.map(|(check, verdict)| (check.to_owned(), verdict)));
        report.ready = false;
        assert_eq!(verdicts(&report)[0].1, Verdict::Failure);
    }
}
