//! What a terminal's bytes look like on a screen, and what tmux says they should look like.
//!
//! Both are drawn by the emulator that the page has (xterm.js), in `gateway/web/src/testing/headless.mjs`: what is
//! compared is what a user would see of text, colours, attributes and cursor.

use std::cell::{OnceCell, RefCell};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::programs;
use crate::tmux::Tmux;

/// What tmux is asked for behind a pane's lines.
const CURSOR: &str = "#{cursor_x} #{cursor_y} #{cursor_flag}";

/// Where a pane is drawn: a ground that marks the cells of which tmux says nothing, and the character set that
/// `capture-pane` takes for granted behind SO.
const UNTOLD: &str = "\x1b[48;2;1;1;1m\x1b[2J\x1b[m\x1b)0";

/// A screen that is drawn by a terminal's bytes.
pub struct Screen {
    terminal: Headless,
    /// What it is compared with is drawn here.
    pane: OnceCell<Headless>,
    columns: u16,
    rows: u16,
}

impl Screen {
    /// An empty screen.
    ///
    /// # Panics
    /// When Node.js or what `npm ci` brings is missing.
    #[must_use]
    pub fn new(columns: u16, rows: u16) -> Self {
        let terminal = Headless::start();
        terminal.begin(columns, rows);
        Self { terminal, pane: OnceCell::new(), columns, rows }
    }

    /// Draws bytes.
    ///
    /// # Panics
    /// When the emulator has ended.
    pub fn draw(&mut self, bytes: &[u8]) {
        self.terminal.write(bytes);
    }

    /// Its lines, without the blanks at their ends.
    ///
    /// # Panics
    /// When the emulator has ended.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let seen = self.terminal.cells();
        let rows = seen["rows"].as_array().expect("rows");
        rows.iter().map(|row| text(row.as_array().expect("a row"))).collect()
    }

    /// The lines of a session's active pane as tmux holds them.
    #[must_use]
    pub fn of_pane(tmux: &Tmux, session: &str) -> Option<Vec<String>> {
        let text = tmux.run(&["capture-pane", "-p", "-t", &format!("={session}:")])?;
        Some(text.lines().map(|line| line.trim_end().to_owned()).collect())
    }

    /// Whether it shows exactly a session's active pane, which fills the window, above tmux's status line: the same
    /// characters in the same colours, and the cursor.
    ///
    /// # Panics
    /// When the emulator has ended.
    #[must_use]
    pub fn shows_pane(&self, tmux: &Tmux, session: &str) -> bool {
        self.difference(tmux, session).is_none()
    }

    /// The first thing in which it differs from a session's active pane, for people.
    ///
    /// # Panics
    /// When the emulator has ended.
    #[must_use]
    pub fn difference(&self, tmux: &Tmux, session: &str) -> Option<String> {
        let Some(captured) = capture(tmux, session) else { return Some("tmux does not answer".into()) };
        let height = self.rows - 1;
        let pane = self.pane.get_or_init(Headless::start);
        pane.begin(self.columns, height);
        pane.write(captured.as_bytes());
        let (shown, expected) = (self.terminal.cells(), pane.cells());
        if shown["cursor"] != expected["cursor"] {
            return Some(format!("the cursor: {} for {}", shown["cursor"], expected["cursor"]));
        }
        for row in 0..usize::from(height) {
            let (shown, expected) = (&shown["rows"][row], &expected["rows"][row]);
            for column in 0..usize::from(self.columns) {
                let (shown, expected) = (&shown[column], &expected[column]);
                if !looks_as(shown, expected) {
                    return Some(format!("row {row}, column {column}: {shown} for {expected}"));
                }
            }
        }
        None
    }
}

/// Whether a cell looks as expected. Behind a line's last character `capture-pane` (of tmux 3.3, at least) leaves out
/// what ground there is: only that nothing else is there can be compared.
fn looks_as(shown: &Value, expected: &Value) -> bool {
    let untold = expected["ground"] == "#010101";
    shown == expected || untold && shown["text"] == " " && shown["ink"] == "none"
}

/// What draws a session's active pane on an empty screen of its size, cursor included.
fn capture(tmux: &Tmux, session: &str) -> Option<String> {
    let target = format!("={session}:");
    let lines = ["capture-pane", "-p", "-e", "-N", "-t", &target];
    // As one command, so that nothing is drawn in between.
    let answer = tmux.run(&[&lines[..], &[";", "display-message", "-p", "-t", &target, CURSOR]].concat())?;
    let (lines, cursor) = answer.rsplit_once('\n')?;
    let [column, row, shown] = cursor.split(' ').collect::<Vec<_>>()[..] else { return None };
    let (column, row) = (column.parse::<u16>().ok()? + 1, row.parse::<u16>().ok()? + 1);
    let lines: String =
        lines.lines().enumerate().map(|(row, line)| format!("\x1b[{};1H{line}", row + 1)).collect();
    let mode = if shown == "1" { 'h' } else { 'l' };
    Some(format!("{UNTOLD}{lines}\x1b[{row};{column}H\x1b[?25{mode}"))
}

/// A row's characters.
fn text(row: &[Value]) -> String {
    let line: String = row.iter().filter_map(|cell| cell["text"].as_str()).collect();
    line.trim_end().to_owned()
}

/// xterm.js in a process of its own.
struct Headless {
    process: Child,
    orders: ChildStdin,
    answers: RefCell<BufReader<ChildStdout>>,
}

impl Headless {
    fn start() -> Self {
        let node = programs::on_path("node").expect("Node.js is missing");
        let script = programs::repository().join("gateway/web/src/testing/headless.mjs");
        let mut command = Command::new(node);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("node starts");
        let orders = process.stdin.take().expect("a pipe");
        let answers = RefCell::new(BufReader::new(process.stdout.take().expect("a pipe")));
        Self { process, orders, answers }
    }

    fn begin(&self, columns: u16, rows: u16) {
        self.order(&json!({ "size": [columns, rows] }));
    }

    fn write(&self, bytes: &[u8]) {
        self.order(&json!({ "write": data_encoding::BASE64.encode(bytes) }));
    }

    fn cells(&self) -> Value {
        self.order(&json!({ "cells": true }));
        let mut line = String::new();
        self.answers.borrow_mut().read_line(&mut line).expect("an answer");
        serde_json::from_str(&line).expect("the emulator ended: has npm ci been run in gateway/web?")
    }

    fn order(&self, order: &Value) {
        (&self.orders).write_all(format!("{order}\n").as_bytes()).expect("the emulator takes orders");
    }
}

impl Drop for Headless {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
