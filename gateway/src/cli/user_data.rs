//! The user-data of a new machine: a `#cloud-config` that has cloud-init write one file, for `box-agent provision`.

use berth_protocol::enroll::EnrollmentToken;
use berth_protocol::provision::{PROVISION_FILE, Provision, ProvisionedVolume};

/// The most that providers take, bytes.
const MAX_BYTES: usize = 32 * 1024;

/// User-data that no provider would take.
#[derive(Debug, thiserror::Error)]
#[error(
    "the user-data would have {0} bytes, and {MAX_BYTES} are allowed: link.advertise must be a host and a port"
)]
pub(super) struct TooLong(usize);

/// Writes the user-data of a machine for the named workspace.
pub(super) fn render(
    workspace: &str,
    token: &EnrollmentToken,
    volume: Option<ProvisionedVolume>,
    ttl_minutes: u64,
) -> Result<String, TooLong> {
    let provision = Provision { token: token.encode(), volume };
    // JSON has no line that could end the block it stands in.
    let json = serde_json::to_string_pretty(&provision).unwrap_or_default();
    let content: String = json.lines().map(|line| format!("      {line}\n")).collect();
    let text = format!(
        "#cloud-config\n\
         # Makes a machine of Berth's image the box of the workspace {workspace}, once, within {ttl_minutes} minutes.\n\
         # It holds a secret. The gateway: {address:?}, whose CA has the SHA-256\n\
         # {ca}\n\
         write_files:\n\
         \x20 - path: {PROVISION_FILE}\n\
         \x20   owner: root:root\n\
         \x20   permissions: '0600'\n\
         \x20   content: |\n{content}",
        address = token.link_address,
        ca = token.ca_sha256,
    );
    if text.len() > MAX_BYTES { Err(TooLong(text.len())) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::InstallationId;

    use super::*;

    fn token(link_address: &str) -> EnrollmentToken {
        EnrollmentToken {
            link_address: link_address.to_owned(),
            installation: InstallationId::random(),
            ca_sha256: "00ff".into(),
            secret: "hush".into(),
        }
    }

    /// The file that cloud-init would write.
    fn content(text: &str) -> Provision {
        let (_, block) = text.split_once("content: |\n").expect("a file with content");
        let lines: Vec<_> =
            block.lines().map(|line| line.strip_prefix("      ").expect("indented")).collect();
        serde_json::from_str(&lines.join("\n")).unwrap()
    }

    #[test]
    fn a_machine_finds_in_it_what_it_is_to_become() {
        let volume = ProvisionedVolume { hcloud_id: 4711, new: true };
        let token = token("box.example:7392");
        let text = render("main", &token, Some(volume.clone()), 60).unwrap();
        assert!(text.starts_with("#cloud-config\n"), "{text}");
        let given = content(&text);
        assert_eq!(given.token.parse::<EnrollmentToken>().unwrap(), token);
        assert_eq!(given.volume, Some(volume));
    }

    #[test]
    fn nothing_in_a_setting_becomes_a_line_of_its_own() {
        let text = render("main", &token("a:1\nruncmd: [reboot]"), None, 60).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("runcmd")), "{text}");
        assert_eq!(content(&text).volume, None);
        assert!(render("main", &token(&"a".repeat(MAX_BYTES)), None, 60).is_err());
    }
}
