//! A terminal's page across the link. Its rules are those of `gateway/web/src/lib/terminal`: attach anew after
//! every end, from a blank screen; ping every 10 s, take no keys after 13 s of silence, give up after 25 s; back off
//! from half a second to ten; send nothing twice, and nothing late.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::Namespace;
use crate::raw::{BINARY, START, TEXT, frame};
use crate::{Client, Raw, Screen};

const PING_EVERY: Duration = Duration::from_secs(10);
const STALLED_AFTER: Duration = Duration::from_secs(13);
const DEAD_AFTER: Duration = Duration::from_secs(25);
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_LIMIT: Duration = Duration::from_secs(10);

/// How long one step of an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// A page that shows one session's terminal.
pub struct Page {
    far: Namespace,
    client: Client,
    session: String,
    raw: Option<Raw>,
    heard: Instant,
    pinged: Instant,
    retry_at: Instant,
    backoff: Duration,
    drawn: usize,
    /// What it shows.
    pub screen: Screen,
    /// How often it has attached.
    pub attached: usize,
}

impl Page {
    /// A page that has yet to connect.
    #[must_use]
    pub fn new(far: &Namespace, client: &Client, session: &str) -> Self {
        let now = Instant::now();
        Self {
            far: far.clone(),
            client: client.clone(),
            session: session.to_owned(),
            raw: None,
            heard: now,
            pinged: now,
            retry_at: now,
            backoff: BACKOFF_FIRST,
            drawn: 0,
            screen: Screen::new(100, 30),
            attached: 0,
        }
    }

    /// Types text if it may be expected to arrive; false means that it was dropped, and the user told so.
    pub async fn type_text(&mut self, text: &str) -> bool {
        let usable = self.drawn > 0 && self.heard.elapsed() < STALLED_AFTER;
        match &mut self.raw {
            Some(raw) if usable => raw.type_text(text).await,
            _ => false,
        }
    }

    /// Lives for a while: reads, draws, acknowledges, pings, gives up, comes again.
    pub async fn live(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if self.raw.is_none() {
                self.connect(until).await;
                continue;
            }
            self.listen().await;
        }
    }

    async fn listen(&mut self) {
        let Some(raw) = &mut self.raw else { return };
        let read = timeout(Duration::from_millis(20), raw.read()).await;
        let mut alive = !matches!(read, Ok(false));
        if let Ok(true) = read {
            self.heard = Instant::now();
            if raw.output.len() > self.drawn {
                if self.drawn == 0 {
                    (self.screen, self.attached) = (Screen::new(100, 30), self.attached + 1);
                }
                self.screen.draw(&raw.output[self.drawn..]);
                self.drawn = raw.output.len();
                alive &= raw.acknowledge().await;
            }
        }
        if alive && self.pinged.elapsed() >= PING_EVERY {
            self.pinged = Instant::now();
            alive &= raw.send(&frame(TEXT, br#"{"type":"ping","n":1}"#)).await;
        }
        if !alive || self.heard.elapsed() >= DEAD_AFTER {
            self.raw = None;
            self.retry_at = Instant::now() + self.backoff;
        }
    }

    async fn connect(&mut self, until: Instant) {
        sleep(self.retry_at.min(until).saturating_duration_since(Instant::now())).await;
        if Instant::now() < self.retry_at {
            return;
        }
        if let Ok(Some(raw)) = timeout(ATTEMPT, self.attach()).await {
            let now = Instant::now();
            (self.raw, self.drawn, self.heard, self.pinged) = (Some(raw), 0, now, now);
            self.backoff = BACKOFF_FIRST;
        } else {
            self.retry_at = Instant::now() + self.backoff;
            self.backoff = BACKOFF_LIMIT.min(self.backoff * 2);
        }
    }

    async fn attach(&self) -> Option<Raw> {
        let ticket = self.ticket().await?;
        let stream = self.far.connect(super::gateway_of(&self.client), ATTEMPT).await.ok()?;
        let protocols = format!("berth.v1, ticket.{ticket}");
        let mut raw = Raw::over(stream, &self.client, &self.session, &protocols).await?;
        raw.send(&frame(BINARY, START)).await.then_some(raw)
    }

    async fn ticket(&self) -> Option<String> {
        let mut stream = self.far.connect(super::gateway_of(&self.client), ATTEMPT).await.ok()?;
        let (origin, session) = (self.client.origin(), &self.session);
        let request = format!(
            "POST /api/v1/sessions/{session}/ticket HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nCookie: {}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n",
            origin.trim_start_matches("http://"),
            self.client.cookie()
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1)?).ok()?;
        Some(body["ticket"].as_str()?.to_owned())
    }
}
