//! Server-sent events, as a page reads them.

use serde_json::Value;

use crate::wait;

/// A stream of events.
pub struct EventStream {
    response: reqwest::Response,
    unread: Vec<u8>,
}

/// One event.
#[derive(Debug, Clone, Default)]
pub struct Event {
    /// Its kind.
    pub name: String,
    /// Its id, empty when it has none.
    pub id: String,
    /// What it says.
    pub data: Value,
}

impl EventStream {
    /// The events of an answer.
    ///
    /// # Panics
    /// When it is no stream of events.
    #[must_use]
    pub fn of(response: reqwest::Response) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, unread: Vec::new() }
    }

    /// The next event; nothing when the stream has ended.
    ///
    /// # Panics
    /// When neither comes.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.unread.drain(..end + 2).collect();
                let event = parse(std::str::from_utf8(&event).expect("events are UTF-8"));
                // A comment keeps the stream alive and says nothing.
                if event.is_some() {
                    return event;
                }
            }
            let chunk = tokio::time::timeout(wait::PATIENCE, self.response.chunk()).await;
            // A connection that broke ends a stream as one that was closed does.
            let chunk = chunk.expect("the stream speaks or ends").ok()??;
            self.unread.extend_from_slice(&chunk);
        }
    }
}

fn parse(event: &str) -> Option<Event> {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let data = serde_json::from_str(field("data: ")).ok()?;
    Some(Event { name: field("event: ").to_owned(), id: field("id: ").to_owned(), data })
}
