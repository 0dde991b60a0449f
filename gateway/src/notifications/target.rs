//! Where a channel leads: sealed in the store, and checked when a user says it.

use berth_protocol::ids::ChannelId;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::guard::Guard;
use crate::sealing::{Sealer, SealingError};

/// Characters of an address, at most.
const MAX_URL: usize = 2048;

/// The shortest and the longest secret of a webhook, bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=256;

/// Characters of a topic, at most.
const MAX_TOPIC: usize = 64;

/// Where a channel leads.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// A browser, by its push service.
    WebPush {
        /// What the browser's push service calls it.
        endpoint: Url,
        /// The browser's public key: a point of P-256, base64url.
        p256dh: String,
        /// A secret that only the browser and we know, base64url.
        auth: String,
    },
    /// A topic of an ntfy server.
    Ntfy {
        /// The topic's address.
        url: Url,
        /// An access token, where the server wants one.
        token: Option<String>,
    },
    /// Any program that takes JSON.
    Webhook {
        /// Its address.
        url: Url,
        /// With what messages are signed.
        secret: String,
    },
}

/// What is wrong with a target, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTarget(String);

fn invalid(sentence: impl Into<String>) -> InvalidTarget {
    InvalidTarget(sentence.into())
}

impl Target {
    /// A browser.
    ///
    /// # Errors
    /// [`InvalidTarget`].
    pub fn web_push(endpoint: &str, p256dh: &str, auth: &str, guard: &Guard) -> Result<Self, InvalidTarget> {
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes());
        let key = decode(p256dh).ok().filter(|key| key.len() == 65 && key[0] == 4);
        let key = key.ok_or_else(|| invalid("the browser's key is not a point of P-256"))?;
        let secret = decode(auth).ok().filter(|secret| secret.len() == 16);
        let secret = secret.ok_or_else(|| invalid("the browser's secret has not 16 bytes"))?;
        Ok(Self::WebPush {
            endpoint: checked(endpoint, guard)?,
            p256dh: BASE64URL_NOPAD.encode(&key),
            auth: BASE64URL_NOPAD.encode(&secret),
        })
    }

    /// A topic of an ntfy server.
    ///
    /// # Errors
    /// [`InvalidTarget`].
    pub fn ntfy(url: &str, token: Option<String>, guard: &Guard) -> Result<Self, InvalidTarget> {
        let url = checked(url, guard)?;
        let topic = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=MAX_TOPIC).contains(&topic.len()) || !topic.chars().all(plain) || url.query().is_some() {
            return Err(invalid("a topic's address ends with its name, as https://ntfy.sh/my-topic does"));
        }
        let token = token.filter(|token| !token.is_empty());
        if token
            .as_ref()
            .is_some_and(|token| token.len() > 256 || !token.chars().all(|c| c.is_ascii_graphic()))
        {
            return Err(invalid("an access token has at most 256 characters, none of them a space"));
        }
        Ok(Self::Ntfy { url, token })
    }

    /// A program that takes JSON.
    ///
    /// # Errors
    /// [`InvalidTarget`].
    pub fn webhook(url: &str, secret: String, guard: &Guard) -> Result<Self, InvalidTarget> {
        if !SECRET_BYTES.contains(&secret.len()) {
            let (least, most) = (SECRET_BYTES.start(), SECRET_BYTES.end());
            return Err(invalid(format!("a webhook's secret has {least} to {most} bytes")));
        }
        Ok(Self::Webhook { url: checked(url, guard)?, secret })
    }

    /// Its stable word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::WebPush { .. } => "web_push",
            Self::Ntfy { .. } => "ntfy",
            Self::Webhook { .. } => "webhook",
        }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &Url {
        match self {
            Self::WebPush { endpoint: url, .. } | Self::Ntfy { url, .. } | Self::Webhook { url, .. } => url,
        }
    }

    /// As much of its address as people may see: whoever knows the rest could use it.
    #[must_use]
    pub fn shown(&self) -> String {
        let url = self.url();
        let host = url.host_str().unwrap_or_default();
        url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Seals it for its channel.
    #[must_use]
    pub fn seal(&self, sealer: &Sealer, channel: &ChannelId) -> Vec<u8> {
        // Plain data: it always serialises.
        sealer.seal(&purpose(channel), &serde_json::to_vec(self).unwrap_or_default())
    }

    /// Opens what was sealed for the channel. `None`: a newer gateway wrote it.
    ///
    /// # Errors
    /// [`SealingError`].
    pub fn open(sealer: &Sealer, channel: &ChannelId, sealed: &[u8]) -> Result<Option<Self>, SealingError> {
        let plain = sealer.unseal(&purpose(channel), sealed)?;
        Ok(serde_json::from_slice(&plain).ok())
    }
}

