//! Whether anybody is still there.
//!
//! A phone that loses its network says nothing, and TCP alone notices after many minutes. So after a silence the
//! client is asked, by a WebSocket ping: browsers answer those below the page, when a hidden tab's timers hardly run
//! too, and so does every client that keeps to RFC 6455. Who does not answer is gone.
//!
//! Only a ping that the client can have got counts. While it takes nothing off its connection it is not judged here:
//! the kernel gives such a connection up after 30 s (`TCP_USER_TIMEOUT`, which the front sets), whether the network is
//! gone or nobody reads. When it takes something before, that is a sign of life.
//!
//! A client that never sends its first message holds a connection for nothing, whatever else it says.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::time::Instant;

/// Silence after which a client is asked.
pub const PING_AFTER: Duration = Duration::from_secs(10);

/// Silence after which a client that was asked is taken for dead, and how long the first message may take.
pub const SILENCE: Duration = Duration::from_secs(25);

/// The least time for an answer, if the question went out late.
const ANSWER: Duration = SILENCE.checked_sub(PING_AFTER).expect("it is asked before it is dead");

/// Thousands of idle clients are asked together, at the next multiple of this: one wake-up does for many of them.
const BEAT: Duration = Duration::from_millis(250);

/// The first beat from this time on.
fn on_beat(at: Instant) -> Instant {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let Some(since) = at.checked_duration_since(*FIRST) else { return at };
    *FIRST + BEAT * u32::try_from(since.as_nanos().div_ceil(BEAT.as_nanos())).unwrap_or(u32::MAX)
}

/// What the clock says of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is well, as far as one knows.
    Well,
    /// It is to be asked; [`Liveness::asked`] says that it was.
    Ask,
    /// It is gone, or never began.
    Dead,
}

/// Whether a client was asked since it was heard last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    None,
    /// It has yet to find its place between two messages.
    Waiting,
    /// It was written then.
    Written(Instant),
}

/// What is known of one client's life.
#[derive(Debug)]
pub struct Liveness {
    heard: Instant,
    /// When to look next while nothing is asked. It stays when something is heard, so that a timer is not moved at
    /// every keystroke.
    look: Instant,
    question: Question,
    started: bool,
    /// Whether the client takes nothing at the moment.
    blocked: bool,
}

impl Liveness {
    /// Begins with a client whose first message is awaited.
    pub fn new(now: Instant) -> Self {
        Self { heard: now, look: now + SILENCE, question: Question::None, started: false, blocked: false }
    }

    /// Something came.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        if matches!(self.question, Question::Written(_)) {
            self.question = Question::None;
            self.look = now + PING_AFTER;
        }
    }

    /// The first message came: silence is judged from now on.
    pub fn started(&mut self, now: Instant) {
        self.started = true;
        self.look = now + PING_AFTER;
    }

    /// The ping was written.
    pub fn asked(&mut self, now: Instant) {
        self.question = Question::Written(now);
    }

    /// The client does not take what it was sent.
    pub fn blocked(&mut self) {
        self.blocked = true;
    }

    /// The client has taken what it was sent; to be called often.
    pub fn unblocked(&mut self) {
        if self.blocked {
            self.blocked = false;
            self.heard(Instant::now());
        }
    }

    /// When [`Self::judge`] should be asked.
    pub fn due(&self) -> Option<Instant> {
        match self.question {
            _ if !self.started => Some(self.look),
            _ if self.blocked => None,
            Question::None => Some(on_beat(self.look)),
            Question::Waiting => None,
            Question::Written(at) => Some((self.heard + SILENCE).max(at + ANSWER)),
        }
    }

    /// What to think of the client at this moment.
    pub fn judge(&mut self, now: Instant) -> Verdict {
        if self.due().is_none_or(|due| now < due) {
            return Verdict::Well;
        }
        if !self.started || self.question != Question::None {
            return Verdict::Dead;
        }
        self.look = self.heard + PING_AFTER;
        if now < self.look {
            return Verdict::Well;
        }
        self.question = Question::Waiting;
        Verdict::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A client that has begun at this moment, and the moment.
    fn begun() -> (Liveness, Instant) {
        let now = Instant::now();
        let mut liveness = Liveness::new(now);
        liveness.started(now);
        (liveness, now)
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_begin_is_not_waited_for_whatever_it_says() {
        let begin = Instant::now();
        let mut liveness = Liveness::new(begin);
        liveness.heard(begin + 20 * SECOND);
        assert_eq!(liveness.judge(begin + SILENCE - SECOND), Verdict::Well);
        assert_eq!(liveness.judge(begin + SILENCE), Verdict::Dead);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_followed_by_a_question_and_then_by_death() {
        let (mut liveness, begin) = begun();
        assert_eq!(liveness.due(), Some(begin + PING_AFTER));
        assert_eq!(liveness.judge(begin + PING_AFTER - SECOND), Verdict::Well);
        assert_eq!(liveness.judge(begin + PING_AFTER), Verdict::Ask);
        assert_eq!(liveness.due(), None, "nobody is dead who was not asked");
        liveness.asked(begin + PING_AFTER);
        assert_eq!(liveness.due(), Some(begin + SILENCE));
        assert_eq!(liveness.judge(begin + SILENCE - SECOND), Verdict::Well);
        assert_eq!(liveness.judge(begin + SILENCE), Verdict::Dead);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_begins_it_anew_and_keystrokes_move_no_timer() {
        let (mut liveness, begin) = begun();
        liveness.heard(begin + 4 * SECOND);
        assert_eq!(liveness.due(), Some(begin + PING_AFTER));
        assert_eq!(liveness.judge(begin + PING_AFTER), Verdict::Well);
        assert_eq!(liveness.due(), Some(begin + 14 * SECOND));
        assert_eq!(liveness.judge(begin + 14 * SECOND), Verdict::Ask);
        liveness.asked(begin + 14 * SECOND);
        liveness.heard(begin + 20 * SECOND);
        assert_eq!(liveness.due(), Some(begin + 30 * SECOND));
        assert_eq!(liveness.judge(begin + 30 * SECOND), Verdict::Ask);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_fell_silent_at_about_the_same_time_are_asked_at_the_same() {
        let (first, begin) = begun();
        assert_eq!(first.due(), Some(begin + PING_AFTER));
        for part in 1..5 {
            tokio::time::advance(BEAT / 5).await;
            let (other, _) = begun();
            assert_eq!(other.due(), Some(begin + PING_AFTER + BEAT), "{part}/5 of a beat later");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_question_has_its_time_too() {
        let (mut liveness, begin) = begun();
        assert_eq!(liveness.judge(begin + PING_AFTER), Verdict::Ask);
        liveness.asked(begin + 60 * SECOND);
        assert_eq!(liveness.judge(begin + 60 * SECOND), Verdict::Well);
        assert_eq!(liveness.judge(begin + 60 * SECOND + ANSWER), Verdict::Dead);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_not_judged_and_lives_when_it_takes_something() {
        let (mut liveness, begin) = begun();
        assert_eq!(liveness.judge(begin + PING_AFTER), Verdict::Ask);
        liveness.asked(begin + PING_AFTER);
        liveness.blocked();
        assert_eq!(liveness.due(), None);
        assert_eq!(liveness.judge(begin + 10 * SILENCE), Verdict::Well);
        tokio::time::advance(10 * SILENCE).await;
        liveness.unblocked();
        let taken = Instant::now();
        assert_eq!(liveness.due(), Some(taken + PING_AFTER));
        assert_eq!(liveness.judge(taken + PING_AFTER), Verdict::Ask);
    }
}
