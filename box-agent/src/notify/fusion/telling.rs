//! What is told, what stands, and when that is over.

use berth_protocol::attention::{Evidence, WithdrawnBecause};

use super::{Effect, Mind, Moment, Need, Pending, Rank, SAME_OCCASION_MS, Standing};

impl Mind {
    /// Why what stands is over: somebody typed, or nobody did.
    pub(super) fn went_on(&self) -> WithdrawnBecause {
        let told_at = self.standing.as_ref().map(|standing| standing.told_at);
        if self.input_at > told_at { WithdrawnBecause::Answered } else { WithdrawnBecause::WentOn }
    }

    pub(super) fn withdraw(&mut self, why: WithdrawnBecause, effects: &mut Vec<Effect>) {
        if self.standing.take().is_some() {
            effects.push(Effect::Withdraw(why));
        }
    }

    /// Has the user told of a need, after `hold` at the latest, unless it is known or overtaken.
    pub(super) fn raise(&mut self, need: Need, hold: u64, now: Moment, effects: &mut Vec<Effect>) {
        if let Some(standing) = &self.standing {
            if standing.need.is_same(&need) || standing.covers(&need, now) {
                return;
            }
            if need.rank == Rank::Outcome && standing.need.rank == Rank::Waiting {
                // What was asked for is done, so nobody waits for an answer.
                self.withdraw(self.went_on(), effects);
            }
        }
        let due = now + hold;
        let pending = match self.pending.take() {
            None => Pending { need, due },
            Some(before) => {
                let complete = need.completes(&before.need);
                let due = match () {
                    () if complete => now,
                    () if need.rank > before.need.rank => due,
                    () => before.due,
                };
                Pending { need: before.need.joined(need), due }
            }
        };
        if pending.due > now && !pending.need.is_on_screen() {
            effects.push(Effect::Look);
        }
        // Whoever has just typed is there.
        let patient = self.input_at.map_or(0, |at| at + pending.need.patience_ms);
        let due = if pending.need.patience_ms > 0 { pending.due.max(patient) } else { pending.due };
        self.pending = Some(Pending { due, ..pending });
    }

    pub(super) fn tell_due(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let Some(mut pending) = self.pending.take_if(|pending| pending.due <= now) else { return };
        let bucket =
            if pending.need.evidence == Evidence::Hook { &mut self.hook_bucket } else { &mut self.bucket };
        if let Err(at) = bucket.take(now) {
            pending.due = at;
            self.pending = Some(pending);
            return;
        }
        self.withdraw(WithdrawnBecause::Superseded, effects);
        effects.push(Effect::Tell(pending.need.clone()));
        self.standing = Some(Standing::new(pending.need, now));
    }
}

impl Standing {
    /// Whether a message only says once more that there is what was told already: a program rings when it asks.
    fn covers(&self, need: &Need, now: Moment) -> bool {
        let recent = now.saturating_sub(self.told_at) < SAME_OCCASION_MS;
        let weightier = self.need.rank > need.rank;
        let waits = self.need.rank == Rank::Waiting;
        need.rank == Rank::Message && weightier && (waits || recent || need.evidence == Evidence::Bell)
    }

    pub(super) fn new(need: Need, told_at: Moment) -> Self {
        Self { need, told_at, anchor: None, stirred: (0, 0), worked: 0 }
    }
}
