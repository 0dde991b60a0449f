//! Identifiers: a short prefix that names the kind and 128 random bits in lower-case base32.
//!
//! Their alphabet (`a-z`, `2-7`, `-`) is safe in a path, a tmux target, a DNS label and a header, so an
//! identifier that parsed needs no quoting anywhere.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Characters of the random part: 128 bits in base32 without padding.
const RANDOM_CHARS: usize = 26;

/// Identifiers for which the system is asked at once.
const AT_ONCE: usize = 16;

/// A text that is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {kind}: expected \"{prefix}-\" and {RANDOM_CHARS} characters of a-z and 2-7")]
pub struct InvalidId {
    kind: &'static str,
    prefix: &'static str,
}

/// 128 random bits from the operating system, in lower-case base32.
///
/// # Panics
/// When the operating system has no randomness to give; nothing can be done safely then.
#[must_use]
pub fn random_base32() -> String {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    base32(&bytes)
}

/// The same, but drawn from the system several at a time, for what each request has. A machine that is copied as it runs
/// may draw some again.
fn drawn_ahead() -> String {
    thread_local! {
        static AHEAD: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
    }
    let bytes = AHEAD.with_borrow_mut(|ahead| {
        ahead.pop().unwrap_or_else(|| {
            let mut drawn = [[0; 16]; AT_ONCE];
            getrandom::fill(drawn.as_flattened_mut()).expect("the operating system provides randomness");
            ahead.extend_from_slice(&drawn[1..]);
            drawn[0]
        })
    });
    base32(&bytes)
}

fn base32(bytes: &[u8; 16]) -> String {
    let mut text = data_encoding::BASE32_NOPAD.encode(bytes);
    text.make_ascii_lowercase();
    text
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        id!($(#[$doc])* $name, $prefix, $kind, random_base32);
    };
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal, $random:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new identifier that no other will equal.
            #[must_use]
            pub fn random() -> Self {
                Self([$prefix, "-", &$random()].concat())
            }

            /// The identifier as it is written everywhere.
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

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let valid = text
                    .strip_prefix(concat!($prefix, "-"))
                    .is_some_and(|random| {
                        random.len() == RANDOM_CHARS
                            && random.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
                    });
                if valid {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId { kind: $kind, prefix: $prefix })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id!(/// One set of gateways that share a store and a CA.
    InstallationId, "inst", "an installation id");
id!(/// One gateway process's identity within an installation.
    GatewayId, "gw", "a gateway id");
id!(/// A life of the store: a restored copy draws a new one.
    StoreIncarnation, "inc", "a store incarnation");
id!(/// A person who signs in.
    UserId, "usr", "a user id");
id!(/// A group of users.
    OrganizationId, "org", "an organization id");
id!(/// What a user owns: a volume and everything on it.
    WorkspaceId, "ws", "a workspace id");
id!(/// A workspace's volume as the gateway knows it.
    VolumeId, "vol", "a volume id");
id!(/// One VM that has, or had, a workspace's volume.
    InstanceId, "ins", "an instance id");
id!(/// One tmux session and its record. It is also the session's name in tmux.
    SessionId, "ses", "a session id");
id!(/// One terminal connection to a session: single use, minted by the agent.
    AttachmentId, "att", "an attachment id");
id!(/// A loopback port of a box, published through the gateway.
    PreviewId, "pre", "a preview id");
id!(/// One start of an agent as a source of events.
    StreamId, "str", "an event stream id");
id!(/// One request, from the browser to the box.
    RequestId, "req", "a request id", drawn_ahead);
id!(/// A link by which somebody may watch a session for a while.
    ShareId, "shr", "a share id");
id!(/// A link by which whoever has it may see a preview for a while.
    PreviewLinkId, "lnk", "a preview link id");
id!(/// What lets a program act for a user.
    TokenId, "tok", "a token id");
id!(/// A browser in which a user is signed in.
    DeviceId, "dev", "a device id");
id!(/// What lets somebody make an account.
    InviteId, "inv", "an invite id");
id!(/// A user's passkey.
    PasskeyId, "pky", "a passkey id");
id!(/// Something that a user should know.
    NotificationId, "ntf", "a notification id");
id!(/// A way by which notifications reach a user outside of the console.
    ChannelId, "chn", "a channel id");
id!(/// One message to one channel.
    DeliveryId, "dlv", "a delivery id");
id!(/// One browser tab or program that attaches to terminals.
    ClientId, "cli", "a client id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_id_parses_back() {
        let id = SessionId::random();
        assert_eq!(id.as_str().parse::<SessionId>().unwrap(), id);
        assert_ne!(id, SessionId::random());
    }

    #[test]
    fn what_is_drawn_ahead_is_given_out_once() {
        let drawn: std::collections::BTreeSet<_> = (0..10 * AT_ONCE).map(|_| RequestId::random()).collect();
        assert_eq!(drawn.len(), 10 * AT_ONCE);
        assert!(drawn.iter().all(|id| id.as_str().parse::<RequestId>().as_ref() == Ok(id)));
    }

    #[test]
    fn what_could_be_an_option_a_path_or_another_kind_is_refused() {
        let long = format!("ses-{}", "a".repeat(300));
        let other = WorkspaceId::random().to_string();
        for text in ["", "-v", "--help", "a;b", "ses-%0a", "ses-", "ses-../../etc", &long, &other] {
            assert!(text.parse::<SessionId>().is_err(), "{text:?} was taken for a session id");
        }
        assert!(serde_json::from_str::<SessionId>("\"agent1\"").is_err());
    }
}
