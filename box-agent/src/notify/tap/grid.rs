//! What a pane's screen shows, as far as text goes: a small terminal without colours. tmux has the truth; this is
//! there so that nobody has to ask it after every line.
//!
//! Whatever bytes come, it neither fails nor grows: every coordinate is clamped to the size that it was given.

use unicode_width::UnicodeWidthChar;

/// Columns and lines, at most.
const MAX_SIZE: (usize, usize) = (1000, 500);

/// What stands in the second column of a wide character.
const CONTINUED: char = '\0';

/// One screen.
#[derive(Debug, Clone)]
struct Page {
    rows: Vec<Vec<char>>,
    cursor: Cursor,
    saved: Cursor,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cursor {
    row: usize,
    column: usize,
    /// The last column is full, and the next character begins a line.
    wraps: bool,
}

/// Two screens, of which one is seen.
#[derive(Debug, Clone)]
pub struct Grid {
    columns: usize,
    lines: usize,
    pages: [Page; 2],
    alternate: bool,
    /// First and last line of what scrolls.
    region: (usize, usize),
    autowrap: bool,
    inserts: bool,
    /// Whether the two character sets draw lines, and which is in use.
    drawing: [bool; 2],
    shifted: bool,
    last: char,
}

impl Page {
    fn new(columns: usize, lines: usize) -> Self {
        Self { rows: vec![vec![' '; columns]; lines], cursor: Cursor::default(), saved: Cursor::default() }
    }

    fn resize(&mut self, columns: usize, lines: usize) {
        // As tmux does: lines go at the top when the cursor would be lost at the bottom.
        let lost = (self.cursor.row + 1).saturating_sub(lines);
        self.rows.drain(..lost);
        self.rows.resize(lines, Vec::new());
        self.rows.iter_mut().for_each(|row| row.resize(columns, ' '));
        for cursor in [&mut self.cursor, &mut self.saved] {
            cursor.row = cursor.row.saturating_sub(lost).min(lines - 1);
            cursor.column = cursor.column.min(columns - 1);
            cursor.wraps = false;
        }
    }
}

impl Grid {
    /// An empty screen.
    #[must_use]
    pub fn new(columns: usize, lines: usize) -> Self {
        let (columns, lines) = bounded(columns, lines);
        let page = Page::new(columns, lines);
        Self {
            columns,
            lines,
            pages: [page.clone(), page],
            alternate: false,
            region: (0, lines - 1),
            autowrap: true,
            inserts: false,
            drawing: [false; 2],
            shifted: false,
            last: ' ',
        }
    }

    /// Gives it another size.
    pub fn resize(&mut self, columns: usize, lines: usize) {
        let (columns, lines) = bounded(columns, lines);
        self.pages.iter_mut().for_each(|page| page.resize(columns, lines));
        (self.columns, self.lines, self.region) = (columns, lines, (0, lines - 1));
    }

    /// Forgets everything but the size.
    pub fn reset(&mut self) {
        *self = Self::new(self.columns, self.lines);
    }

    /// Its lines, without what is blank at their ends.
    #[must_use]
    pub fn text(&self) -> Vec<String> {
        let line = |row: &Vec<char>| {
            let text: String = row.iter().filter(|c| **c != CONTINUED).collect();
            text.trim_end().to_owned()
        };
        self.page().rows.iter().map(line).collect()
    }

    /// Line and column of the cursor.
    #[must_use]
    pub fn cursor(&self) -> (usize, usize) {
        let cursor = self.page().cursor;
        (cursor.row, cursor.column + usize::from(cursor.wraps))
    }

    fn page(&self) -> &Page {
        &self.pages[usize::from(self.alternate)]
    }

    fn page_mut(&mut self) -> &mut Page {
        &mut self.pages[usize::from(self.alternate)]
    }

    fn at(&mut self) -> &mut Cursor {
        &mut self.page_mut().cursor
    }

