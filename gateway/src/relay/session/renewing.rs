//! The driver's part in a renewal: when it begins, and how one stream takes the other's place.

use std::mem;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::Relay;
use crate::relay::output::{self, Output};
use crate::relay::renewal::{self, Phase, Renewal};
use crate::relay::terminal::Reason;
use crate::relay::{farewell, scratch, to_ttyd};

impl<B, T> Relay<B, T>
where
    B: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// Begins to replace the stream to the box, of which these bytes were read, so that they are not passed on. False if
    /// it can't be.
    pub(super) fn renew(&mut self, read: &[u8]) -> bool {
        // Before the first message there is nothing to be told anew.
        if !self.phase.is_steady() || !self.seat.has_begun() {
            return false;
        }
        self.ttyd.unread(read);
        let old = self.sip.1.take().unwrap_or_else(|| self.leave_output());
        self.sip.0 = 0;
        self.counts.1 = self.counts.0;
        let opening = self.door.clone().reopen(self.counts.1);
        let renewal = Renewal::begin(&mut self.ttyd, old, opening, &self.intake);
        self.phase = Phase::Renewing(Box::new(renewal));
        self.meters.renewals.inc();
        true
    }

    /// Reads no more output for the client; who reads on. A message that is cut is filled.
    fn leave_output(&mut self) -> Output {
        let (old, tail) = self.output.leave();
        if !tail.is_empty() {
            self.browser.queue(&tail);
        }
        old
    }

    /// Reads a little of what is held back, and drops it. From then on nothing of this stream is shown any more.
    pub(super) fn poll_sip(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        // Before the first message there is nothing to be told anew.
        if !self.phase.is_steady() || self.stall.due().is_none() || !self.seat.has_begun() {
            self.sip.0 = 0;
        }
        if self.sip.0 == 0 {
            return Poll::Pending;
        }
        scratch::with(|scratch| {
            let carry = self.sip.1.as_ref().unwrap_or(&self.output).carry();
            let Poll::Ready(end) = renewal::poll_read_on(cx, &mut self.ttyd, carry, &mut scratch.read) else {
                self.sip.0 = 0;
                return Poll::Pending;
            };
            let end = end.map_err(Reason::BoxLost)?;
            let mut old = self.sip.1.take().unwrap_or_else(|| self.leave_output());
            let mut chunk = old.process(&mut scratch.read[..end]);
            self.sip = (self.sip.0.saturating_sub(end), Some(old));
            self.ttyd_ping = chunk.ping.take().or(self.ttyd_ping.take());
            Poll::Ready(output::go_on(chunk.end))
        })
    }

    pub(super) fn poll_renewal(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        if let Some(leaving) = &mut self.leaving
            && leaving.as_mut().poll(cx).is_ready()
        {
            self.leaving = None;
        }
        if self.counts.0 != self.counts.1 && !self.browser.is_blocked() && self.renew(&[]) {
            return Poll::Ready(Ok(()));
        }
        let Phase::Renewing(renewal) = &mut self.phase else { return Poll::Pending };
        let Some(mut opened) = ready!(renewal.poll(cx, &mut self.ttyd))? else { return Poll::Ready(Ok(())) };
        let limit = renewal.limit();
        if let Some(size) = self.seat.size() {
            let mut frames = Vec::new();
            to_ttyd::start(&mut frames, size);
            opened.queue(&frames);
        }
        let old = mem::replace(&mut self.ttyd, opened);
        self.phase = Phase::Redrawing(Box::new(old), limit);
        self.ttyd_ping = None;
        Poll::Ready(Ok(()))
    }

    /// Lets a stream take its leave that another was about to take the place of.
    pub(super) fn leave_old(&mut self) {
        if let Some(old) = self.phase.redrawn() {
            self.leaving = Some(Box::pin(farewell::leave(old)));
        }
    }
}
