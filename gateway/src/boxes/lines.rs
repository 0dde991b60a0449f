//! Cuts a stream of bytes into lines, within a bound.

/// The longest line of an exec's answer: 16 KiB of output as base64, and what is around it.
const MAX_LINE: usize = 32 * 1024;

/// A line was longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// Bytes that have come and are not a whole line yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// How much of the buffer is known to have no line's end.
    searched: usize,
}

impl Lines {
    /// Adds what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line, without its end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(end) = found.map(|at| self.searched + at) else {
            self.searched = self.buffer.len();
            return if self.searched > MAX_LINE { Err(TooLong) } else { Ok(None) };
        };
        if end > MAX_LINE {
            return Err(TooLong);
        }
        let rest = self.buffer.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.buffer, rest);
        line.truncate(end);
        self.searched = 0;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_come(
            lines in prop::collection::vec("[a-z]{0,40}", 0..20), sizes in prop::collection::vec(1usize..50, 1..50),
        ) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let (mut rest, mut found, mut cut) = (text.as_bytes(), Vec::new(), Lines::default());
            for size in sizes.iter().cycle() {
                let (piece, left) = rest.split_at((*size).min(rest.len()));
                cut.push(piece);
                while let Some(line) = cut.next().unwrap() {
                    found.push(String::from_utf8(line).unwrap());
                }
                rest = left;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(found, lines);
        }
    }

    #[test]
    fn a_line_without_end_is_refused_in_time() {
        let mut lines = Lines::default();
        lines.push(&[b'x'; MAX_LINE]);
        assert_eq!(lines.next(), Ok(None));
        lines.push(b"\n");
        assert_eq!(lines.next().unwrap().unwrap().len(), MAX_LINE);
        lines.push(&[b'x'; MAX_LINE + 1]);
        assert_eq!(lines.next(), Err(TooLong));
    }
}
