//! To any program: JSON, signed so that it can tell who sent it and when.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder};
use ring::hmac;
use serde_json::{Value, json};
use url::Url;

use crate::notifications::plan::What;
use crate::notifications::words::words;
use crate::store::{About, Taken, now_ms};

/// The delivery's id, the same at each attempt: by it a receiver knows what it had before.
const HEADER_DELIVERY: &str = "berth-delivery";

/// Seconds since 1970, which are signed too.
const HEADER_TIMESTAMP: &str = "berth-timestamp";

/// `v1=` and HMAC-SHA256 of `<timestamp>.<body>` in hexadecimal.
const HEADER_SIGNATURE: &str = "berth-signature";

pub(super) fn request(
    client: &Client,
    url: &Url,
    secret: &str,
    origin: &str,
    taken: &Taken,
) -> RequestBuilder {
    let body = body(origin, taken).to_string();
    let timestamp = now_ms() / 1_000;
    client
        .post(url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header(HEADER_DELIVERY, taken.id.as_str())
        .header(HEADER_TIMESTAMP, timestamp)
        .header(HEADER_SIGNATURE, signature(secret, timestamp, &body))
        .body(body)
}

fn signature(secret: &str, timestamp: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
    format!("v1={}", data_encoding::HEXLOWER.encode(tag.as_ref()))
}

fn body(origin: &str, taken: &Taken) -> Value {
    let words = words(taken, taken.includes_text);
    let about = taken.about.iter().filter(|about| !about.over);
    json!({
        "version": 1,
        "type": if taken.what == What::Test { "test" } else { "notification" },
        "delivery": taken.id,
        "title": words.title,
        "body": words.body,
        "url": format!("{origin}{}", words.path),
        "urgent": taken.urgent,
        "notifications": about.map(|about| one(about, taken.includes_text)).collect::<Vec<_>>(),
    })
}

fn one(about: &About, with_text: bool) -> Value {
    let mut one = json!({
        "id": about.id,
        "session": about.session,
        "session_name": about.session_name,
        "workspace_name": about.workspace_name,
        "reason": about.reason,
        "severity": about.severity,
        "created_at_ms": about.created_at_ms,
    });
    if with_text {
        one["text"] = json!(about.text);
    }
    one
}
