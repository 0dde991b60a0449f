//! Whether the agent's loops still turn. The watchdog asks each of them, and one that is stuck does not answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// The loops that can be asked. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Pulses(Arc<Mutex<Vec<Asked>>>);

#[derive(Debug, Clone)]
struct Asked {
    name: &'static str,
    /// Room for one: whoever has a question waiting is not asked another.
    questions: mpsc::Sender<Question>,
}

/// "Are you there?"
#[derive(Debug)]
pub struct Question(oneshot::Sender<()>);

impl Question {
    /// "I am."
    pub fn answer(self) {
        // Whoever asked may have given up.
        let _ = self.0.send(());
    }
}

/// A loop's end: it is to answer whenever it is asked.
#[derive(Debug)]
pub struct Pulse {
    asked: mpsc::Receiver<Question>,
    /// How the others know it, to be forgotten by them.
    questions: mpsc::Sender<Question>,
    all: Pulses,
}

impl Pulses {
    /// Adds a loop, which is asked from now on.
    #[must_use]
    pub fn join(&self, name: &'static str) -> Pulse {
        let (questions, asked) = mpsc::channel(1);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Asked { name, questions: questions.clone() });
        Pulse { asked, questions, all: self.clone() }
    }

    /// Asks every loop, and names those that do not answer within `limit`.
    pub async fn silent(&self, limit: Duration) -> Vec<&'static str> {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // All are asked before any is waited for.
        let answers: Vec<_> = asked.into_iter().map(|asked| (asked.name, ask(&asked.questions))).collect();
        let deadline = tokio::time::Instant::now() + limit;
        let mut silent = Vec::new();
        for (name, answer) in answers {
            let answered = match answer {
                Some(answer) => {
                    tokio::time::timeout_at(deadline, answer).await.is_ok_and(|said| said.is_ok())
                }
                None => false,
            };
            if !answered {
                silent.push(name);
            }
        }
        silent
    }
}

fn ask(questions: &mpsc::Sender<Question>) -> Option<oneshot::Receiver<()>> {
    let (question, answer) = oneshot::channel();
    questions.try_send(Question(question)).ok().map(|()| answer)
}

impl Pulse {
    /// The next question. Cancel-safe: one that was not taken stays.
    pub async fn asked(&mut self) -> Question {
        match self.asked.recv().await {
            Some(question) => question,
            None => std::future::pending().await,
        }
    }

    /// Does `work` and answers beside it: silent is then only a task that is stuck within one of its steps, and not
    /// one that waits for something. Once the work is done, nobody is asked any more; one that is broken off stays
    /// silent.
    pub async fn beside<T>(mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                // Cancel-safe, both: the work goes on where it was.
                outcome = &mut work => {
                    self.leave();
                    return outcome;
                }
                question = self.asked() => question.answer(),
            }
        }
    }

    fn leave(&self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|asked| !asked.questions.same_channel(&self.questions));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_turns_answers_and_one_that_is_stuck_is_named() {
        let pulses = Pulses::default();
        assert!(pulses.silent(LIMIT).await.is_empty());
        tokio::spawn(pulses.join("busy").beside(std::future::pending::<()>()));
        let mut slow = pulses.join("slow");
        tokio::spawn(async move {
            loop {
                let question = slow.asked().await;
                tokio::time::sleep(LIMIT / 2).await;
                question.answer();
            }
        });
        assert!(pulses.silent(LIMIT).await.is_empty());
        pulses.join("done").beside(async {}).await;
        assert!(pulses.silent(LIMIT).await.is_empty(), "what is done is not asked");
        let _stuck = pulses.join("stuck");
        for _ in 0..3 {
            assert_eq!(pulses.silent(LIMIT).await, ["stuck"]);
        }
        drop(pulses.join("gone"));
        assert_eq!(pulses.silent(LIMIT).await, ["stuck", "gone"]);
    }
}
