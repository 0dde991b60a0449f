//! The cookies: of a signed-in browser, of shares and links that were opened in it, and on the hosts of previews.
//!
//! Their names carry the installation, because cookies know no ports: two installations on one machine would
//! overwrite each other's. A session's id, which nobody else has, does that for shares. Over https they have the
//! `__Host-` prefix, so that no other host can set them.

use std::time::Duration;

use berth_protocol::ids::{InstallationId, PreviewId, SessionId};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::Origin;

/// Where a preview is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// In a window or tab of its own.
    Window,
    /// In a frame of the console. Browsers keep cookies from frames of other sites, but for those that are
    /// partitioned: they belong to the frames of one site, here the console's, and to no others.
    Frame,
}

/// Whose cookie it is.
#[derive(Debug, Clone, Copy)]
pub enum CookieOf<'a> {
    /// A user who has signed in.
    User(&'a InstallationId),
    /// A guest who may watch a session.
    Guest(&'a SessionId),
    /// A browser in which a link to a preview was opened, on the console's host.
    PreviewGuest(&'a PreviewId),
    /// Where a browser wants to go once somebody has signed in.
    Return(&'a InstallationId),
    /// A browser that was sent to the issuer, and has to come back.
    Issuer(&'a InstallationId),
    /// A browser that was let in to a preview, on that preview's own host.
    Preview(Shown),
    /// A browser that asks to be let in to a preview, on that preview's own host.
    PreviewNonce(Shown),
}

impl CookieOf<'_> {
    /// Its name, in three parts.
    fn name(&self, origin: &Origin) -> [&str; 3] {
        let prefix = if origin.is_secure() { "__Host-" } else { "" };
        let (what, whose) = match self {
            Self::User(installation) => ("berth-", installation.as_str()),
            Self::Guest(session) => ("berth-guest-", session.as_str()),
            Self::PreviewGuest(preview) => ("berth-guest-", preview.as_str()),
            Self::Return(installation) => ("berth-return-", installation.as_str()),
            Self::Issuer(installation) => ("berth-issuer-", installation.as_str()),
            Self::Preview(Shown::Window) => ("berth-preview", ""),
            Self::Preview(Shown::Frame) => ("berth-preview-frame", ""),
            Self::PreviewNonce(Shown::Window) => ("berth-preview-nonce", ""),
            Self::PreviewNonce(Shown::Frame) => ("berth-preview-frame-nonce", ""),
        };
        [prefix, what, whose]
    }

    fn attributes(self, origin: &Origin) -> &'static str {
        match self {
            // Browsers take `Secure` on http too, if the host is below localhost; no other is there then.
            Self::Preview(Shown::Frame) | Self::PreviewNonce(Shown::Frame) => {
                "Path=/; HttpOnly; SameSite=None; Secure; Partitioned"
            }
            _ if origin.is_secure() => "Path=/; HttpOnly; SameSite=Lax; Secure",
            _ => "Path=/; HttpOnly; SameSite=Lax",
        }
    }

    /// The header that sets it for so long.
    ///
    /// # Panics
    /// Never: `token` is a secret of ours, in plain ASCII.
    #[must_use]
    pub fn set(self, origin: &Origin, token: &str, lifetime: Duration) -> HeaderValue {
        let (name, attributes) = (self.name(origin).concat(), self.attributes(origin));
        header(&format!("{name}={token}; {attributes}; Max-Age={}", lifetime.as_secs()))
    }

    /// The header that removes it.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn clear(self, origin: &Origin) -> HeaderValue {
        self.set(origin, "", Duration::ZERO)
    }

    /// The token that a request carries in it.
    #[must_use]
    pub fn read(self, headers: &HeaderMap, origin: &Origin) -> Option<String> {
        let name = self.name(origin);
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| name.iter().try_fold(*key, |rest, part| rest.strip_prefix(part)) == Some(""))
            .map(|(_, token)| token.to_owned())
    }
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("identifiers and secrets are plain ASCII")
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn only_what_frames_need_is_sent_in_frames() {
        let origin = Origin::new(&Url::parse("https://berth.example").unwrap());
        let (installation, session, preview) =
            (InstallationId::random(), SessionId::random(), PreviewId::random());
        let framed = [CookieOf::Preview(Shown::Frame), CookieOf::PreviewNonce(Shown::Frame)];
        let others = [
            CookieOf::User(&installation),
            CookieOf::Guest(&session),
            CookieOf::PreviewGuest(&preview),
            CookieOf::Return(&installation),
            CookieOf::Issuer(&installation),
            CookieOf::Preview(Shown::Window),
            CookieOf::PreviewNonce(Shown::Window),
        ];
        let set = |cookie: CookieOf| {
            cookie.set(&origin, "token", Duration::from_secs(60)).to_str().unwrap().to_owned()
        };
        for cookie in framed.map(set) {
            assert!(cookie.starts_with("__Host-berth-preview-frame"), "{cookie}");
            assert!(cookie.contains("SameSite=None; Secure; Partitioned"), "{cookie}");
        }
        for cookie in others.map(set) {
            assert!(cookie.starts_with("__Host-berth-") && cookie.contains("SameSite=Lax"), "{cookie}");
        }
        let names: std::collections::HashSet<_> =
            framed.iter().chain(&others).map(|cookie| cookie.name(&origin).concat()).collect();
        assert_eq!(names.len(), framed.len() + others.len(), "{names:?}");
    }

    #[test]
    fn the_cookie_is_found_among_others_and_bound_to_its_installation() {
        let installation = InstallationId::random();
        let origin = Origin::new(&Url::parse("https://berth.example").unwrap());
        let user = CookieOf::User(&installation);
        let set = user.set(&origin, "token", Duration::from_secs(60)).to_str().unwrap().to_owned();
        assert!(set.starts_with("__Host-berth-inst-"), "{set}");
        assert!(set.contains("HttpOnly; SameSite=Lax; Secure; Max-Age=60"), "{set}");

        let pair = set.split(';').next().unwrap();
        let headers = HeaderMap::from_iter([(COOKIE, format!("a=b; {pair}; c=d").parse().unwrap())]);
        assert_eq!(user.read(&headers, &origin).as_deref(), Some("token"));
        assert_eq!(CookieOf::User(&InstallationId::random()).read(&headers, &origin), None);
        assert_eq!(CookieOf::Guest(&SessionId::random()).read(&headers, &origin), None);
        let plain = Origin::new(&Url::parse("http://127.0.0.1:1").unwrap());
        assert_eq!(user.read(&headers, &plain), None);
    }
}
