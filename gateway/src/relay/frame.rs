//! Frames of RFC 6455: the header parser, the mask and the encoder that both directions share.
//!
//! The parser is told who the sender is, because that decides the mask: a client must mask, a server must
//! not. It is strict wherever leniency would let two parties see different frames in the same bytes (reserved
//! bits, lengths that are not minimal, fragmented control frames). It keeps no state: it is given what has
//! arrived from the first byte of a header on, and answers with the header or with "not yet".

/// The longest header: two bytes, a 64-bit length, a mask.
pub const MAX_HEADER: usize = 14;

/// The longest payload of a control frame.
pub const MAX_CONTROL: usize = 125;

/// Close code: all is well.
pub const CLOSE_NORMAL: u16 = 1000;

/// Close code: the peer's bytes are not WebSocket.
pub const CLOSE_PROTOCOL: u16 = 1002;

/// Close code: the message is longer than we take.
pub const CLOSE_TOO_BIG: u16 = 1009;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// Who sent the bytes, which decides whether they have to be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The browser: always masked.
    Client,
    /// ttyd: never masked.
    Server,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// Goes on with the message that an earlier frame began.
    Continuation = 0x0,
    /// Begins a text message.
    Text = 0x1,
    /// Begins a binary message.
    Binary = 0x2,
    /// Ends the connection.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping.
    Pong = 0xa,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    /// Whether frames of this kind may stand between the fragments of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A parsed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub opcode: Opcode,
    /// Whether the message ends with it.
    pub fin: bool,
    /// Bytes of payload that follow.
    pub length: u64,
    /// The mask of the payload; zeros when there is none, which mask nothing.
    pub mask: [u8; 4],
    /// Bytes of the header itself.
    pub size: usize,
}

/// Bytes that are not a frame which their sender may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// An extension's bits, though no extension was agreed.
    #[error("reserved bits are set in a frame")]
    ReservedBits,
    /// An opcode that RFC 6455 does not define.
    #[error("a frame has an unknown opcode")]
    UnknownOpcode,
    /// A client's frame without mask, or a server's with one.
    #[error("a frame is masked where it must not be, or not masked where it must")]
    Mask,
    /// A control frame that is fragmented or too long.
    #[error("a control frame is fragmented or longer than {MAX_CONTROL} bytes")]
    Control,
    /// A length in more bytes than it needs, or with its top bit set.
    #[error("a frame's length is not in its shortest form")]
    Length,
    /// A continuation of nothing, or a new message within another.
    #[error("fragments of messages are out of order")]
    Fragments,
    /// A close frame whose payload is no code.
    #[error("a close frame carries an invalid code")]
    CloseCode,
}

/// Parses the header that `bytes` begin with; `None` while it is incomplete.
pub fn parse(bytes: &[u8], sender: Sender) -> Result<Option<Header>, FrameError> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & RESERVED != 0 {
        return Err(FrameError::ReservedBits);
    }
    let opcode = Opcode::from_bits(first & 0x0f).ok_or(FrameError::UnknownOpcode)?;
    let fin = first & FIN != 0;
    let masked = second & MASKED != 0;
    if masked != (sender == Sender::Client) {
        return Err(FrameError::Mask);
    }
    let short = second & !MASKED;
    if opcode.is_control() && (!fin || usize::from(short) > MAX_CONTROL) {
        return Err(FrameError::Control);
    }
    let (length, rest) = match short {
        126 => match rest.split_first_chunk() {
            Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk() {
            Some((length, rest)) => (u64::from_be_bytes(*length), rest),
            None => return Ok(None),
        },
        short => (u64::from(short), rest),
    };
    let minimal = match short {
        126 => length >= 126,
        127 => length > u64::from(u16::MAX) && length >> 63 == 0,
        _ => true,
    };
    if !minimal {
        return Err(FrameError::Length);
    }
    let (mask, rest) = match (masked, rest.split_first_chunk()) {
        (false, _) => ([0; 4], rest),
        (true, Some((mask, rest))) => (*mask, rest),
        (true, None) => return Ok(None),
    };
    Ok(Some(Header { opcode, fin, length, mask, size: bytes.len() - rest.len() }))
}

