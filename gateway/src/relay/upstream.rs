//! The box's side of the upgrade: the request to ttyd and the check of its answer.
//!
//! The stream is a `CONNECT ttyd` of the door, so its far end is ttyd's own HTTP. Nothing of the browser's
//! request goes into ours: the query holds the attachment id that the agent minted, whose alphabet needs no
//! escaping, and no extension is offered (compression would cost ttyd 150 KB a client). Bytes become frames only
//! after an answer that proves that a WebSocket server read the request.

use std::time::Duration;

use berth_protocol::ids::AttachmentId;
use berth_protocol::terminal::SUBPROTOCOL_TTY;
use bytes::Bytes;
use data_encoding::BASE64;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::handshake::accept_value;
use super::side::Side;

/// The longest head of an answer; ttyd's is below 300 bytes.
const MAX_HEAD: usize = 8 * 1024;

/// The most header lines of an answer.
const MAX_HEADERS: usize = 32;

/// Why ttyd could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The stream broke.
    #[error("the stream to ttyd broke during the handshake")]
    Io(#[from] std::io::Error),
    /// Nothing, or not enough, came in time.
    #[error("ttyd did not answer the handshake in time")]
    Timeout,
    /// The operating system has no randomness for the key.
    #[error("no randomness for the handshake's key")]
    Random(#[from] getrandom::Error),
    /// The answer is not HTTP.
    #[error("ttyd's answer is not HTTP")]
    Malformed(#[from] httparse::Error),
    /// The answer is longer than any of ttyd's.
    #[error("ttyd's answer is longer than {MAX_HEAD} bytes")]
    TooLong,
    /// An answer other than 101.
    #[error("ttyd answered with status {0}")]
    Status(u16),
    /// A header that the upgrade needs is missing, repeated or wrong.
    #[error("ttyd's answer has a missing or wrong {0}")]
    Header(&'static str),
}

/// Upgrades a stream to ttyd for one attachment.
///
/// # Errors
/// When the stream breaks, `limit` passes, or the answer is not the one to this request.
pub async fn open_ttyd<S>(
    mut stream: S,
    attachment: &AttachmentId,
    limit: Duration,
) -> Result<Side<S>, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let key = BASE64.encode(&random);
        stream.write_all(request(attachment, &key).as_bytes()).await?;
        stream.flush().await?;
        read_answer(&mut stream, &key).await
    };
    let leftover = tokio::time::timeout(limit, exchange).await.map_err(|_| OpenError::Timeout)??;
    Ok(Side::new(stream, leftover))
}

fn request(attachment: &AttachmentId, key: &str) -> String {
    format!(
        "GET /ws?arg={attachment} HTTP/1.1\r\n\
         Host: localhost\r\n\
         Connection: Upgrade\r\n\
         Upgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL_TTY}\r\n\r\n"
    )
}

/// Reads up to the end of the answer's head and checks it; returns what followed the head.
async fn read_answer(stream: &mut (impl AsyncRead + Unpin), key: &str) -> Result<Bytes, OpenError> {
    let mut head = Vec::new();
    loop {
        let room = (MAX_HEAD - head.len()) as u64;
        if room == 0 {
            return Err(OpenError::TooLong);
        }
        if (&mut *stream).take(room).read_buf(&mut head).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        if let Some(size) = check_answer(&head, key)? {
            return Ok(Bytes::copy_from_slice(&head[size..]));
        }
    }
}

/// The size of a whole and sound head; `None` while it is incomplete.
pub(super) fn check_answer(head: &[u8], key: &str) -> Result<Option<usize>, OpenError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(size) = answer.parse(head)? else { return Ok(None) };
    let status = answer.code.unwrap_or_default();
    if status != 101 {
        return Err(OpenError::Status(status));
    }
    let single = |name: &'static str| {
        let mut found = answer.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (Some(header), None) => std::str::from_utf8(header.value).map_err(|_| OpenError::Header(name)),
            _ => Err(OpenError::Header(name)),
        }
    };
    let require = |name, right: &dyn Fn(&str) -> bool| match single(name)? {
        value if right(value) => Ok(()),
        _ => Err(OpenError::Header(name)),
    };
    require("Upgrade", &|value| value.eq_ignore_ascii_case("websocket"))?;
    require("Connection", &|value| {
        value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
    })?;
    require("Sec-WebSocket-Accept", &|value| value == accept_value(key))?;
    require("Sec-WebSocket-Protocol", &|value| value == SUBPROTOCOL_TTY)?;
    // None was offered, so any would change the meaning of the frames behind our back.
    if single("Sec-WebSocket-Extensions").is_ok() {
        return Err(OpenError::Header("Sec-WebSocket-Extensions"));
    }
    Ok(Some(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Plays ttyd: reads one request, answers with what `answer` makes of its key, and keeps the stream open.
    async fn open(
        answer: impl FnOnce(&str) -> String,
    ) -> (Result<Side<tokio::io::DuplexStream>, OpenError>, String) {
        let (ours, mut theirs) = tokio::io::duplex(32 * 1024);
        let attachment = AttachmentId::random();
        let serve = async {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                theirs.read_buf(&mut request).await.unwrap();
            }
            let request = String::from_utf8(request).unwrap();
            let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
            theirs.write_all(answer(key).as_bytes()).await.unwrap();
            request
        };
        let (opened, request) = tokio::join!(open_ttyd(ours, &attachment, LIMIT), serve);
        assert!(request.starts_with(&format!("GET /ws?arg={attachment} HTTP/1.1\r\n")), "{request}");
        drop(theirs);
        (opened, request)
    }

    fn sound(key: &str) -> String {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: tty\r\n\r\n",
            accept_value(key)
        )
    }

    #[tokio::test]
    async fn a_sound_answer_opens_and_keeps_what_follows() {
        let (opened, request) = open(|key| sound(key) + "\u{2}leftover").await;
        assert_eq!(&opened.unwrap().into_parts().1[..], b"\x02leftover");
        assert!(!request.to_ascii_lowercase().contains("sec-websocket-extensions"), "{request}");
    }

    #[tokio::test]
    async fn every_unsound_answer_is_refused() {
        let long = format!("X: {}\r\n", "a".repeat(MAX_HEAD));
        let cases: [(&str, &str, &str); 9] = [
            ("101 Switching", "200 OK", "Status"),
            ("Upgrade: WebSocket", "Upgrade: h2c", "Upgrade"),
            ("Connection: Upgrade", "Connection: close", "Connection"),
            ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x", "Accept"),
            ("Sec-WebSocket-Protocol: tty\r\n", "", "Protocol"),
            ("Sec-WebSocket-Protocol: tty", "Sec-WebSocket-Protocol: mqtt", "Protocol"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "Extensions"),
            ("HTTP/1.1", "SSH-2.0", "Malformed"),
            ("Upgrade: WebSocket\r\n", &long, "TooLong"),
        ];
        for (from, to, expected) in cases {
            let (opened, _) = open(|key| sound(key).replacen(from, to, 1)).await;
            let error = format!("{:?}", opened.err());
            assert!(error.contains(expected), "{from:?} to {to:?} gave {error}");
        }
    }

    #[tokio::test]
    async fn the_answer_to_another_request_is_refused() {
        let (opened, _) = open(|_| sound("dGhlIHNhbXBsZSBub25jZQ==")).await;
        assert!(matches!(opened, Err(OpenError::Header("Sec-WebSocket-Accept"))));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_not_waited_for_longer_than_the_limit() {
        let (ours, _theirs) = tokio::io::duplex(1024);
        let opened = open_ttyd(ours, &AttachmentId::random(), LIMIT).await;
        assert!(matches!(opened, Err(OpenError::Timeout)));
    }
}
