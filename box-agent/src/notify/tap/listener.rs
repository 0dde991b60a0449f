//! Reads a pane's output: what its screen shows, and what it says beside that.

use vte::{Params, Parser, Perform};

use super::grid::Grid;
use super::report::{Look, MAX_NOTICES, MAX_WORDS, Progress, Report};
use crate::notify::text::inert;

/// Bytes of one OSC string that are kept; the rest of a longer one is read and forgotten.
const MAX_OSC: usize = 2048;

/// How long after a line began a bell counts as that line's, milliseconds.
const LINE_FRESH_MS: u64 = 300;

/// One pane's output.
pub struct Listener {
    parser: Parser<MAX_OSC>,
    heard: Heard,
}

struct Heard {
    grid: Grid,
    report: Report,
    title: String,
    progress: Progress,
    /// When the last line began.
    line_at: Option<u64>,
    now: u64,
    /// The title that comes next of kitty's notifications (OSC 99), whose body comes apart.
    kitty: String,
    /// Whether the cursor is.
    hidden: bool,
}

impl Listener {
    /// A pane of this size.
    #[must_use]
    pub fn new(columns: usize, lines: usize) -> Self {
        let heard = Heard {
            grid: Grid::new(columns, lines),
            report: Report::default(),
            title: String::new(),
            progress: Progress::Ended,
            line_at: None,
            now: 0,
            kitty: String::new(),
            hidden: false,
        };
        Self { parser: Parser::new_with_size(), heard }
    }

    /// The pane has another size.
    pub fn resize(&mut self, columns: usize, lines: usize) {
        self.heard.grid.resize(columns, lines);
    }

    /// Reads output; `now` is in milliseconds, of any clock that only goes on.
    pub fn hear(&mut self, bytes: &[u8], now: u64) {
        self.heard.now = now;
        self.parser.advance(&mut self.heard, bytes);
    }

    /// Some bytes were not read: what was begun before them is not what ends after them.
    pub fn skip(&mut self, bytes: u64) {
        self.parser = Parser::new_with_size();
        self.heard.report.skipped += bytes;
    }

    /// What is to be told so far.
    #[must_use]
    pub fn pending(&self) -> &Report {
        &self.heard.report
    }

    /// Takes what is to be told.
    pub fn take(&mut self) -> Report {
        std::mem::take(&mut self.heard.report)
    }

    /// What the screen shows.
    #[must_use]
    pub fn look(&self) -> Look {
        let (row, column) = self.heard.grid.cursor();
        let hidden = self.heard.hidden;
        Look { hidden, ..Look::of(self.heard.grid.text(), row, column) }
    }
}

impl Heard {
    fn notice(&mut self, text: &str) {
        let text = inert(text, MAX_WORDS);
        let notices = &mut self.report.notices;
        if text.is_empty() || notices.last() == Some(&text) {
            return;
        }
        if notices.len() >= MAX_NOTICES {
            // The newest count.
            notices.remove(0);
            self.report.dropped += 1;
        }
        notices.push(text);
    }

    fn reset(&mut self) {
        self.grid.reset();
        self.hidden = false;
    }

    fn set_title(&mut self, text: &str) {
        let title = inert(text, MAX_WORDS);
        if self.title != title {
            self.title.clone_from(&title);
            self.report.title = Some(title);
        }
    }

    fn set_progress(&mut self, state: &str) {
        let progress = match state {
            "0" => Progress::Ended,
            "1" | "3" => Progress::Running,
            "2" => Progress::Failed,
            "4" => Progress::Paused,
            _ => return,
        };
        if self.progress != progress {
            self.progress = progress;
            self.report.progress = Some(progress);
        }
    }

    /// kitty's: `99;<key=value:...>;<payload>`, title and body in two of them with the same id.
    fn kitty(&mut self, about: &str, payload: &str) {
        let value = |key: &str| about.split(':').find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
        if value("e") == Some("1") || !matches!(value("p"), None | Some("title" | "body")) {
            // Encoded payloads are pictures and buttons as a rule.
            return;
        }
        if !self.kitty.is_empty() {
            self.kitty.push_str(": ");
        }
        // Two strings of bounded length make one of bounded length.
        self.kitty.push_str(&inert(payload, MAX_WORDS));
        if value("d") != Some("0") {
            let text = std::mem::take(&mut self.kitty);
            self.notice(&text);
        }
        self.kitty = inert(&self.kitty, MAX_WORDS);
    }

    fn set_modes(&mut self, params: &Params, private: bool, on: bool) {
        for param in params.iter() {
            match (private, param.first().copied().unwrap_or_default()) {
                (false, 4) => self.grid.set_inserts(on),
                (true, 25) => self.hidden = !on,
                (true, 7) => self.grid.set_autowrap(on),
                (true, 47 | 1047) => self.grid.show_alternate(on),
                (true, 1048) if on => self.grid.save(),
                (true, 1048) => self.grid.restore(),
                (true, 1049) if on => {
                    self.grid.save();
                    self.grid.show_alternate(true);
                }
                (true, 1049) => {
                    self.grid.show_alternate(false);
                    self.grid.restore();
                }
                _ => {}
            }
        }
    }
}

