//! Box → browser: frame headers are read, bytes are moved.
//!
//! ttyd's frames to us and ours to the browser are both unmasked, so a frame of OUTPUT is forwarded as it is,
//! fragments included. Only what the page must not see is cut out: titles (they hold ttyd's command line),
//! preferences, and ttyd's control frames. The machine is pure and owns no payload: the driver reads into a
//! buffer behind [`Output::carry`], and [`Output::process`] moves what is to be forwarded to its front.
//!
//! Our own messages may be inserted only where no message of ttyd's is under way ([`Chunk::boundary`],
//! [`Output::at_boundary`]).

use super::frame::{self, FrameError, Header, Opcode, Sender};
use super::terminal::Reason;

/// The longest message taken from a box. ttyd sends what one read of a pty gives, at most 64 KiB; a browser
/// shows nothing of a message before its end, so an endless one would only fill its memory.
pub const MAX_MESSAGE: u64 = 256 * 1024;

/// Where the output stands between the frames of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Message {
    /// Between messages.
    #[default]
    None,
    /// Within a message that the browser gets.
    Forwarded,
    /// Within a message that it does not get.
    Swallowed,
}

/// What the box may not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BoxViolation {
    /// Its bytes are not WebSocket.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A text message; to the page it would look like one of the gateway's.
    #[error("the box sent a text message")]
    Text,
    /// A message whose first frame holds no type byte.
    #[error("the box sent an empty message or first fragment")]
    Empty,
    /// A message beyond what ttyd ever sends.
    #[error("the box sent a message of more than {MAX_MESSAGE} bytes")]
    TooLong,
}

/// What became of a buffer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// So many bytes at the buffer's front are to be forwarded.
    pub kept: usize,
    /// The last place within them, in bytes from the front, where a message of ours may be inserted.
    pub boundary: Option<usize>,
    /// The payload of ttyd's last ping. An answer to the last one answers all.
    pub ping: Option<Vec<u8>>,
    /// The payload of ttyd's last pong.
    pub pong: Option<Vec<u8>>,
    /// Why nothing follows any more: ttyd has closed, or broken the rules. What is kept came before.
    pub end: Option<Result<(), BoxViolation>>,
}

/// Why a terminal ends whose [`Chunk::end`] this is, if it does.
pub fn go_on(end: Option<Result<(), BoxViolation>>) -> Result<(), Reason> {
    match end {
        None => Ok(()),
        Some(Ok(())) => Err(Reason::BoxClosed),
        Some(Err(violation)) => Err(Reason::BoxViolation(violation)),
    }
}

/// The state of one box's output.
#[derive(Debug, Default)]
pub struct Output {
    message: Message,
    /// Bytes of the message that its frames have announced so far.
    announced: u64,
    /// Whether the frame under way is the message's last.
    fin: bool,
    /// Payload of the frame under way that is still to come.
    remaining: u64,
    /// The beginning of a header or control frame that the last buffer cut; at most 126 bytes.
    carry: Vec<u8>,
    forwarded: u64,
}

impl Output {
    /// Bytes that the next buffer has to begin with.
    pub fn carry(&self) -> &[u8] {
        &self.carry
    }

    /// Bytes of OUTPUT, without their type bytes, that were forwarded since the beginning.
    pub fn forwarded(&self) -> u64 {
        self.forwarded
    }

    /// Whether a message of ours may follow what was forwarded last.
    pub fn at_boundary(&self) -> bool {
        self.message != Message::Forwarded
    }

    /// At most so many bytes may be read to stop at the end of the frame under way and not beyond.
    pub fn to_frame_end(&self) -> usize {
        // Between frames: a byte at a time, until a header is whole.
        usize::try_from(self.remaining.max(1)).unwrap_or(usize::MAX)
    }

    /// Takes a buffer that begins with [`Self::carry`], and moves what is to be forwarded to its front.
    ///
    /// Nothing may be given to it after a [`Chunk::end`].
    pub fn process(&mut self, buffer: &mut [u8]) -> Chunk {
        let mut chunk = Chunk { boundary: self.at_boundary().then_some(0), ..Chunk::default() };
        self.carry.clear();
        if let Err(violation) = self.scan(buffer, &mut chunk) {
            chunk.end = Some(Err(violation));
        }
        chunk
    }

    fn scan(&mut self, buffer: &mut [u8], chunk: &mut Chunk) -> Result<(), BoxViolation> {
        let mut at = 0;
        while at < buffer.len() && chunk.end.is_none() {
            if self.remaining > 0 {
                at += self.payload(buffer, at, chunk);
                continue;
            }
            let rest = &buffer[at..];
            let taken = match frame::parse(rest, Sender::Server)? {
                Some(header) if header.opcode.is_control() => control(&header, rest, chunk)?,
                Some(header) => self.begin_frame(&header, buffer, at, chunk)?,
                None => None,
            };
            let Some(taken) = taken else {
                // What is cut is given again with the next buffer: headers are always seen whole.
                self.carry.extend_from_slice(&buffer[at..]);
                break;
            };
            at += taken;
        }
        Ok(())
    }

