//! Alternating rounds, and what is made of them.

/// What one side measured, a value a round.
#[derive(Debug, Clone, Default)]
pub struct Series(pub Vec<f64>);

impl Series {
    /// The value in the middle; nothing measured is not a number.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value that this share of all is not above.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }

    /// Round by round, this beside the other.
    pub fn ratios(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect())
    }
}

/// In which order `sides` sides are measured in a round: forth and back in turns.
pub fn order(round: usize, sides: usize) -> Vec<usize> {
    let forth = 0..sides;
    if round.is_multiple_of(2) { forth.collect() } else { forth.rev().collect() }
}
