//! To a topic of an ntfy server, in its JSON form: headers hold no other letters than ASCII's.

use reqwest::{Client, RequestBuilder};
use serde_json::json;
use url::Url;

use crate::notifications::words::Words;
use crate::store::Taken;

/// ntfy's priorities: 3 is the usual one, 4 a high one.
const USUAL: u8 = 3;
const HIGH: u8 = 4;

pub(super) fn request(
    client: &Client,
    url: &Url,
    token: Option<&str>,
    origin: &str,
    taken: &Taken,
    words: &Words,
) -> RequestBuilder {
    let (server, topic) = split(url);
    let message = if words.body.is_empty() { &words.title } else { &words.body };
    let body = json!({
        "topic": topic,
        "title": words.title,
        "message": message,
        "priority": if taken.urgent { HIGH } else { USUAL },
        "click": format!("{origin}{}", words.path),
    });
    let request = client.post(server).json(&body);
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

/// The server's root and the topic's name. A server may live below a path.
fn split(url: &Url) -> (Url, String) {
    let topic = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default().to_owned();
    let mut server = url.clone();
    if let Ok(mut parts) = server.path_segments_mut() {
        parts.pop();
    }
    (server, topic)
}