/// Masks or unmasks `payload`, whose first byte meets the first byte of `mask`.
pub fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    // Eight bytes at a time: the compiler turns this loop into vector instructions.
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Appends one whole message or control frame, masked if a mask is given.
pub fn append(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) {
    let masked = if mask.is_some() { MASKED } else { 0 };
    out.push(FIN | opcode as u8);
    match payload.len() {
        // Each arm's range makes its cast exact.
        length @ 0..126 => out.push(masked | length as u8),
        length @ 126..=0xffff => {
            out.push(masked | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(masked | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(mask.as_ref().map_or(&[][..], |mask| &mask[..]));
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(&mut out[start..], mask.unwrap_or_default());
}

/// Appends a close frame; without a code it is empty, as the answer to an empty one has to be.
pub fn append_close(out: &mut Vec<u8>, code: Option<u16>, reason: &str, mask: Option<[u8; 4]>) {
    let mut payload = Vec::new();
    if let Some(code) = code {
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(MAX_CONTROL - 2)]);
    }
    append(out, Opcode::Close, &payload, mask);
}

/// The code that a close frame's payload begins with, if it has any.
pub fn close_code(payload: &[u8]) -> Result<Option<u16>, FrameError> {
    match payload {
        [] => Ok(None),
        [high, low, ..] => match u16::from_be_bytes([*high, *low]) {
            // 1004 to 1006 and 1015 are reserved: they may be reported but never sent.
            code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Some(code)),
            _ => Err(FrameError::CloseCode),
        },
        _ => Err(FrameError::CloseCode),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_rfc_forbids_is_refused() {
        let cases: [(&[u8], Sender, FrameError); 9] = [
            (&[0xc2, 0x01], Sender::Server, FrameError::ReservedBits),
            (&[0x83, 0x01], Sender::Server, FrameError::UnknownOpcode),
            (&[0x8b, 0x01], Sender::Server, FrameError::UnknownOpcode),
            (&[0x82, 0x81], Sender::Server, FrameError::Mask),
            (&[0x82, 0x01], Sender::Client, FrameError::Mask),
            (&[0x09, 0x00], Sender::Server, FrameError::Control),
            (&[0x89, 126, 0, 126], Sender::Server, FrameError::Control),
            (&[0x82, 126, 0, 125], Sender::Server, FrameError::Length),
            (&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Sender::Server, FrameError::Length),
        ];
        for (bytes, sender, error) in cases {
            assert_eq!(parse(bytes, sender), Err(error), "{bytes:x?}");
        }
        let top_bit = [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(parse(&top_bit, Sender::Server), Err(FrameError::Length));
    }

    #[test]
    fn close_frames_carry_a_code_or_nothing_and_never_half_a_letter() {
        assert_eq!(close_code(&[]), Ok(None));
        assert_eq!(close_code(&4001u16.to_be_bytes()), Ok(Some(4001)));
        for wrong in [&[3][..], &1006u16.to_be_bytes(), &0u16.to_be_bytes(), &5000u16.to_be_bytes()] {
            assert_eq!(close_code(wrong), Err(FrameError::CloseCode));
        }

        let mut out = Vec::new();
        append_close(&mut out, Some(4001), &"ä".repeat(100), None);
        assert!(out.len() <= 2 + MAX_CONTROL);
        assert_eq!(std::str::from_utf8(&out[4..]).unwrap(), "ä".repeat(61));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_parsed_and_every_prefix_needs_more(
            payload in prop::collection::vec(any::<u8>(), 0..70_000),
            mask in any::<Option<[u8; 4]>>(),
        ) {
            let mut bytes = Vec::new();
            append(&mut bytes, Opcode::Binary, &payload, mask);
            let sender = if mask.is_some() { Sender::Client } else { Sender::Server };
            let header = parse(&bytes, sender).unwrap().unwrap();
            for cut in 0..header.size {
                prop_assert_eq!(parse(&bytes[..cut], sender), Ok(None));
            }
            prop_assert_eq!(header.length, payload.len() as u64);
            prop_assert_eq!((header.opcode, header.fin), (Opcode::Binary, true));
            apply_mask(&mut bytes[header.size..], header.mask);
            prop_assert_eq!(&bytes[header.size..], &payload[..]);
        }

        #[test]
        fn the_mask_is_the_rfcs(payload in prop::collection::vec(any::<u8>(), 0..64), mask in any::<[u8; 4]>()) {
            let expected: Vec<u8> = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
            let mut masked = payload;
            apply_mask(&mut masked, mask);
            prop_assert_eq!(masked, expected);
        }
    }
}
