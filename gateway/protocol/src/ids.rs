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
    let mut text = vec![0; RANDOM_CHARS];
    write_base32(&drawn(), &mut text);
    String::from_utf8(text).expect("base32 is ASCII")
}

fn drawn() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}

/// The same, but drawn from the system several at a time, for what each request has. A machine that is copied as it runs
/// may draw some again.
fn drawn_ahead() -> [u8; 16] {
    thread_local! {
        static AHEAD: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
    }
    AHEAD.with_borrow_mut(|ahead| {
        ahead.pop().unwrap_or_else(|| {
            let mut drawn = [[0; 16]; AT_ONCE];
            getrandom::fill(drawn.as_flattened_mut()).expect("the operating system provides randomness");
            ahead.extend_from_slice(&drawn[1..]);
            drawn[0]
        })
    })
}

fn write_base32(bytes: &[u8; 16], text: &mut [u8]) {
    data_encoding::BASE32_NOPAD.encode_mut(bytes, text);
    text.make_ascii_lowercase();
}

// Its characters lie in the identifier itself: one is copied several times for each request and message, and a copy on
// the heap would cost more than all else that is done with it.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        id!($(#[$doc])* $name, $prefix, $kind, drawn);
    };
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal, $drawn:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $prefix.len() + 1 + RANDOM_CHARS]);

        impl $name {
            /// A new identifier that no other will equal.
            #[must_use]
            pub fn random() -> Self {
                let mut text = [0; $prefix.len() + 1 + RANDOM_CHARS];
                let (prefix, random) = text.split_at_mut($prefix.len() + 1);
                prefix.copy_from_slice(concat!($prefix, "-").as_bytes());
                write_base32(&$drawn(), random);
                Self(text)
            }

            /// The identifier as it is written everywhere.
            ///
            /// # Panics
            /// Never: it is ASCII.
            #[must_use]
            pub fn as_str(&self) -> &str {
                str::from_utf8(&self.0).expect("an identifier is ASCII")
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.as_str()).finish()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let valid = text
                    .strip_prefix(concat!($prefix, "-"))
                    .is_some_and(|random| random.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')));
                // Of any other length it is no identifier either.
                let bytes = text.as_bytes().try_into().ok().filter(|_| valid);
                bytes.map(Self).ok_or(InvalidId { kind: $kind, prefix: $prefix })
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
                id.as_str().to_owned()
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
        let (short, longer) = (format!("ses-{}", "a".repeat(25)), format!("ses-{}", "a".repeat(27)));
        let foreign = format!("ses-{}é", "a".repeat(24));
        let lengths = [&long, &short, &longer, &foreign, &other].map(String::as_str);
        for text in ["", "-v", "--help", "a;b", "ses-%0a", "ses-", "ses-../../etc"].into_iter().chain(lengths)
        {
            assert!(text.parse::<SessionId>().is_err(), "{text:?} was taken for a session id");
        }
        assert!(serde_json::from_str::<SessionId>("\"agent1\"").is_err());
    }
}
