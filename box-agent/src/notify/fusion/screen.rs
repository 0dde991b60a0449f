//! What a screen says to a mind: the tap's account, which leads to looks, and tmux's, which decides.

use super::{Effect, Mind, Need, RECHECK_MS, Rank, WORTH_MS};
use crate::notify::signal::{Moment, Prompt, PromptKind, Seen};

impl Mind {
    /// The tap's account: whatever it says of a question, tmux is asked whether it is so.
    pub(super) fn take_screen(&mut self, seen: &Seen, now: Moment, effects: &mut Vec<Effect>) {
        self.note_work(seen, now);
        let known = self.fingerprint();
        let shown = seen.prompt.as_ref().map(|prompt| prompt.question.fingerprint.as_str());
        let agrees = shown == known.as_deref() || shown.is_some() && shown == self.alias.as_deref();
        // A question on a screen that moves is believed when it is seen a second time.
        if !agrees && (!seen.moving || shown.is_none() || shown == self.shown.as_deref()) {
            effects.push(Effect::Look);
        }
        self.shown = shown.map(str::to_owned);
        if known.is_none() && seen.prompt.is_none() {
            self.watch_unseen(seen, now, effects);
        }
    }

    /// tmux's account, which decides.
    pub(super) fn take_referee(&mut self, seen: Seen, now: Moment, effects: &mut Vec<Effect>) {
        self.note_work(&seen, now);
        let Some(prompt) = seen.prompt.clone() else {
            return self.take_no_prompt(&seen, now, effects);
        };
        (self.recheck, self.missed) = (None, None);
        self.alias = self.shown.clone().filter(|shown| *shown != prompt.question.fingerprint);
        self.prompt = Some(prompt.clone());
        if prompt.kind == PromptKind::Ready {
            return self.take_ready(&prompt, now, effects);
        }
        let fingerprint = &prompt.question.fingerprint;
        if let Some((known, until)) = &self.answered
            && known == fingerprint
            && now < *until
        {
            self.recheck = Some(*until);
            return;
        }
        if let Some(standing) = &mut self.standing {
            if standing.need.fingerprint() == Some(fingerprint.as_str()) {
                return;
            }
            let held = self.input_at.is_some_and(|typed| typed + prompt.patience_ms > now);
            if standing.need.is_on_screen() && (self.input_at > Some(standing.told_at) || held) {
                // It is gone, whatever becomes of the one in its place.
                let why = self.went_on();
                self.withdraw(why, effects);
                return self.raise(Need::prompt(&prompt, now), 0, now, effects);
            }
            // Told by a hook before it was seen: the same occasion.
            if standing.need.rank == Rank::Waiting && standing.need.question.is_none() {
                standing.need.question = Some(prompt.question);
                return;
            }
        }
        self.raise(Need::prompt(&prompt, now), 0, now, effects);
    }

    /// A coding agent shows that it has nothing to do.
    fn take_ready(&mut self, prompt: &Prompt, now: Moment, effects: &mut Vec<Effect>) {
        let asked = self.standing.as_ref().is_some_and(|standing| standing.need.is_on_screen());
        if asked {
            self.withdraw(self.went_on(), effects);
        }
        self.pending.take_if(|pending| pending.need.is_on_screen());
        let (since, at) = (self.busy_since.take(), self.busy_at.take());
        let worked = since.zip(at).is_some_and(|(since, at)| at.saturating_sub(since) >= WORTH_MS);
        if worked && !self.finished {
            self.finished = true;
            self.raise(Need::ready(prompt, now), 0, now, effects);
        }
    }

    fn take_no_prompt(&mut self, seen: &Seen, now: Moment, effects: &mut Vec<Effect>) {
        if self.fingerprint().is_some() {
            let missed = *self.missed.get_or_insert(now);
            if now.saturating_sub(missed) < RECHECK_MS {
                self.recheck = Some(missed + RECHECK_MS);
                return;
            }
        }
        (self.prompt, self.missed, self.recheck) = (None, None, None);
        self.pending.take_if(|pending| pending.need.is_on_screen());
        if self.standing.as_ref().is_some_and(|standing| standing.need.is_on_screen()) {
            self.withdraw(self.went_on(), effects);
        } else {
            self.watch_unseen(seen, now, effects);
        }
    }

    /// Looks for signs that what was told without a question on the screen is over.
    fn watch_unseen(&mut self, seen: &Seen, now: Moment, effects: &mut Vec<Effect>) {
        let typed = self.input_at;
        let Some(standing) = &mut self.standing else { return };
        standing.worked = if seen.working { standing.worked + 1 } else { 0 };
        let typed = typed.is_some_and(|at| at > standing.told_at);
        let works = standing.worked > 1 && now.saturating_sub(standing.told_at) >= 1000;
        let changed = match standing.anchor {
            Some(anchor) => anchor != seen.digest,
            None => {
                standing.anchor = (!seen.moving).then_some(seen.digest);
                false
            }
        };
        if works || typed && changed {
            self.withdraw(self.went_on(), effects);
        }
    }

    fn note_work(&mut self, seen: &Seen, now: Moment) {
        if seen.working {
            self.busy_since.get_or_insert(now);
            self.busy_at = Some(now);
            self.finished = false;
        }
    }

    /// The question that is believed to be on the screen.
    pub(super) fn fingerprint(&self) -> Option<String> {
        let prompt = self.prompt.as_ref().map(|prompt| prompt.question.fingerprint.as_str());
        let standing = self.standing.as_ref().and_then(|standing| standing.need.fingerprint());
        let pending = self.pending.as_ref().and_then(|pending| pending.need.fingerprint());
        prompt.or(standing).or(pending).map(str::to_owned)
    }
}
