//! What holds for any message of a box and any enrolment token: asked by the property tests and by the fuzz targets
//! (`gateway/fuzz`).

use berth_protocol::enroll::{EnrollRequest, EnrollmentToken};
use berth_protocol::link::{FromAgent, FromGateway};
use berth_protocol::renew::RenewRequest;

/// What is understood is understood again, after it was written anew. (Not as the same: the last digit of a long
/// fraction may be another.)
///
/// # Panics
/// When a rule is broken.
pub fn message(bytes: &[u8]) {
    if let Ok(message) = serde_json::from_slice::<FromAgent>(bytes) {
        let again = serde_json::to_vec(&message).expect("a message is written");
        assert!(serde_json::from_slice::<FromAgent>(&again).is_ok(), "it is not read again: {message:?}");
    }
    if let Ok(message) = serde_json::from_slice::<FromGateway>(bytes) {
        let again = serde_json::to_vec(&message).expect("a message is written");
        assert!(serde_json::from_slice::<FromGateway>(&again).is_ok(), "it is not read again: {message:?}");
    }
    let _ = serde_json::from_slice::<EnrollRequest>(bytes);
    let _ = serde_json::from_slice::<RenewRequest>(bytes);
    if let Some(token) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<EnrollmentToken>().ok())
    {
        assert_eq!(token.encode().parse::<EnrollmentToken>().expect("a token is read"), token);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Messages as they are.
    const SOUND: [&str; 5] = [
        include_str!("../../protocol/data/v1/from_agent.json"),
        include_str!("../../protocol/data/v1/from_agent_attention.json"),
        include_str!("../../protocol/data/v1/from_agent_trust.json"),
        include_str!("../../protocol/data/v1/from_gateway.json"),
        include_str!("../../protocol/data/v1/from_gateway_trust.json"),
    ];

    proptest! {
        #[test]
        fn a_message_that_was_changed_is_read_soundly_or_not_at_all(
            which in 0..SOUND.len(),
            changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..6),
        ) {
            let list: Vec<serde_json::Value> = serde_json::from_str(SOUND[which]).unwrap();
            for value in list {
                let mut bytes = serde_json::to_vec(&value).unwrap();
                for (at, byte) in &changes {
                    let at = at % bytes.len();
                    bytes[at] = *byte;
                }
                message(&bytes);
            }
        }
    }
}
