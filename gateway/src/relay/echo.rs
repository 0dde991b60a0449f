//! Tells the page which of its keystrokes the screen may show by now.
//!
//! A page that draws keystrokes before their echo has come (predictive echo) has to know when to look for it:
//! [`Echo`] says how much input the box had been given when output passed. It takes new input and new output to
//! say something new, and only the newest waits for its place, so a flood on either side makes none here.

use berth_protocol::terminal::FromRelay;

use super::handshake::Mode;

/// The accounts of one terminal.
#[derive(Debug)]
pub struct Echo {
    /// A stock client is told nothing.
    silent: bool,
    told_input: u64,
    seen_output: u64,
    /// Counts of input and output.
    waiting: Option<(u64, u64)>,
}

impl Echo {
    /// The accounts of a terminal in which nothing has passed.
    pub fn new(mode: Mode) -> Self {
        Self { silent: mode == Mode::Tty, told_input: 0, seen_output: 0, waiting: None }
    }

    /// Notes that output has been forwarded up to `output`, after the box had been given `input`.
    pub fn passed(&mut self, input: u64, output: u64) {
        let news = output > self.seen_output && input > self.told_input;
        self.seen_output = output;
        if news && !self.silent {
            self.told_input = input;
            self.waiting = Some((input, output));
        }
    }

    /// Whether there is something to tell.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// What there is to tell.
    pub fn take(&mut self) -> Option<FromRelay> {
        self.waiting.take().map(|(input, output)| FromRelay::Echo { input, output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(input: u64, output: u64) -> Option<FromRelay> {
        Some(FromRelay::Echo { input, output })
    }

    #[test]
    fn it_takes_new_input_and_new_output() {
        let mut accounts = Echo::new(Mode::Berth);
        accounts.passed(0, 100);
        assert_eq!(accounts.take(), None, "there was no input");
        accounts.passed(1, 100);
        assert_eq!(accounts.take(), None, "there was no output");
        accounts.passed(1, 101);
        assert_eq!(accounts.take(), echo(1, 101));
        accounts.passed(1, 5000);
        assert_eq!(accounts.take(), None, "the same input was told twice");
    }

    #[test]
    fn only_the_newest_waits() {
        let mut accounts = Echo::new(Mode::Berth);
        for at in 1..=10 {
            accounts.passed(at, at * 10);
        }
        assert_eq!(accounts.take(), echo(10, 100));
        assert!(!accounts.is_waiting());
    }

    #[test]
    fn a_stock_client_is_told_nothing() {
        let mut accounts = Echo::new(Mode::Tty);
        accounts.passed(1, 1);
        assert!(!accounts.is_waiting());
    }
}
