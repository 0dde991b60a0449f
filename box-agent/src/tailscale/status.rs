//! What `tailscale status --json` says, as far as the agent cares. The shape is Tailscale's (`ipnstate.Status`); what
//! is not known is ignored.

use std::net::IpAddr;

use serde::Deserialize;

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Status {
    /// Where it is on its way into the tailnet.
    pub backend_state: BackendState,
    /// This machine's addresses, IPv4 first as a rule.
    #[serde(default, rename = "TailscaleIPs")]
    addresses: Option<Vec<IpAddr>>,
    /// What Tailscale itself finds wrong.
    #[serde(default)]
    health: Option<Vec<String>>,
}

/// The daemon's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum BackendState {
    /// It has not decided yet.
    NoState,
    /// It has no valid key: never joined, or expired.
    NeedsLogin,
    /// An administrator of the tailnet has to approve the machine.
    NeedsMachineAuth,
    /// It was told to stay out.
    Stopped,
    /// It is on its way.
    Starting,
    /// It is in.
    Running,
    /// A state of a newer version.
    #[serde(other)]
    Unknown,
}

impl Status {
    /// Understands the program's output.
    ///
    /// # Errors
    /// When it is not the JSON that it should be.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The address to be dialled at: the first of the older kind, which every tailnet has, else the first.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        let all = self.addresses.as_deref().unwrap_or_default();
        all.iter().find(|address| address.is_ipv4()).or(all.first()).copied()
    }

    /// What Tailscale finds wrong, in one line.
    #[must_use]
    pub fn complaints(&self) -> String {
        self.health.as_deref().unwrap_or_default().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_running_daemon_says_is_understood() {
        let text = r#"{"Version":"1.80.0","BackendState":"Running","AuthURL":"",
            "TailscaleIPs":["fd7a:115c:a1e0::1","100.101.102.103"],
            "Self":{"HostName":"box","DNSName":"box.tail.ts.net.","Online":true},"Health":[],"Peer":{}}"#;
        let status = Status::parse(text).unwrap();
        assert_eq!(status.backend_state, BackendState::Running);
        assert_eq!(status.address(), Some("100.101.102.103".parse().unwrap()));
        assert_eq!(status.complaints(), "");
    }

    #[test]
    fn nulls_new_states_and_nonsense_are_told_apart() {
        let status =
            Status::parse(r#"{"BackendState":"NeedsLogin","TailscaleIPs":null,"Health":null}"#).unwrap();
        assert_eq!((status.backend_state, status.address()), (BackendState::NeedsLogin, None));
        let status = Status::parse(r#"{"BackendState":"Levitating"}"#).unwrap();
        assert_eq!(status.backend_state, BackendState::Unknown);
        assert!(Status::parse("Logged out.").is_err());
    }
}
