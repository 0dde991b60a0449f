//! `box-agent tap`: what tmux pipes a pane's output into. A process of the terminals' user for each pane.
//!
//! ```text
//!   tmux ── pipe ──▶ reads at once ──▶ ring, bounded ──▶ listener (bells, messages, screen) ── reports ──▶ agent
//! ```
//!
//! Reading waits for nothing: tmux would keep what is not read. Nothing of what is read goes to a disk. When the
//! agent is away, the tap goes on and tells the newest when it is back.

pub mod grid;
pub mod listener;
pub mod pace;
pub mod report;
pub mod ring;

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::listener::Listener;
use self::pace::Pace;
use self::report::{Report, Size};
use self::ring::Ring;
use crate::control::{Answer, Request};

/// The size until the agent has told the pane's.
const FIRST_SIZE: Size = Size { columns: 80, lines: 24 };

/// What one read takes.
const READ_BYTES: usize = 64 * 1024;

/// Pause after some output, in which more may come: a program that writes without end would wake the listener for each of its
/// pieces, which costs more than to read them.
const GATHER: Duration = Duration::from_millis(2);

/// How long nothing may happen before the agent's words are looked for.
const PATIENCE_MS: u64 = 500;

/// Pauses between attempts to reach the agent.
const RETRY_MS: (u64, u64) = (100, 2000);

/// Bytes of reports that may wait for the agent; with more, the next report waits and grows, itself bounded.
const MAX_WAITING: usize = 256 * 1024;

/// Bytes of one of the agent's lines.
const MAX_HEARD: usize = 4096;

/// Reads a pane's output to its end.
pub fn run(socket: &Path, pane: u32, input: impl Read + Send + 'static) {
    let ring = Arc::new(Ring::default());
    let reader = ring.clone();
    std::thread::spawn(move || read_all(input, &reader));
    let (begun, mut bytes) = (Instant::now(), Vec::with_capacity(READ_BYTES));
    let now = || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut listener = Listener::new(FIRST_SIZE.columns.into(), FIRST_SIZE.lines.into());
    let (mut pace, mut agent) = (Pace::default(), Agent::new(socket, pane));
    loop {
        let due = pace.due(listener.pending()).map_or(PATIENCE_MS, |due| due.saturating_sub(now()));
        // Without anybody to tell it to, what is due stays due.
        let due = if agent.takes_more() { due } else { due.max(RETRY_MS.0) };
        let taken = ring.take(&mut bytes, Duration::from_millis(due.min(PATIENCE_MS)));
        if taken.skipped > 0 {
            listener.skip(taken.skipped);
        }
        if !bytes.is_empty() {
            listener.hear(&bytes, now());
            pace.heard(now());
        }
        match agent.tend(now()) {
            Tended::Same => {}
            Tended::New => pace.begin_anew(),
            Tended::Size(size) => listener.resize(size.columns.into(), size.lines.into()),
            Tended::Unwanted => return,
        }
        if agent.takes_more()
            && let Some(report) = pace.report(&mut listener, now())
        {
            agent.tell(&report);
        }
        if taken.ended {
            // What was said last is worth a moment.
            agent.tell(&Report { ended: true, ..listener.take() });
            return;
        }
        if !bytes.is_empty() {
            std::thread::sleep(GATHER);
        }
    }
}

fn read_all(mut input: impl Read, ring: &Ring) {
    let mut bytes = vec![0; READ_BYTES];
    loop {
        match input.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => ring.put(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    ring.end();
}

/// What looking after the agent has brought.
enum Tended {
    Same,
    /// Somebody listens anew.
    New,
    Size(Size),
    /// The agent does not want this tap.
    Unwanted,
}

/// The way to the agent, which may be away.
struct Agent<'a> {
    socket: &'a Path,
    hello: Vec<u8>,
    stream: Option<UnixStream>,
    waiting: Vec<u8>,
    heard: Vec<u8>,
    retry_at: u64,
    pause: u64,
}

impl<'a> Agent<'a> {
    fn new(socket: &'a Path, pane: u32) -> Self {
        let hello = line(&Request::Tap { pane });
        let (waiting, heard) = (Vec::new(), Vec::new());
        Self { socket, hello, stream: None, waiting, heard, retry_at: 0, pause: RETRY_MS.0 }
    }

    fn takes_more(&self) -> bool {
        self.stream.is_some() && self.waiting.len() < MAX_WAITING
    }

    /// Connects, writes what waits, and reads.
    fn tend(&mut self, now: u64) -> Tended {
        if self.stream.is_none() {
            if now < self.retry_at {
                return Tended::Same;
            }
            self.retry_at = now + self.pause;
            self.pause = (self.pause * 2).min(RETRY_MS.1);
            let Ok(stream) = self.connect() else { return Tended::Same };
            self.stream = Some(stream);
            self.waiting = self.hello.clone();
            self.heard.clear();
            self.flush();
            return Tended::New;
        }
        self.flush();
        match self.listen() {
            Some(Answer::Tap(size)) => {
                self.pause = RETRY_MS.0;
                Tended::Size(size)
            }
            Some(_) => Tended::Unwanted,
            None => Tended::Same,
        }
    }

    fn connect(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(self.socket)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }

    fn tell(&mut self, report: &Report) {
        if !report.is_empty() && self.stream.is_some() {
            self.waiting.extend(line(report));
            self.flush();
        }
    }

    fn flush(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        while !self.waiting.is_empty() {
            match stream.write(&self.waiting) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.stream = None,
            }
        }
    }

    fn listen(&mut self) -> Option<Answer> {
        let mut bytes = [0; 512];
        while !self.heard.contains(&b'\n') {
            match self.stream.as_mut()?.read(&mut bytes) {
                Ok(0) => self.stream = None,
                Ok(count) => self.heard.extend(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.stream = None,
            }
            if self.heard.len() > MAX_HEARD {
                self.stream = None;
            }
        }
        let end = self.heard.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.heard.drain(..=end).collect();
        // What a newer agent says beside sizes is not for this tap.
        serde_json::from_slice(&line).ok()
    }
}

fn line(what: &impl serde::Serialize) -> Vec<u8> {
    // Plain data: it always serialises.
    let mut line = serde_json::to_vec(what).unwrap_or_default();
    line.push(b'\n');
    line
}
