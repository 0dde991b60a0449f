//! Happy eyeballs: attempts begin one after the other, the first to succeed wins, and the rest are dropped.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

/// How long an attempt is alone before the next one begins beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Runs attempts in order. The next begins when the one before has failed, or after [`HEAD_START`].
///
/// # Errors
/// The last error when all have failed; `None` when there was nothing to try.
pub(super) async fn race<A, T, E, F>(
    attempts: impl IntoIterator<Item = A>,
    begin: impl Fn(A) -> F,
) -> Result<T, Option<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = attempts.into_iter().peekable();
    let mut running = FuturesUnordered::new();
    let mut last = None;
    loop {
        match waiting.next() {
            Some(attempt) => running.push(begin(attempt)),
            None if running.is_empty() => return Err(last),
            None => {}
        }
        let others_wait = waiting.peek().is_some();
        tokio::select! {
            // Cancel-safe, both: what runs stays among what is running.
            Some(outcome) = running.next() => match outcome {
                Ok(won) => return Ok(won),
                Err(error) => last = Some(error),
            },
            () = sleep(HEAD_START), if others_wait => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::Instant;

    use super::*;

    /// An attempt: its name, how long it takes in milliseconds, and whether it succeeds then.
    type Planned = (&'static str, u64, bool);

    /// Runs attempts in a time that passes by itself; what came of it and when, and when each began.
    async fn run(attempts: &[Planned]) -> (Result<&'static str, Option<&'static str>>, u64, Vec<u64>) {
        let begun = Instant::now();
        let elapsed = || u64::try_from(begun.elapsed().as_millis()).unwrap();
        let begins = RefCell::new(Vec::new());
        let outcome = race(attempts.iter().copied(), |(name, millis, succeeds)| {
            begins.borrow_mut().push(elapsed());
            async move {
                sleep(Duration::from_millis(millis)).await;
                if succeeds { Ok(name) } else { Err(name) }
            }
        })
        .await;
        (outcome, elapsed(), begins.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_answers_at_once_is_alone() {
        assert_eq!(run(&[("a", 10, true), ("b", 0, true)]).await, (Ok("a"), 10, vec![0]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_begins_a_quarter_of_a_second_after_the_first() {
        let (outcome, at, begins) = run(&[("hole", 3000, false), ("b", 20, true), ("c", 0, true)]).await;
        assert_eq!((outcome, at, begins), (Ok("b"), 270, vec![0, 250]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_may_still_win_while_the_second_runs() {
        assert_eq!(run(&[("slow", 300, true), ("b", 100, true)]).await, (Ok("slow"), 300, vec![0, 250]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_not_waited_for() {
        let attempts = [("refused", 1, false), ("hole", 3000, false), ("c", 5, true)];
        assert_eq!(run(&attempts).await, (Ok("c"), 256, vec![0, 1, 251]));
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_the_last_error_is_told() {
        assert_eq!(run(&[("a", 5, false), ("b", 1, false)]).await, (Err(Some("b")), 6, vec![0, 5]));
        assert_eq!(run(&[]).await, (Err(None), 0, vec![]));
    }
}
