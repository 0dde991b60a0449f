//! Messages of ours to the browser that wait for a place between two of ttyd's.
//!
//! Only the latest of each kind is kept: a browser that asks faster than it reads fills no queue.

use std::mem;

use berth_protocol::terminal::FromRelay;

use super::closing::append_text;
use super::echo::Echo;
use super::frame::{self, Opcode};
use super::greeting;
use super::handshake::Mode;
use super::room::News;

/// What waits.
#[derive(Debug)]
pub struct Answers {
    /// A ping of our own.
    pub asks: bool,
    /// The number of the page's last unanswered ping.
    pub page_ping: Option<u64>,
    /// The payload of the browser's last unanswered ping.
    pub ping: Option<Vec<u8>>,
    /// What a stock client is to show as its window's title.
    pub title: Option<String>,
    /// How input and output lie to each other.
    pub echo: Echo,
    /// Boxed: it is large, and mostly there is none.
    company: Option<Box<News>>,
    /// A stock client understands no text.
    silent: bool,
}

impl Answers {
    /// Nothing to say yet.
    pub fn new(mode: Mode) -> Self {
        let silent = mode == Mode::Tty;
        let echo = Echo::new(mode);
        Self { asks: false, page_ping: None, ping: None, title: None, company: None, echo, silent }
    }

    /// Who is at the session, and whose size it has; what it is called.
    pub fn company(&mut self, mut news: News) {
        if self.silent {
            self.title = news.title.take().or(self.title.take());
        } else {
            self.company = Some(Box::new(news));
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        let waits = self.asks || self.page_ping.is_some() || self.ping.is_some() || self.company.is_some();
        !waits && self.title.is_none() && !self.echo.is_waiting()
    }

    /// The frames of everything that waits.
    pub fn take_frames(&mut self) -> Vec<u8> {
        let mut frames = Vec::new();
        if mem::take(&mut self.asks) {
            frame::append(&mut frames, Opcode::Ping, b"", None);
        }
        if let Some(payload) = self.ping.take() {
            frame::append(&mut frames, Opcode::Pong, &payload, None);
        }
        if let Some(title) = self.title.take() {
            greeting::append_title(&mut frames, &title);
        }
        if let Some(n) = self.page_ping.take() {
            append_text(&mut frames, &FromRelay::Pong { n });
        }
        if let Some(news) = self.company.take() {
            news.lease.iter().for_each(|lease| append_text(&mut frames, lease));
            append_text(&mut frames, &news.presence);
        }
        if let Some(echo) = self.echo.take() {
            append_text(&mut frames, &echo);
        }
        frames
    }
}
