//! Browser → box: every message is taken apart, checked, and handed on as an [`Event`].
//!
//! Input is small and hostile. Nothing of it reaches ttyd as it came: frames are unmasked, fragments put
//! together within a bound, messages parsed, and what is sound is written anew by `to_ttyd`. The machine is
//! pure; how the bytes were cut into chunks never changes the events.
//!
//! ```text
//!  chunk ─▶ header ─▶ unmask ─▶ control frame ──────────────────▶ Ping, Close
//!                        └────▶ fragments ─▶ message ─▶ binary ─▶ Start, Input, Resize
//!                                                    └▶ text ───▶ PagePing, Ack, Hidden, Lead     (berth.v1 only)
//! ```

use std::mem;

use berth_protocol::door::Role;
use berth_protocol::terminal::{CLOSE_POLICY, FromBrowser};

use super::frame::{self, CLOSE_PROTOCOL, CLOSE_TOO_BIG, FrameError, Header, Opcode, Sender};
use super::handshake::{Mode, Ticket};
use super::size::Size;

/// The most bytes of input in one message, without its type byte.
pub const MAX_INPUT: usize = 64 * 1024;

/// The longest message of any other kind.
pub const MAX_JSON: usize = 4 * 1024;

/// What the browser said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// ttyd's first message: the size to begin with, and the token of a `tty` client.
    Start(Size, &'a Ticket),
    /// Bytes to type, behind ttyd's type byte.
    Input(&'a [u8]),
    /// A new size.
    Resize(Size),
    /// The page asks for a pong with this number.
    PagePing(u64),
    /// The page has drawn so many bytes.
    Ack(u64),
    /// The page is hidden, or is not.
    Hidden(bool),
    /// The page wants to decide the session's size, or gives that back.
    Lead(bool),
    /// The browser asks for a pong with this payload.
    Ping(&'a [u8]),
    /// The browser closes, with this code; nothing comes after it.
    Close(Option<u16>),
}

/// What a browser may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Its bytes are not WebSocket.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message is longer than its kind may be.
    #[error("a message is too long")]
    TooLong,
    /// The first message is not ttyd's JSON.
    #[error("the first message does not begin the terminal")]
    NotStarted,
    /// ttyd's JSON came again.
    #[error("the terminal was begun twice")]
    StartedTwice,
    /// A message of no known type.
    #[error("a message has an unknown type")]
    UnknownType,
    /// JSON that does not parse.
    #[error("a message's JSON is not what its type requires")]
    Json,
}

impl Violation {
    /// A stable word for it, by which refusals are counted.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Frame(_) => "frame",
            Self::TooLong => "too_long",
            Self::NotStarted => "not_started",
            Self::StartedTwice => "started_twice",
            Self::UnknownType => "unknown_type",
            Self::Json => "json",
        }
    }

    /// The code to close with.
    #[must_use]
    pub fn close_code(self) -> u16 {
        match self {
            Self::Frame(_) => CLOSE_PROTOCOL,
            Self::TooLong => CLOSE_TOO_BIG,
            Self::NotStarted | Self::StartedTwice | Self::UnknownType | Self::Json => CLOSE_POLICY,
        }
    }
}

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// ttyd's.
    Ttyd,
    /// Our JSON.
    Text,
}

impl Kind {
    fn limit(self) -> usize {
        match self {
            Self::Ttyd => 1 + MAX_INPUT,
            Self::Text => MAX_JSON,
        }
    }
}

/// The bytes of a header that came so far.
#[derive(Debug, Default)]
struct PartialHeader {
    bytes: [u8; frame::MAX_HEADER],
    size: usize,
}

/// The state of one browser's input.
#[derive(Debug)]
pub struct Input {
    mode: Mode,
    role: Role,
    started: bool,
    /// After a close frame or a violation nothing is looked at any more.
    ended: bool,
    header: PartialHeader,
    /// The frame whose payload is under way; its length and mask are those of what is still to come.
    frame: Option<Header>,
    /// The message under way, and what of it came in earlier chunks or fragments.
    message: Option<Kind>,
    fragments: Vec<u8>,
    /// What came in earlier chunks of a control frame, which may stand between fragments.
    control: Vec<u8>,
}

impl Input {
    /// The machine for a client that has sent nothing yet, or, if `started`, its first message alone.
    pub fn new(mode: Mode, role: Role, started: bool) -> Self {
        Self {
            mode,
            role,
            started,
            ended: false,
            header: PartialHeader::default(),
            frame: None,
            message: None,
            fragments: Vec::new(),
            control: Vec::new(),
        }
    }