fn purpose(channel: &ChannelId) -> String {
    format!("channel/{channel}")
}

/// An address that could be reached. What its name resolves to is checked when it is.
fn checked(text: &str, guard: &Guard) -> Result<Url, InvalidTarget> {
    let url = (text.len() <= MAX_URL).then(|| Url::parse(text).ok()).flatten();
    let url = url.ok_or_else(|| invalid("that is not an address: use one that begins with https://"))?;
    let tls = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(invalid("the address has to begin with https://")),
    };
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(invalid("the address must not hold a name, a password or a part behind #"));
    }
    let admitted = match url.host() {
        Some(Host::Ipv4(ip)) => guard.admits(ip.into(), tls),
        Some(Host::Ipv6(ip)) => guard.admits(ip.into(), tls),
        Some(Host::Domain(_)) => tls || guard.allows_plain(),
        None => false,
    };
    if admitted {
        return Ok(url);
    }
    Err(invalid(if tls {
        "only public addresses can be reached: the operator can allow more in notifications.allow_addresses"
    } else {
        "the address has to begin with https://, unless the operator allows it in notifications.allow_addresses"
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        let secret = "0123456789abcdef".to_owned();
        Target::webhook(url, secret, &Guard::default()).err().unwrap().to_string()
    }

    #[test]
    fn addresses_that_lead_home_are_refused_in_every_spelling() {
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1:8080/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fd00::1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://[64:ff9b::a9fe:a9fe]/",
        ] {
            assert!(refused(url).contains("public"), "{url}");
        }
        for url in
            ["http://example.com/", "ftp://example.com/", "https://", "file:///etc/passwd", "example.com"]
        {
            assert!(refused(url).contains("https://"), "{url}: {}", refused(url));
        }
        assert!(refused("https://user:pass@example.com/").contains("password"));
        assert!(refused(&format!("https://example.com/{}", "a".repeat(3000))).contains("address"));
    }

    #[test]
    fn a_topic_has_a_name_and_a_secret_a_length() {
        let guard = Guard::default();
        assert!(Target::ntfy("https://ntfy.sh/a_topic-1", None, &guard).is_ok());
        for url in
            ["https://ntfy.sh/", "https://ntfy.sh/a%20b", "https://ntfy.sh/a?auth=x", "https://ntfy.sh"]
        {
            assert!(Target::ntfy(url, None, &guard).is_err(), "{url}");
        }
        assert!(Target::ntfy("https://ntfy.sh/a", Some("two words".into()), &guard).is_err());
        assert!(Target::webhook("https://example.com/", "short".into(), &guard).is_err());
        let hook = Target::webhook("https://example.com:8443/secret/path", "0123456789abcdef".into(), &guard);
        assert_eq!(hook.ok().unwrap().shown(), "example.com:8443");
    }

    #[test]
    fn a_browsers_key_is_a_point() {
        let guard = Guard::default();
        let endpoint = "https://push.example/send/1";
        let (mut point, auth) = ([0u8; 65], BASE64URL_NOPAD.encode(&[1; 16]));
        point[0] = 4;
        let key = BASE64URL_NOPAD.encode(&point);
        assert!(Target::web_push(endpoint, &format!("{key}="), &format!("{auth}=="), &guard).is_ok());
        assert!(Target::web_push(endpoint, &BASE64URL_NOPAD.encode(&[4; 64]), &auth, &guard).is_err());
        assert!(Target::web_push(endpoint, &key, "AAAA", &guard).is_err());
        assert!(Target::web_push("http://push.example/", &key, &auth, &guard).is_err());
    }
}