    /// Shows a character.
    pub fn print(&mut self, c: char) {
        let c = if self.drawing[usize::from(self.shifted)] { drawn(c) } else { c };
        let width = if c.is_ascii_graphic() || c == ' ' { 1 } else { c.width().unwrap_or_default() };
        let width = width.min(self.columns);
        if width == 0 {
            return;
        }
        self.last = c;
        // Within a line, as almost all are.
        let page = &mut self.pages[usize::from(self.alternate)];
        let Cursor { row, column, wraps } = page.cursor;
        if width == 1 && !wraps && !self.inserts && column + 1 < self.columns {
            page.rows[row][column] = c;
            page.cursor.column = column + 1;
            return;
        }
        let (columns, autowrap, inserts) = (self.columns, self.autowrap, self.inserts);
        let cursor = self.page().cursor;
        if (cursor.wraps || cursor.column + width > columns) && autowrap {
            self.at().column = 0;
            self.line_feed();
        }
        let page = self.page_mut();
        let Cursor { row, column, .. } = page.cursor;
        let column = column.min(columns - width);
        let cells = &mut page.rows[row];
        if inserts {
            cells.splice(column..column, std::iter::repeat_n(' ', width));
            cells.truncate(columns);
        }
        cells[column] = c;
        cells[column + 1..column + width].fill(CONTINUED);
        let after = column + width;
        page.cursor = Cursor { row, column: after.min(columns - 1), wraps: after >= columns };
    }

    /// Shows the last character again.
    pub fn repeat(&mut self, times: usize) {
        let last = self.last;
        (0..times.min(self.columns * self.lines)).for_each(|_| self.print(last));
    }

    /// Goes down a line; what is above scrolls away at the end.
    pub fn line_feed(&mut self) {
        let (top, bottom) = self.region;
        self.at().wraps = false;
        let row = self.page().cursor.row;
        if row == bottom {
            self.scroll(top, 1);
        } else if row + 1 < self.lines {
            self.at().row += 1;
        }
    }

    /// Goes up a line; what is below scrolls away at the top.
    pub fn reverse_line_feed(&mut self) {
        let (top, bottom) = self.region;
        self.at().wraps = false;
        let row = self.page().cursor.row;
        if row == top {
            self.scroll_back(top, bottom, 1);
        } else {
            self.at().row = row.saturating_sub(1);
        }
    }

    /// Goes to the first column.
    pub fn carriage_return(&mut self) {
        let cursor = self.at();
        (cursor.column, cursor.wraps) = (0, false);
    }

    /// Goes to the next stop.
    pub fn tab(&mut self, times: usize) {
        let last = self.columns - 1;
        let cursor = self.at();
        cursor.column = ((cursor.column / 8).saturating_add(times).saturating_mul(8)).min(last);
    }

    /// Goes to a line and a column, where they are named.
    pub fn go(&mut self, row: Option<usize>, column: Option<usize>) {
        let (lines, columns) = (self.lines, self.columns);
        let cursor = self.at();
        cursor.row = row.unwrap_or(cursor.row).min(lines - 1);
        cursor.column = column.unwrap_or(cursor.column).min(columns - 1);
        cursor.wraps = false;
    }

    /// Goes so many lines and columns on, or back.
    pub fn step(&mut self, rows: isize, columns: isize) {
        let (row, column) = (self.page().cursor.row, self.page().cursor.column);
        self.go(Some(row.saturating_add_signed(rows)), Some(column.saturating_add_signed(columns)));
    }

    /// Clears the screen: from the cursor on, up to it, or all.
    pub fn erase_screen(&mut self, how: u16) {
        if how > 2 {
            return;
        }
        self.erase_line(how);
        let row = self.page().cursor.row;
        let rows = &mut self.page_mut().rows;
        let cleared = match how {
            0 => &mut rows[row + 1..],
            1 => &mut rows[..row],
            _ => &mut rows[..],
        };
        cleared.iter_mut().for_each(|row| row.fill(' '));
    }

    /// Clears the cursor's line, in the same ways.
    pub fn erase_line(&mut self, how: u16) {
        let Cursor { row, column, .. } = self.page().cursor;
        let row = &mut self.page_mut().rows[row];
        match how {
            0 => row[column..].fill(' '),
            1 => row[..=column].fill(' '),
            2 => row.fill(' '),
            _ => {}
        }
    }

