//! Sizes of terminals: parsed, clamped, rebuilt, and sent on at a bounded rate.
//!
//! tmux spends seconds and hundreds of megabytes on a screen of 65535 × 65535, and every change of size makes
//! it redraw everything. So no size passes unclamped, and of several within [`RESIZE_INTERVAL`] only the last.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::handshake::Ticket;

/// The least time between two sizes sent to the box: twenty a second.
pub const RESIZE_INTERVAL: Duration = Duration::from_millis(50);

/// A size that is safe to give to ttyd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    columns: u16,
    rows: u16,
}

impl Size {
    /// The nearest size within 2–1000 columns and 1–500 rows.
    ///
    /// JSON has one kind of number, hence the floats; a fraction is cut off.
    #[must_use]
    pub fn clamped(columns: f64, rows: f64) -> Self {
        Self { columns: columns.clamp(2.0, 1000.0) as u16, rows: rows.clamp(1.0, 500.0) as u16 }
    }

    /// The size in the JSON of a RESIZE message; other keys are ignored.
    pub fn parse(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Resize {
            columns: f64,
            rows: f64,
        }
        let Resize { columns, rows } = serde_json::from_slice(json).ok()?;
        Some(Self::clamped(columns, rows))
    }

    /// Size and token in the JSON of ttyd's first message; other keys are ignored.
    pub fn parse_start(json: &[u8]) -> Option<(Self, Ticket)> {
        #[derive(Deserialize)]
        struct Start {
            #[serde(rename = "AuthToken", default)]
            token: String,
            columns: f64,
            rows: f64,
        }
        let Start { token, columns, rows } = serde_json::from_slice(json).ok()?;
        Some((Self::clamped(columns, rows), Ticket::new(token)))
    }

    /// Columns and rows.
    pub fn parts(self) -> (u16, u16) {
        (self.columns, self.rows)
    }

    /// A RESIZE message.
    pub fn resize_message(self) -> String {
        format!(r#"1{{"columns":{},"rows":{}}}"#, self.columns, self.rows)
    }

    /// ttyd's first message. Its token is always empty: whoever gets here has been let in by the door.
    pub fn start_message(self) -> String {
        format!(r#"{{"AuthToken":"","columns":{},"rows":{}}}"#, self.columns, self.rows)
    }
}

/// Holds back sizes that follow each other too fast; the latest wins.
#[derive(Debug, Default)]
pub struct Throttle {
    latest: Option<Size>,
    not_before: Option<Instant>,
}

impl Throttle {
    /// Takes a size to be sent, in place of any that waits.
    pub fn offer(&mut self, size: Size) {
        self.latest = Some(size);
    }

    /// Whether a size waits.
    pub fn is_waiting(&self) -> bool {
        self.latest.is_some()
    }

    /// When the waiting size may go.
    pub fn due(&self) -> Option<Instant> {
        self.latest.and(self.not_before)
    }

    /// The size to send now, if one waits and may go.
    pub fn take(&mut self, now: Instant) -> Option<Size> {
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return None;
        }
        let size = self.latest.take()?;
        self.not_before = Some(now + RESIZE_INTERVAL);
        Some(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_and_are_clamped() {
        let cases = [
            (r#"{"columns":80,"rows":24}"#, Some((80, 24))),
            (r#"{"columns":0,"rows":0}"#, Some((2, 1))),
            (r#"{"columns":-5,"rows":-1e9}"#, Some((2, 1))),
            (r#"{"columns":65535,"rows":65535}"#, Some((1000, 500))),
            (r#"{"rows":24.9,"columns":80.2,"extra":[{"x":1}]}"#, Some((80, 24))),
            (r#"{"columns":NaN,"rows":24}"#, None),
            (r#"{"columns":null,"rows":24}"#, None),
            (r#"{"columns":"80","rows":24}"#, None),
            (r#"{"columns":80}"#, None),
            (r#"{"columns":80,"rows":24}{}"#, None),
            ("", None),
        ];
        for (json, expected) in cases {
            let size = Size::parse(json.as_bytes());
            assert_eq!(size.map(|size| (size.columns, size.rows)), expected, "{json}");
        }
    }

    #[test]
    fn messages_carry_the_size_and_nothing_else() {
        let (size, token) =
            Size::parse_start(br#"{"AuthToken":"secret","columns":90,"rows":30,"x":1}"#).unwrap();
        assert_eq!(token.as_str(), "secret");
        assert_eq!(size.start_message(), r#"{"AuthToken":"","columns":90,"rows":30}"#);
        assert_eq!(size.resize_message(), r#"1{"columns":90,"rows":30}"#);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_size_goes_at_once_and_the_latest_of_the_rest_later() {
        let now = Instant::now();
        let mut throttle = Throttle::default();
        throttle.offer(Size::clamped(10.0, 10.0));
        assert_eq!(throttle.take(now), Some(Size::clamped(10.0, 10.0)));
        assert_eq!(throttle.due(), None);
        throttle.offer(Size::clamped(11.0, 10.0));
        throttle.offer(Size::clamped(12.0, 10.0));
        assert_eq!(throttle.take(now), None);
        let due = throttle.due().unwrap();
        assert_eq!(due, now + RESIZE_INTERVAL);
        assert_eq!(throttle.take(due), Some(Size::clamped(12.0, 10.0)));
        assert!(!throttle.is_waiting());
    }
}
