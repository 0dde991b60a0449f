//! The codes of links to previews, and the cookies that they are exchanged for: signed, not stored.
//!
//! A code names its link and its end, and both are signed with the installation's sealing key, by an authenticated
//! encryption of nothing: so one that was made up or changed is refused before the store is asked, and the link's
//! maker can be shown it again. What revokes it is that the link's record is gone.

use berth_protocol::ids::PreviewLinkId;
use data_encoding::BASE64URL_NOPAD;

use crate::sealing::Sealer;
use crate::store::{PreviewLink, now_ms};

/// What every identifier of a link begins with, and a code leaves away.
const PREFIX: &str = "lnk-";

/// What a code is for. One is never taken for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Stands in the link that people are given.
    Invitation,
    /// Is kept by a browser in which a link was opened, as a cookie of the console.
    Guest,
}

impl Code {
    fn purpose(self, link: &str, expires_at_ms: i64) -> String {
        let kind = match self {
            Self::Invitation => "invitation",
            Self::Guest => "guest",
        };
        format!("preview-link/{kind}/{link}/{expires_at_ms}")
    }

    /// The code for a link. Another each time; all are good.
    #[must_use]
    pub fn sign(self, sealer: &Sealer, link: &PreviewLink) -> String {
        let id = link.id.as_str().trim_start_matches(PREFIX);
        let signature = sealer.seal(&self.purpose(id, link.expires_at_ms), b"");
        format!("{id}.{}.{}", link.expires_at_ms, BASE64URL_NOPAD.encode(&signature))
    }

    /// The link that a code names, if it is sound and not late. Whether there still is such a link is not known here.
    #[must_use]
    pub fn verify(self, sealer: &Sealer, code: &str) -> Option<PreviewLinkId> {
        let mut parts = code.split('.');
        let (id, expires, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let expires_at_ms: i64 = expires.parse().ok()?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
        sealer.unseal(&self.purpose(id, expires_at_ms), &signature).ok().filter(Vec::is_empty)?;
        let sound = parts.next().is_none() && expires_at_ms > now_ms();
        format!("{PREFIX}{id}").parse().ok().filter(|_| sound)
    }
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::{PreviewId, UserId};

    use super::*;
    use crate::settings::SealingSettings;

    fn sealer() -> (Sealer, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        (Sealer::open(&SealingSettings::default(), dir.path(), true).unwrap(), dir)
    }

    fn link(expires_at_ms: i64) -> PreviewLink {
        PreviewLink {
            id: PreviewLinkId::random(),
            preview: PreviewId::random(),
            created_by: UserId::random(),
            name: "Ana".into(),
            created_at_ms: 0,
            expires_at_ms,
            opened: 0,
            opened_at_ms: None,
        }
    }

    #[test]
    fn a_code_is_good_for_its_link_its_time_and_its_purpose() {
        let ((sealer, _dir), (other, _other_dir)) = (sealer(), sealer());
        let link = link(now_ms() + 60_000);
        for (code, another) in [(Code::Invitation, Code::Guest), (Code::Guest, Code::Invitation)] {
            let text = code.sign(&sealer, &link);
            assert_eq!(code.verify(&sealer, &text), Some(link.id.clone()));
            assert_eq!(another.verify(&sealer, &text), None, "for another purpose");
            assert_eq!(code.verify(&other, &text), None, "of another installation");
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{text}");
        }
        let late = super::tests::link(now_ms() - 1);
        assert_eq!(Code::Guest.verify(&sealer, &Code::Guest.sign(&sealer, &late)), None);
    }

    #[test]
    fn a_code_that_was_changed_is_none() {
        let (sealer, _dir) = sealer();
        let link = link(now_ms() + 60_000);
        let text = Code::Invitation.sign(&sealer, &link);
        let parts: Vec<&str> = text.split('.').collect();
        let other = PreviewLinkId::random();
        let later = (link.expires_at_ms + 1).to_string();
        let mut signature = parts[2].to_owned();
        signature.replace_range(4..5, if &signature[4..5] == "A" { "B" } else { "A" });
        for changed in [
            format!("{}.{}.{}", other.as_str().trim_start_matches(PREFIX), parts[1], parts[2]),
            format!("{}.{later}.{}", parts[0], parts[2]),
            format!("{}.{}.{signature}", parts[0], parts[1]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{text}.x"),
            format!("{}.{}", parts[0], parts[1]),
            "..".to_owned(),
            String::new(),
        ] {
            assert_eq!(Code::Invitation.verify(&sealer, &changed), None, "{changed}");
        }
    }
}
