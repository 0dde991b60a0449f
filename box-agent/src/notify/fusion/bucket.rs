//! How often something may be told.

use crate::notify::signal::Moment;

/// A bucket of tokens that fills again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    capacity: u64,
    refill_ms: u64,
    /// Tokens, in parts of `refill_ms`.
    level: u64,
    at: Moment,
}

impl Bucket {
    /// A full bucket that gets a token every `refill_ms`.
    #[must_use]
    pub fn new(capacity: u64, refill_ms: u64) -> Self {
        Self { capacity, refill_ms, level: capacity * refill_ms, at: 0 }
    }

    fn fill(&mut self, now: Moment) {
        let gained = now.saturating_sub(self.at);
        self.level = self.level.saturating_add(gained).min(self.capacity * self.refill_ms);
        self.at = self.at.max(now);
    }

    /// Takes a token.
    ///
    /// # Errors
    /// When there will be one.
    pub fn take(&mut self, now: Moment) -> Result<(), Moment> {
        self.fill(now);
        match self.level.checked_sub(self.refill_ms) {
            Some(left) => {
                self.level = left;
                Ok(())
            }
            None => Err(now + self.refill_ms - self.level),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_empties_and_fills() {
        let mut bucket = Bucket::new(2, 1000);
        assert_eq!((bucket.take(5), bucket.take(5), bucket.take(5)), (Ok(()), Ok(()), Err(1005)));
        assert_eq!((bucket.take(1004), bucket.take(1005), bucket.take(1005)), (Err(1005), Ok(()), Err(2005)));
    }
}
