//! To a browser: RFC 8030, with the words encrypted for it alone.

use data_encoding::BASE64URL_NOPAD;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder};
use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use super::SendError;
use super::encrypt::{MAX_PLAIN, encrypt};
use super::vapid::Vapid;
use crate::notifications::plan::{TAG_ALL, What};
use crate::notifications::words::Words;
use crate::store::{Taken, now_ms};

/// How long a push service keeps a message for a browser that is not there, seconds.
const TTL_SECS: u32 = 24 * 3600;

/// The same for what is of no use later.
const SHORT_TTL_SECS: u32 = 3600;

pub(super) fn request(
    client: &Client,
    vapid: &Vapid,
    endpoint: &Url,
    (p256dh, auth): (&str, &str),
    taken: &Taken,
    words: &Words,
) -> Result<RequestBuilder, SendError> {
    let message = json!({
        "what": taken.what.as_str(),
        "tag": taken.tag,
        "replaces_all": taken.tag == TAG_ALL,
        "title": words.title,
        "body": words.body,
        "path": words.path,
        "actions": words.actions,
        "notification": words.notification,
        "urgent": taken.urgent,
        "receipt": taken.receipt,
    });
    let mut plain = message.to_string().into_bytes();
    if plain.len() > MAX_PLAIN {
        // Names and words are bounded, so that only a user's own long names lead here.
        let mut short = message;
        short["body"] = json!("");
        short["actions"] = json!([]);
        plain = short.to_string().into_bytes();
    }
    let body = encrypt(&plain, p256dh, auth).map_err(|_| SendError::BadKeys)?;
    let (urgency, ttl) = match taken.what {
        What::Show if taken.urgent => ("high", TTL_SECS),
        What::Show => ("normal", TTL_SECS),
        What::Test => ("high", SHORT_TTL_SECS),
        What::Withdraw => ("low", SHORT_TTL_SECS),
    };
    Ok(client
        .post(endpoint.clone())
        .header(AUTHORIZATION, vapid.authorization(endpoint, now_ms())?)
        .header(CONTENT_ENCODING, "aes128gcm")
        .header(CONTENT_TYPE, "application/octet-stream")
        .header("ttl", ttl)
        .header("urgency", urgency)
        // A browser that was away gets the newest of a tag alone.
        .header("topic", topic(&taken.tag))
        .body(body))
}

/// At most 32 characters, of base64url's.
fn topic(tag: &str) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(tag.as_bytes())[..24])
}
