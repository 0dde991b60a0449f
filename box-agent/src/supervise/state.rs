//! The life of a supervised program, without the program.
//!
//! ```text
//!           Spawned            Answered
//!   Idle ───────────▶ Starting ─────────▶ Ready
//!    ▲                   │                  │
//!    │ PauseOver         │ Ended            │ Ended
//!    │                   ▼                  ▼
//!    └──────────────── Waiting ◀────────────┘       Stop, from anywhere ─▶ Stopped
//! ```
//!
//! Pauses grow while the program keeps ending young; one that lived long enough starts again at once.

use std::time::Duration;

use crate::backoff::Backoff;

/// A program that lived this long was well: what ended it is news, not a pattern.
const LONG_LIFE: Duration = Duration::from_secs(10);

/// How a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// To be started.
    Idle,
    /// Started, does not answer yet.
    Starting,
    /// Answers.
    Ready,
    /// Ended, and is started again after a pause.
    Waiting,
    /// Will not be started again.
    Stopped,
}

/// What happens to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It was started.
    Spawned,
    /// It answered on its socket.
    Answered,
    /// It ended, or could not be started, after this long.
    Ended(Duration),
    /// The pause is over.
    PauseOver,
    /// It is not needed any more.
    Stop,
}

/// An event that can't happen in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} can't happen to a program that is {state:?}")]
pub struct Illegal {
    state: State,
    event: Event,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    state: State,
    starts: u64,
    backoff: Backoff,
}

impl Default for Machine {
    fn default() -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        Self { state: State::Idle, starts: 0, backoff }
    }
}

impl Machine {
    /// How the program is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// How often it was started after the first time.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.starts.saturating_sub(1)
    }

    /// Takes an event in, and answers the pause to make before the next start, if one is due.
    ///
    /// # Errors
    /// [`Illegal`]; the state stays as it was.
    pub fn on(&mut self, event: Event) -> Result<Option<Duration>, Illegal> {
        let mut pause = None;
        self.state = match (self.state, event) {
            (_, Event::Stop) => State::Stopped,
            (State::Idle, Event::Spawned) => {
                self.starts += 1;
                State::Starting
            }
            (State::Starting, Event::Answered) => State::Ready,
            (State::Idle | State::Starting | State::Ready, Event::Ended(lived)) => {
                if lived >= LONG_LIFE {
                    self.backoff.reset();
                }
                pause = Some(self.backoff.next_pause());
                State::Waiting
            }
            (State::Waiting, Event::PauseOver) => State::Idle,
            (state, event) => return Err(Illegal { state, event }),
        };
        Ok(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL_EVENTS: [Event; 5] =
        [Event::Spawned, Event::Answered, Event::Ended(Duration::ZERO), Event::PauseOver, Event::Stop];

    /// A machine in a given state.
    fn machine(state: State) -> Machine {
        Machine { state, ..Machine::default() }
    }

    #[test]
    fn the_whole_table() {
        use State::{Idle, Ready, Starting, Stopped, Waiting};
        // Rows are states; columns are Spawned, Answered, Ended, PauseOver, Stop.
        let table = [
            (Idle, [Some(Starting), None, Some(Waiting), None, Some(Stopped)]),
            (Starting, [None, Some(Ready), Some(Waiting), None, Some(Stopped)]),
            (Ready, [None, None, Some(Waiting), None, Some(Stopped)]),
            (Waiting, [None, None, None, Some(Idle), Some(Stopped)]),
            (Stopped, [None, None, None, None, Some(Stopped)]),
        ];
        for (from, row) in table {
            for (event, expected) in ALL_EVENTS.into_iter().zip(row) {
                let mut machine = machine(from);
                let outcome = machine.on(event);
                assert_eq!(outcome.is_ok(), expected.is_some(), "{from:?} {event:?}");
                assert_eq!(machine.state(), expected.unwrap_or(from), "{from:?} {event:?}");
            }
        }
    }

    #[test]
    fn pauses_grow_until_a_long_life() {
        let mut machine = Machine::default();
        let mut live = |lived: Duration| {
            machine.on(Event::Spawned).unwrap();
            let pause = machine.on(Event::Ended(lived)).unwrap().unwrap();
            machine.on(Event::PauseOver).unwrap();
            pause
        };
        let pauses: Vec<Duration> = (0..8).map(|_| live(Duration::ZERO)).collect();
        assert!(pauses[0] <= Duration::from_millis(100), "the first restart is quick: {pauses:?}");
        assert!(pauses[7] >= Duration::from_millis(2500), "{pauses:?}");
        assert!(live(LONG_LIFE) <= Duration::from_millis(100));
        assert_eq!(machine.restarts(), 8);
    }
}