    /// Takes the next bytes, which it may overwrite, and tells what they complete.
    ///
    /// # Errors
    /// At the first byte that a browser may not send; what came before it has been told. What comes later is
    /// ignored.
    pub fn push(&mut self, chunk: &mut [u8], mut tell: impl FnMut(Event<'_>)) -> Result<(), Violation> {
        self.scan(chunk, &mut tell).inspect_err(|_| self.ended = true)
    }

    fn scan(&mut self, mut chunk: &mut [u8], tell: &mut impl FnMut(Event<'_>)) -> Result<(), Violation> {
        while !self.ended {
            let Some(mut frame) = self.frame.take() else {
                match self.parse_header(&mut chunk)? {
                    Some(frame) => self.frame = Some(frame),
                    None => break,
                }
                continue;
            };
            // Both casts are exact: `begin` bounded the length.
            let size = chunk.len().min(frame.length as usize);
            let (payload, rest) = mem::take(&mut chunk).split_at_mut(size);
            chunk = rest;
            frame::apply_mask(payload, frame.mask);
            frame.mask.rotate_left(size % 4);
            frame.length -= size as u64;
            if frame.length > 0 {
                let parts = if frame.opcode.is_control() { &mut self.control } else { &mut self.fragments };
                parts.extend_from_slice(payload);
                self.frame = Some(frame);
                break;
            }
            if frame.opcode.is_control() {
                self.complete_control(frame.opcode, payload, tell)?;
            } else {
                self.complete_data(frame.fin, payload, tell)?;
            }
        }
        Ok(())
    }

    /// Takes a header off the chunk's front; `None` when the chunk ends first.
    fn parse_header(&mut self, chunk: &mut &mut [u8]) -> Result<Option<Header>, Violation> {
        let PartialHeader { bytes, size: had } = &mut self.header;
        let copied = chunk.len().min(frame::MAX_HEADER - *had);
        bytes[*had..*had + copied].copy_from_slice(&chunk[..copied]);
        let Some(header) = frame::parse(&bytes[..*had + copied], Sender::Client)? else {
            // An incomplete header is shorter than the array, so the chunk was copied whole.
            *had += copied;
            return Ok(None);
        };
        let taken = header.size - *had;
        *had = 0;
        *chunk = &mut mem::take(chunk)[taken..];
        self.begin(&header)?;
        Ok(Some(header))
    }

    /// Checks a frame's place and length before any of its payload is kept.
    fn begin(&mut self, header: &Header) -> Result<(), Violation> {
        let kind = match (header.opcode, self.message) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
            (Opcode::Continuation, Some(kind)) => kind,
            (Opcode::Binary, None) => Kind::Ttyd,
            (Opcode::Text, None) if self.mode == Mode::Tty => Kind::Ttyd,
            (Opcode::Text, None) => Kind::Text,
            (Opcode::Continuation, None) | (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(FrameError::Fragments.into());
            }
        };
        self.message = Some(kind);
        let room = kind.limit() - self.fragments.len();
        if header.length > room as u64 { Err(Violation::TooLong) } else { Ok(()) }
    }

    fn complete_control(
        &mut self,
        opcode: Opcode,
        last: &[u8],
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Violation> {
        let mut parts = mem::take(&mut self.control);
        let payload = joined(&mut parts, last);
        match opcode {
            Opcode::Ping => tell(Event::Ping(payload)),
            Opcode::Close => {
                let code = frame::close_code(payload)?;
                self.ended = true;
                tell(Event::Close(code));
            }
            // A pong answers nothing that we asked.
            _ => {}
        }
        Ok(())
    }

    fn complete_data(
        &mut self,
        fin: bool,
        last: &[u8],
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Violation> {
        if !fin {
            self.fragments.extend_from_slice(last);
            return Ok(());
        }
        let mut parts = mem::take(&mut self.fragments);
        let message = joined(&mut parts, last);
        match self.message.take() {
            Some(Kind::Text) => on_text(message, tell),
            _ => self.on_ttyd(message, tell),
        }
    }

    fn on_ttyd(&mut self, message: &[u8], tell: &mut impl FnMut(Event<'_>)) -> Result<(), Violation> {
        // An empty message would crash ttyd; it says nothing, so nothing is lost.
        let [kind, rest @ ..] = message else { return Ok(()) };
        if *kind != b'0' && message.len() > MAX_JSON {
            return Err(Violation::TooLong);
        }
        match kind {
            b'{' if self.started => return Err(Violation::StartedTwice),
            b'{' => {
                let (size, ticket) = Size::parse_start(message).ok_or(Violation::Json)?;
                self.started = true;
                tell(Event::Start(size, &ticket));
            }
            _ if !self.started => return Err(Violation::NotStarted),
            b'0' if self.role == Role::Viewer || rest.is_empty() => {}
            b'0' => tell(Event::Input(message)),
            b'1' => tell(Event::Resize(Size::parse(rest).ok_or(Violation::Json)?)),
            // PAUSE and RESUME do nothing in ttyd; back-pressure is TCP's and the window's.
            b'2' | b'3' => {}
            _ => return Err(Violation::UnknownType),
        }
        Ok(())
    }
}

fn on_text(message: &[u8], tell: &mut impl FnMut(Event<'_>)) -> Result<(), Violation> {
    match serde_json::from_slice(message).map_err(|_| Violation::Json)? {
        FromBrowser::Ping { n } => tell(Event::PagePing(n)),
        FromBrowser::Ack { out } => tell(Event::Ack(out)),
        FromBrowser::Presence { hidden } => tell(Event::Hidden(hidden)),
        FromBrowser::Lease { take } => tell(Event::Lead(take)),
        FromBrowser::Unknown => {}
    }
    Ok(())
}

/// The earlier parts with the last one; the last one itself, uncopied, in the usual case that it is all.
fn joined<'a>(parts: &'a mut Vec<u8>, last: &'a [u8]) -> &'a [u8] {
    if parts.is_empty() {
        return last;
    }
    parts.extend_from_slice(last);
    parts
}

#[cfg(test)]
mod tests;