    /// Clears so many characters.
    pub fn erase(&mut self, count: usize) {
        let Cursor { row, column, .. } = self.page().cursor;
        let end = column.saturating_add(count).min(self.columns);
        self.page_mut().rows[row][column..end].fill(' ');
    }

    /// Takes characters out of the line.
    pub fn delete(&mut self, count: usize) {
        let columns = self.columns;
        let Cursor { row, column, .. } = self.page().cursor;
        let row = &mut self.page_mut().rows[row];
        row.drain(column..column.saturating_add(count).min(columns));
        row.resize(columns, ' ');
    }

    /// Makes room in the line.
    pub fn insert(&mut self, count: usize) {
        let columns = self.columns;
        let Cursor { row, column, .. } = self.page().cursor;
        let row = &mut self.page_mut().rows[row];
        row.splice(column..column, std::iter::repeat_n(' ', count.min(columns)));
        row.truncate(columns);
    }

    /// Takes lines out, from the cursor's on.
    pub fn delete_lines(&mut self, count: usize) {
        let row = self.page().cursor.row;
        if (self.region.0..=self.region.1).contains(&row) {
            self.scroll(row, count);
        }
    }

    /// Makes room for lines, before the cursor's.
    pub fn insert_lines(&mut self, count: usize) {
        let row = self.page().cursor.row;
        if (self.region.0..=self.region.1).contains(&row) {
            self.scroll_back(row, self.region.1, count);
        }
    }

    /// Scrolls what scrolls.
    pub fn scroll_by(&mut self, count: usize, back: bool) {
        let (top, bottom) = self.region;
        if back { self.scroll_back(top, bottom, count) } else { self.scroll(top, count) }
    }

    fn scroll(&mut self, top: usize, count: usize) {
        let bottom = self.region.1;
        let count = count.min(bottom + 1 - top);
        let part = &mut self.page_mut().rows[top..=bottom];
        part.rotate_left(count);
        let height = part.len();
        part[height - count..].iter_mut().for_each(|row| row.fill(' '));
    }

    fn scroll_back(&mut self, top: usize, bottom: usize, count: usize) {
        let count = count.min(bottom + 1 - top);
        let part = &mut self.page_mut().rows[top..=bottom];
        part.rotate_right(count);
        part[..count].iter_mut().for_each(|row| row.fill(' '));
    }

    /// Says which lines scroll.
    pub fn set_region(&mut self, top: usize, bottom: usize) {
        let bottom = bottom.min(self.lines - 1);
        self.region = if top < bottom { (top, bottom) } else { (0, self.lines - 1) };
        self.go(Some(0), Some(0));
    }

    /// Keeps the cursor's place.
    pub fn save(&mut self) {
        let page = self.page_mut();
        page.saved = page.cursor;
    }

    /// Goes back to it.
    pub fn restore(&mut self) {
        let page = self.page_mut();
        page.cursor = page.saved;
    }

    /// Shows the other screen, cleared, or the first again.
    pub fn show_alternate(&mut self, alternate: bool) {
        if alternate && !self.alternate {
            let cursor = self.page().cursor;
            self.pages[1] = Page { cursor, ..Page::new(self.columns, self.lines) };
        }
        self.alternate = alternate;
        self.region = (0, self.lines - 1);
    }

    /// Whether characters begin a new line after the last column.
    pub fn set_autowrap(&mut self, on: bool) {
        self.autowrap = on;
    }

    /// Whether characters push the rest of the line on.
    pub fn set_inserts(&mut self, on: bool) {
        self.inserts = on;
    }

    /// Whether a character set draws lines.
    pub fn set_drawing(&mut self, set: usize, on: bool) {
        self.drawing[set.min(1)] = on;
    }

    /// Which of the two sets is used.
    pub fn shift(&mut self, second: bool) {
        self.shifted = second;
    }
}

fn bounded(columns: usize, lines: usize) -> (usize, usize) {
    (columns.clamp(2, MAX_SIZE.0), lines.clamp(1, MAX_SIZE.1))
}

fn drawn(c: char) -> char {
    match c {
        'j' | 'k' | 'l' | 'm' | 'n' | 't' | 'u' | 'v' | 'w' => '┼',
        'q' => '─',
        'x' => '│',
        c => c,
    }
}