impl Perform for Heard {
    fn print(&mut self, c: char) {
        self.report.printed += 1;
        self.report.followed = self.report.bells > 0;
        self.grid.print(c);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            0x07 => {
                self.report.bells += 1;
                self.report.followed = false;
                let fresh = self.line_at.is_some_and(|at| self.now.saturating_sub(at) <= LINE_FRESH_MS);
                self.report.lone = !fresh;
            }
            0x08 => self.grid.step(0, -1),
            b'\t' => self.grid.tab(1),
            b'\n' | 0x0b | 0x0c => {
                self.line_at = Some(self.now);
                self.grid.line_feed();
            }
            b'\r' => self.grid.carriage_return(),
            0x0e => self.grid.shift(true),
            0x0f => self.grid.shift(false),
            _ => {}
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _bell_terminated: bool) {
        let Some((kind, rest)) = params.split_first() else { return };
        // The parser takes a string apart at its semicolons.
        let rest: Vec<String> = rest.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        match (*kind, rest.as_slice()) {
            (b"0" | b"2", [_, ..]) => self.set_title(&rest.join(";")),
            (b"9", [first, state, ..]) if first == "4" => self.set_progress(state),
            // ConEmu has more commands of this shape, which are no messages.
            (b"9", [first, _, ..]) if matches!(first.parse(), Ok(1_u8..=12)) => {}
            (b"9", [_, ..]) => self.notice(&rest.join(";")),
            (b"99", [about, payload @ ..]) => self.kitty(about, &payload.join(";")),
            (b"777", [verb, title, body @ ..]) if verb == "notify" => {
                let body = body.join(";");
                self.notice(&if body.is_empty() { title.clone() } else { format!("{title}: {body}") });
            }
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore {
            return;
        }
        let mut numbers = params.iter().map(|param| param.first().copied().unwrap_or_default());
        let (first, second) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let count = usize::from(first.max(1));
        let by = isize::try_from(count).unwrap_or(isize::MAX);
        let place = |number: u16| usize::from(number.max(1)) - 1;
        match (intermediates, action) {
            (b"?", 'h') => self.set_modes(params, true, true),
            (b"?", 'l') => self.set_modes(params, true, false),
            (b"!", 'p') => self.reset(),
            ([], 'h') => self.set_modes(params, false, true),
            ([], 'l') => self.set_modes(params, false, false),
            ([], 'A') => self.grid.step(-by, 0),
            ([], 'B' | 'e') => self.grid.step(by, 0),
            ([], 'C' | 'a') => self.grid.step(0, by),
            ([], 'D') => self.grid.step(0, -by),
            ([], 'E') => {
                self.grid.step(by, 0);
                self.grid.carriage_return();
            }
            ([], 'F') => {
                self.grid.step(-by, 0);
                self.grid.carriage_return();
            }
            ([], 'G' | '`') => self.grid.go(None, Some(place(first))),
            ([], 'd') => self.grid.go(Some(place(first)), None),
            ([], 'H' | 'f') => self.grid.go(Some(place(first)), Some(place(second))),
            ([], 'I') => self.grid.tab(count),
            ([], 'J') => self.grid.erase_screen(first),
            ([], 'K') => self.grid.erase_line(first),
            ([], 'X') => self.grid.erase(count),
            ([], 'P') => self.grid.delete(count),
            ([], '@') => self.grid.insert(count),
            ([], 'L') => self.grid.insert_lines(count),
            ([], 'M') => self.grid.delete_lines(count),
            ([], 'S') => self.grid.scroll_by(count, false),
            ([], 'T') => self.grid.scroll_by(count, true),
            ([], 'b') => self.grid.repeat(count),
            ([], 'r') => {
                let bottom = if second == 0 { usize::MAX } else { place(second) };
                self.grid.set_region(place(first), bottom);
            }
            ([], 's') => self.grid.save(),
            ([], 'u') => self.grid.restore(),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, byte: u8) {
        if ignore {
            return;
        }
        match (intermediates, byte) {
            ([], b'7') => self.grid.save(),
            ([], b'8') => self.grid.restore(),
            ([], b'D') => self.grid.line_feed(),
            ([], b'E') => {
                self.grid.line_feed();
                self.grid.carriage_return();
            }
            ([], b'M') => self.grid.reverse_line_feed(),
            ([], b'c') => self.reset(),
            (b"(", set) => self.grid.set_drawing(0, set == b'0'),
            (b")", set) => self.grid.set_drawing(1, set == b'0'),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