    /// Takes what the buffer holds of the payload under way; its size.
    fn payload(&mut self, buffer: &mut [u8], at: usize, chunk: &mut Chunk) -> usize {
        let size = (buffer.len() - at).min(self.to_frame_end());
        if self.message == Message::Forwarded {
            keep(buffer, at, size, chunk);
            self.forwarded += size as u64;
        }
        self.remaining -= size as u64;
        self.end_frame(chunk);
        size
    }

    /// Takes the header of a data frame, together with the type byte if the frame is a message's first; their
    /// size, or `None` while the type byte is missing.
    fn begin_frame(
        &mut self,
        header: &Header,
        buffer: &mut [u8],
        at: usize,
        chunk: &mut Chunk,
    ) -> Result<Option<usize>, BoxViolation> {
        let (message, announced, typed) = match (header.opcode, self.message) {
            (Opcode::Text, _) => return Err(BoxViolation::Text),
            (Opcode::Binary, Message::None) if header.length == 0 => return Err(BoxViolation::Empty),
            (Opcode::Binary, Message::None) => match buffer.get(at + header.size) {
                Some(b'0') => (Message::Forwarded, header.length, 1),
                Some(_) => (Message::Swallowed, header.length, 1),
                None => return Ok(None),
            },
            (Opcode::Continuation, message @ (Message::Forwarded | Message::Swallowed)) => {
                (message, self.announced.saturating_add(header.length), 0)
            }
            _ => return Err(FrameError::Fragments.into()),
        };
        if announced > MAX_MESSAGE {
            return Err(BoxViolation::TooLong);
        }
        (self.message, self.announced, self.fin) = (message, announced, header.fin);
        self.remaining = header.length - typed as u64;
        let size = header.size + typed;
        if message == Message::Forwarded {
            keep(buffer, at, size, chunk);
        }
        self.end_frame(chunk);
        Ok(Some(size))
    }

    fn end_frame(&mut self, chunk: &mut Chunk) {
        if self.remaining > 0 || !self.fin {
            return;
        }
        if self.message == Message::Forwarded {
            chunk.boundary = Some(chunk.kept);
        }
        self.message = Message::None;
    }

    /// Counts bytes of OUTPUT that did not come from the box: a page acknowledges them, too.
    pub fn add(&mut self, size: usize) {
        self.forwarded += size as u64;
    }

    /// Leaves the stream, whose rest the browser is not to see: what goes on reading it, and bytes that complete the
    /// message under way. This one goes on counting, with the next stream from its beginning.
    pub fn leave(&mut self) -> (Self, Vec<u8>) {
        let rest = Self { carry: std::mem::take(&mut self.carry), ..*self };
        (rest, self.finish())
    }

    /// Bytes that complete the forwarded message under way, so that something else may follow it.
    ///
    /// The frame is filled with NULs, which a terminal ignores.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut tail = Vec::new();
        if self.message == Message::Forwarded {
            self.forwarded += self.remaining;
            tail.resize(usize::try_from(self.remaining).unwrap_or_default(), 0);
            if !self.fin {
                // An empty last fragment.
                tail.extend_from_slice(&[0x80, 0]);
            }
        }
        *self = Self { forwarded: self.forwarded, ..Self::default() };
        tail
    }
}

/// Takes a control frame at the front of `rest`: its size, or `None` while it is incomplete.
fn control(header: &Header, rest: &[u8], chunk: &mut Chunk) -> Result<Option<usize>, BoxViolation> {
    // Exact: the parser bounds a control frame's length.
    let size = header.size + header.length as usize;
    let Some(payload) = rest.get(header.size..size) else { return Ok(None) };
    match header.opcode {
        Opcode::Ping => chunk.ping = Some(payload.to_vec()),
        Opcode::Pong => chunk.pong = Some(payload.to_vec()),
        Opcode::Close => chunk.end = Some(Ok(())),
        _ => {}
    }
    Ok(Some(size))
}

/// Moves bytes of the buffer behind those that are kept already.
fn keep(buffer: &mut [u8], at: usize, size: usize, chunk: &mut Chunk) {
    // Nothing has to move until something was cut out.
    if chunk.kept != at {
        buffer.copy_within(at..at + size, chunk.kept);
    }
    chunk.kept += size;
}

#[cfg(test)]
mod tests;
