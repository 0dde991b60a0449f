//! How far the box's output may run ahead of what the page has drawn.
//!
//! A browser takes bytes off the network as fast as they come, whether or not the page keeps up, so TCP's own
//! window says nothing about it. The page therefore acknowledges what it has drawn. Above the high mark the
//! relay stops reading the box, and goes on below the low one; tmux meanwhile drops what nobody sees and
//! redraws. A client that never acknowledges (ttyd's own, for instance) has no window.

/// Unacknowledged bytes above which the box is no longer read.
pub const HIGH: u64 = 256 * 1024;

/// Unacknowledged bytes below which it is read again.
pub const LOW: u64 = 64 * 1024;

/// The window of one terminal.
#[derive(Debug, Default)]
pub struct Flow {
    sent: u64,
    acked: Option<u64>,
    closed: bool,
}

impl Flow {
    /// Notes that `sent` bytes of output have been forwarded since the beginning.
    pub fn sent(&mut self, sent: u64) {
        self.sent = sent;
        self.update();
    }

    /// Notes that the page has drawn `out` bytes since the beginning.
    ///
    /// Claims are not trusted: an acknowledgement never goes back, nor beyond what was sent.
    pub fn acked(&mut self, out: u64) {
        self.acked = Some(out.min(self.sent).max(self.acked.unwrap_or(0)));
        self.update();
    }

    /// Whether the box must not be read now.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn update(&mut self) {
        let Some(acked) = self.acked else { return };
        let ahead = self.sent - acked;
        self.closed = ahead > HIGH || (self.closed && ahead >= LOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_never_acknowledges_has_no_window() {
        let mut flow = Flow::default();
        flow.sent(1 << 40);
        assert!(!flow.is_closed());
    }

    #[test]
    fn it_closes_above_the_high_mark_and_opens_below_the_low_one() {
        let mut flow = Flow::default();
        flow.acked(0);
        flow.sent(HIGH);
        assert!(!flow.is_closed());
        flow.sent(HIGH + 1);
        assert!(flow.is_closed());
        flow.acked(HIGH + 1 - LOW);
        assert!(flow.is_closed(), "it opened at the low mark, not below it");
        flow.acked(HIGH + 2 - LOW);
        assert!(!flow.is_closed());
    }

    #[test]
    fn claims_are_bounded_by_what_was_sent() {
        let mut flow = Flow::default();
        flow.acked(u64::MAX);
        flow.sent(HIGH + 1);
        assert!(flow.is_closed(), "an acknowledgement of the future was believed");
        flow.acked(HIGH + 1);
        flow.acked(0);
        assert!(!flow.is_closed(), "an acknowledgement went back");
    }
}
