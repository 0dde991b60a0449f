//! Names that can be nothing else: a repository's place, a snapshot, a path on the volume.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bytes of a path, at most: what Linux takes.
const MAX_PATH: usize = 4096;

/// A text that is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct InvalidName {
    pub(super) what: &'static str,
    pub(super) problem: &'static str,
}

/// Where a repository is, on a server that speaks S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// `https://<host>[:<port>]`; `http` is only for loopback.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// Where in the bucket, without slashes at its ends; one for each workspace.
    pub prefix: String,
    /// The region; `auto` for R2.
    #[serde(default = "auto")]
    pub region: String,
}

fn auto() -> String {
    "auto".to_owned()
}

impl Repository {
    /// Whether it can be nothing but a place on a server.
    ///
    /// # Errors
    /// [`InvalidName`].
    pub fn check(&self) -> Result<(), InvalidName> {
        let invalid = |what, problem| Err(InvalidName { what, problem });
        let plain = |text: &str, more: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte))
        };
        let (secure, authority) = match self.endpoint.split_once("://") {
            Some(("https", authority)) => (true, authority),
            Some(("http", authority)) => (false, authority),
            _ => return invalid("the endpoint", "must begin with https://"),
        };
        if authority.is_empty() || authority.len() > 255 || !plain(authority, ".-:[]") {
            return invalid("the endpoint", "must be a host, with a port if need be, and nothing behind it");
        }
        if !secure && !is_loopback(authority) {
            return invalid("the endpoint", "must be https, unless it is on this machine");
        }
        if !(3..=63).contains(&self.bucket.len())
            || !plain(&self.bucket, ".-")
            || self.bucket.starts_with(['.', '-'])
        {
            return invalid("the bucket", "must be 3 to 63 letters, digits, dots and hyphens");
        }
        let word = |word: &str| !word.is_empty() && plain(word, "._-") && word != "." && word != "..";
        if self.prefix.len() > 255 || !self.prefix.split('/').all(word) {
            return invalid("the prefix", "must be words of letters, digits, dots, hyphens and underscores");
        }
        if self.region.is_empty() || self.region.len() > 64 || !plain(&self.region, "-") {
            return invalid("the region", "must be a word such as auto");
        }
        Ok(())
    }

    /// As restic names it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("s3:{}/{}/{}", self.endpoint, self.bucket, self.prefix)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// As it is written everywhere.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

/// A snapshot: `latest`, or its identifier or the beginning of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotRef(String);

impl SnapshotRef {
    /// The newest.
    #[must_use]
    pub fn latest() -> Self {
        Self("latest".to_owned())
    }

    /// Whether it is one that is yet to be looked up.
    #[must_use]
    pub fn is_latest(&self) -> bool {
        self.0 == "latest"
    }
}

impl FromStr for SnapshotRef {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if text == "latest" || ((8..=64).contains(&text.len()) && digits) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName {
            what: "the snapshot",
            problem: "must be latest, or 8 to 64 digits of its identifier",
        })
    }
}

text!(SnapshotRef);

/// A path on the volume as a snapshot has it: `/user/projects/x`, or `/` for everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VolumePath(String);

impl VolumePath {
    /// The volume itself.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Whether it is the user's tree, or in it.
    #[must_use]
    pub fn is_users(&self) -> bool {
        self.0 == "/user" || self.0.starts_with("/user/")
    }

    /// Its last word; nothing for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// The directory that it is in.
    #[must_use]
    pub fn parent(&self) -> Self {
        match self.0.rsplit_once('/') {
            Some(("", _)) | None => Self::root(),
            Some((parent, _)) => Self(parent.to_owned()),
        }
    }
}

impl FromStr for VolumePath {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |problem| Err(InvalidName { what: "the path", problem });
        if text == "/" {
            return Ok(Self::root());
        }
        let Some(rest) = text.strip_prefix('/') else {
            return invalid("must begin with /, the volume's root");
        };
        if text.len() > MAX_PATH || text.contains('\0') {
            return invalid("is too long, or has a NUL character");
        }
        if rest.split('/').any(|word| matches!(word, "" | "." | "..")) {
            return invalid("must be plain: no empty word, no . and no ..");
        }
        Ok(Self(text.to_owned()))
    }
}

text!(VolumePath);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_a_place_and_nothing_else() {
        let good = Repository {
            endpoint: "https://acct.r2.cloudflarestorage.com".into(),
            bucket: "boxes".into(),
            prefix: "main/ws-1".into(),
            region: "auto".into(),
        };
        good.check().unwrap();
        assert_eq!(good.url(), "s3:https://acct.r2.cloudflarestorage.com/boxes/main/ws-1");
        let with = |change: &dyn Fn(&mut Repository)| {
            let mut repository = good.clone();
            change(&mut repository);
            repository.check().is_ok()
        };
        for endpoint in ["http://127.0.0.1:9000", "http://localhost:1", "http://[::1]:80"] {
            assert!(with(&|this| this.endpoint = endpoint.into()), "{endpoint}");
        }
        for endpoint in
            ["http://example.org", "ftp://x", "https://", "https://u:p@x", "https://x/y", "https://x y", "x"]
        {
            assert!(!with(&|this| this.endpoint = endpoint.into()), "{endpoint}");
        }
        for prefix in ["", "/a", "a/", "a//b", "../b", "a b", "a\n"] {
            assert!(!with(&|this| this.prefix = prefix.into()), "{prefix:?}");
        }
        for bucket in ["ab", "-abc", "a/b/c"] {
            assert!(!with(&|this| this.bucket = bucket.into()), "{bucket:?}");
        }
    }

    #[test]
    fn no_path_and_no_snapshot_is_an_option_or_leads_out() {
        for text in ["/", "/user", "/user/a b/ü\nx"] {
            assert_eq!(text.parse::<VolumePath>().unwrap().as_str(), text);
        }
        for text in ["", "user", "--x", "/user/../system", "//", "/user/", "/user/./x", "/a\0b"] {
            assert!(text.parse::<VolumePath>().is_err(), "{text:?}");
        }
        for text in ["latest", "0123abcd", &"a".repeat(64)] {
            assert!(text.parse::<SnapshotRef>().is_ok(), "{text:?}");
        }
        for text in ["", "-h", "abc", "LATEST", "0123abcg", "latest:/etc", &"a".repeat(65)] {
            assert!(text.parse::<SnapshotRef>().is_err(), "{text:?}");
        }
        let path: VolumePath = "/user/a/b".parse().unwrap();
        assert_eq!((path.name(), path.parent().as_str()), ("b", "/user/a"));
        assert_eq!("/user".parse::<VolumePath>().unwrap().parent(), VolumePath::root());
        let is_users = |text: &str| text.parse::<VolumePath>().unwrap().is_users();
        assert!(is_users("/user/x") && is_users("/user") && !is_users("/users") && !is_users("/"));
    }
}
