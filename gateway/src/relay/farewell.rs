//! The end of a terminal: both peers are told, and given a second to say goodbye.
//!
//! The browser's connection is not simply dropped after our close frame: with unread bytes in its receive buffer
//! the kernel would reset it, and the page would see a lost network instead of the code. So what still comes is
//! read and ignored until the browser's own close frame, its end, or the deadline. ttyd's side ends at the same
//! time, so that a withdrawn right ends there at once too.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use berth_protocol::door::Role;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::closing::Closing;
use super::frame;
use super::handshake::Mode;
use super::input::{Event, Input};
use super::output::Output;
use super::renewal::Door;
use super::side::Side;
use super::terminal::Reason;
use super::{scratch, to_ttyd};

/// How long the peers have for their part of the goodbye.
const LINGER: Duration = Duration::from_secs(1);

/// How long it may take to find out why the box's side ended.
const BOX_END_LIMIT: Duration = Duration::from_secs(2);

/// Refuses a client after its upgrade: says why, and closes.
pub async fn refuse<S>(mut browser: Side<S>, mode: Mode, closing: &Closing)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    browser.queue(&closing.frames(mode));
    let mut input = Input::new(mode, Role::Viewer, false);
    let goodbye = async {
        drain(&mut browser).await?;
        await_close(&mut browser, &mut input).await?;
        poll_fn(|cx| browser.poll_shutdown(cx)).await
    };
    // A client that does not take its refusal, or breaks off, is refused all the same.
    let _ = timeout(LINGER, goodbye).await;
}

/// Ends a stream to ttyd that another has taken the place of. What still comes is read and ignored, or the connection
/// would be reset and might take the close frame along.
pub(super) async fn leave<T>(mut ttyd: Side<T>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut frames = Vec::new();
    to_ttyd::close(&mut frames);
    ttyd.queue(&frames);
    let goodbye = async {
        drain(&mut ttyd).await?;
        poll_fn(|cx| ttyd.poll_shutdown(cx)).await?;
        poll_fn(|cx| {
            scratch::with(|scratch| {
                while ready!(ttyd.poll_read(cx, &mut scratch.read))? > 0 {}
                Poll::Ready(io::Result::Ok(()))
            })
        })
        .await
    };
    // A box that does not take its leave has lost the stream all the same.
    let _ = timeout(LINGER, goodbye).await;
}

/// Ends both sides of a terminal for that reason.
pub(super) async fn part<B, T>(
    mut browser: Side<B>,
    mut ttyd: Side<T>,
    mut input: Input,
    mut output: Output,
    mode: Mode,
    reason: &Reason,
    door: Arc<dyn Door<T>>,
) where
    B: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let part_ttyd = async {
        let mut frames = Vec::new();
        to_ttyd::close(&mut frames);
        ttyd.queue(&frames);
        drain(&mut ttyd).await?;
        poll_fn(|cx| ttyd.poll_shutdown(cx)).await
    };
    let part_browser = async {
        let Some((frames, answered)) = last_frames(mode, reason, door).await else { return Ok(()) };
        browser.queue(&output.finish());
        browser.queue(&frames);
        let goodbye = async {
            drain(&mut browser).await?;
            if !answered {
                await_close(&mut browser, &mut input).await?;
            }
            poll_fn(|cx| browser.poll_shutdown(cx)).await
        };
        timeout(LINGER, goodbye).await.unwrap_or(Ok(()))
    };
    // Whatever goes wrong from here on changes nothing: the terminal is over.
    let _ = tokio::join!(timeout(LINGER, part_ttyd), part_browser);
}

/// What the browser is told at last, and whether it has closed already; nothing if it is not there any more.
async fn last_frames<T: 'static>(
    mode: Mode,
    reason: &Reason,
    door: Arc<dyn Door<T>>,
) -> Option<(Vec<u8>, bool)> {
    let closing = match reason {
        Reason::BrowserLost(_) | Reason::BrowserSilent => return None,
        Reason::BrowserClosed(code) => {
            let mut echo = Vec::new();
            frame::append_close(&mut echo, *code, "", None);
            return Some((echo, true));
        }
        Reason::BrowserViolation(violation) => (*violation).into(),
        Reason::BoxClosed | Reason::BoxLost(_) | Reason::BoxViolation(_) => {
            timeout(BOX_END_LIMIT, door.why_ended()).await.unwrap_or_else(|_| Closing::box_lost())
        }
        Reason::Told(closing) => closing.clone(),
    };
    Some((closing.frames(mode), false))
}

async fn drain<S: AsyncRead + AsyncWrite + Unpin>(side: &mut Side<S>) -> io::Result<()> {
    poll_fn(|cx| side.poll_drained(cx)).await
}

/// Reads and ignores what the browser still sends, up to its close frame or its end.
async fn await_close<S>(browser: &mut Side<S>, input: &mut Input) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|cx| {
        scratch::with(|scratch| {
            let mut closed = false;
            while !closed {
                let size = ready!(browser.poll_read(cx, &mut scratch.read))?;
                // After a violation nothing is understood any more; then only the end or the deadline count.
                let _ =
                    input.push(&mut scratch.read[..size], |event| closed |= matches!(event, Event::Close(_)));
                closed |= size == 0;
            }
            Poll::Ready(Ok(()))
        })
    })
    .await
}
