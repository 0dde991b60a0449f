//! The mind of one pane: takes evidence in, and says what is believed, what the user should be told, and when that is
//! no longer true. It touches nothing and knows no clock.
//!
//! ```text
//!   hooks ─┐                        ┌─▶ Tell       at most one notification stands for a pane
//!   tap   ─┼─▶ take ─▶ need ─▶ due ─┼─▶ Withdraw   before another, and when it is not true any more
//!   tmux  ─┘     └──▶ belief        └─▶ Look       let tmux say what the screen shows
//! ```
//!
//! The tap's account of a screen only leads to a look: what tmux shows decides whether a question stands. So a copy of
//! the screen that is not quite right costs a look, and never a wrong notification.

mod belief;
pub mod bucket;
mod need;
mod screen;
mod telling;
#[cfg(test)]
mod tests;

use berth_protocol::attention::{Activity, Evidence, Reason, WithdrawnBecause};

use self::bucket::Bucket;
pub use self::need::{Need, Rank};
use super::signal::{Foreground, HookSignal, Moment, Progress, Prompt, Signal};

/// How long a hook or a bell waits for the question to be on the screen: with it, it can be answered at once.
const HOLD_MS: u64 = 400;

/// A bell of a shell that completed nothing comes alone; one of a command is followed by something within this.
const FOLLOWED_MS: u64 = 250;

/// Whoever typed this recently made the program ring.
const TYPED_MS: u64 = 1500;

/// How long bells of one pane are one, unless somebody typed in between.
const BELL_COOLDOWN_MS: u64 = 60_000;

/// A question that is gone is looked for once more after this: programs draw in pieces.
const RECHECK_MS: u64 = 300;

/// How long a program that was answered may take to go on.
const ANSWERED_MS: u64 = 3000;

/// A message is overtaken when output has come in this many seconds after it.
const OVERTAKEN_SECONDS: u32 = 10;

/// What comes so soon after something was told is about the same.
const SAME_OCCASION_MS: u64 = 5000;

/// Work that lasted this long is worth a word when it is done.
const WORTH_MS: u64 = 3000;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The user is to be told. What stood was withdrawn before.
    Tell(Need),
    /// What was told is no longer true.
    Withdraw(WithdrawnBecause),
    /// tmux is to say what the screen shows.
    Look,
}

/// What is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The activity.
    pub activity: Activity,
    /// Where it comes from.
    pub evidence: Evidence,
    /// 0 to 100.
    pub confidence: u8,
    /// Since when.
    pub since: Moment,
}

/// What was told and is still true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What it was.
    pub need: Need,
    /// When it was told.
    pub told_at: Moment,
    /// The screen, when it first rested after that.
    anchor: Option<u64>,
    /// The last second of output after it, and how many there were.
    stirred: (u64, u32),
    /// Looks in a row that said that work goes on.
    worked: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    need: Need,
    due: Moment,
}

/// One pane's mind.
#[derive(Debug, Clone)]
pub struct Mind {
    said: Said,
    standing: Option<Standing>,
    pending: Option<Pending>,
    bucket: Bucket,
    hook_bucket: Bucket,
    lone_bell: Option<Moment>,
    last_bell: Option<Moment>,
    recheck: Option<Moment>,
    input_at: Option<Moment>,
    output_at: Option<Moment>,
    output_since: Moment,
    busy_since: Option<Moment>,
    busy_at: Option<Moment>,
    /// Questions that were just answered, by which they are known.
    answered: Option<(String, Moment)>,
    /// The question on the screen, told or not.
    prompt: Option<Prompt>,
    /// The tap's name for it, where it differs from tmux's.
    alias: Option<String>,
    /// What the tap saw last.
    shown: Option<String>,
    /// When a look missed the question for the first time.
    missed: Option<Moment>,
    /// Whether it was told that the work is done.
    finished: bool,
    progress: Progress,
    title: Option<Activity>,
    foreground: Option<Foreground>,
    gone: bool,
}

impl Mind {
    /// A pane of which nothing is known.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        let said = Said { activity: Activity::Idle, evidence: Evidence::Process, confidence: 20, since: now };
        Self {
            said,
            standing: None,
            pending: None,
            bucket: Bucket::new(6, 10_000),
            hook_bucket: Bucket::new(120, 1000),
            lone_bell: None,
            last_bell: None,
            recheck: None,
            input_at: None,
            output_at: None,
            output_since: now,
            busy_since: None,
            busy_at: None,
            answered: None,
            prompt: None,
            alias: None,
            shown: None,
            missed: None,
            finished: false,
            progress: Progress::Ended,
            title: None,
            foreground: None,
            gone: false,
        }
    }

    /// A pane of which something was told before, at `told_at`: it stands, until a look says otherwise.
    #[must_use]
    pub fn resumed(need: Need, told_at: Moment, now: Moment) -> Self {
        let mut mind = Self::new(now);
        mind.finished = need.reason == Reason::Done;
        mind.last_bell = (need.evidence == Evidence::Bell).then_some(told_at);
        mind.standing = Some(Standing::new(need, told_at));
        mind.believe(now);
        mind
    }

    /// What is believed.
    #[must_use]
    pub fn said(&self) -> Said {
        self.said
    }

    /// What stands.
    #[must_use]
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// Whether something is to be told that is not told yet.
    #[must_use]
    pub fn waits_to_tell(&self) -> bool {
        self.pending.is_some()
    }

    /// When [`Mind::tick`] has something to do at the latest.
    #[must_use]
    pub fn due(&self) -> Option<Moment> {
        let pending = self.pending.as_ref().map(|pending| pending.due);
        [pending, self.lone_bell, self.recheck].into_iter().flatten().min()
    }

    /// Takes evidence in.
    pub fn take(&mut self, signal: Signal, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.gone {
            return effects;
        }
        match signal {
            Signal::Hook(hook) => self.take_hook(hook, now, &mut effects),
            Signal::Notice { meaning, text } => {
                self.raise(Need::notice(meaning, text, now), HOLD_MS, now, &mut effects);
            }
            Signal::Bell { lone } => self.take_bell(lone, now, &mut effects),
            Signal::Output => self.take_output(now, &mut effects),
            Signal::Title(meaning) => self.title = meaning,
            Signal::Progress(progress) => self.take_progress(progress, now, &mut effects),
            Signal::Screen(seen) => self.take_screen(&seen, now, &mut effects),
            Signal::Referee(seen) => self.take_referee(seen, now, &mut effects),
            Signal::Foreground(foreground) => self.take_foreground(foreground, now, &mut effects),
            Signal::Input { at } => self.take_input(at, now, &mut effects),
            Signal::Answered => self.take_answer(now, &mut effects),
            Signal::Gone => {
                self.gone = true;
                self.pending = None;
                self.withdraw(WithdrawnBecause::Gone, &mut effects);
            }
        }
        self.tell_due(now, &mut effects);
        self.believe(now);
        effects
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.lone_bell.take_if(|due| *due <= now);
        if self.recheck.take_if(|due| *due <= now).is_some() {
            effects.push(Effect::Look);
        }
        self.tell_due(now, &mut effects);
        self.believe(now);
        effects
    }

    fn take_hook(&mut self, hook: HookSignal, now: Moment, effects: &mut Vec<Effect>) {
        self.finished = matches!(hook, HookSignal::Done(_));
        match hook {
            HookSignal::Started | HookSignal::Ended => {
                self.pending = None;
                (self.busy_since, self.busy_at) = (None, None);
                if self.standing.as_ref().is_some_and(|standing| standing.need.rank == Rank::Waiting) {
                    self.withdraw(self.went_on(), effects);
                }
            }
            // Told when it was done; that it then waits is no news.
            HookSignal::Input(_) if self.stands(Reason::Done) => self.finished = true,
            hook => {
                let hold = if matches!(hook, HookSignal::Approval(_)) { HOLD_MS } else { 0 };
                if let Some(need) = Need::hook(hook, now) {
                    self.raise(need, hold, now, effects);
                }
            }
        }
    }

    fn take_bell(&mut self, lone: bool, now: Moment, effects: &mut Vec<Effect>) {
        let foreground = self.foreground.clone().unwrap_or_default();
        if foreground.shell && lone {
            self.lone_bell = Some(now + FOLLOWED_MS);
        } else if !(foreground.quiet || !foreground.shell && self.typed_within(TYPED_MS, now)) {
            self.bell_counts(now, effects);
        }
    }

    fn bell_counts(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let rang = self.last_bell.replace(now);
        let recent = rang.is_some_and(|at| {
            now.saturating_sub(at) < BELL_COOLDOWN_MS && self.input_at.is_none_or(|typed| typed <= at)
        });
        if recent && self.pending.is_none() {
            return;
        }
        let foreground = self.foreground.clone().unwrap_or_default();
        // A coding agent rings when it asks, and what it asks is on the screen in a moment.
        let hold = if foreground.agent { HOLD_MS } else { 0 };
        self.raise(Need::bell(&foreground, now), hold, now, effects);
    }

    fn take_output(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if self.lone_bell.take().is_some_and(|due| now <= due) {
            self.bell_counts(now, effects);
        }
        if self.output_at.is_none_or(|at| now.saturating_sub(at) > belief::FRESH_MS) {
            self.output_since = now;
        }
        self.output_at = Some(now);
        let overtaken = self.standing.as_mut().is_some_and(|standing| {
            if standing.stirred.0 != now / 1000 {
                standing.stirred = (now / 1000, standing.stirred.1 + 1);
            }
            standing.need.rank == Rank::Message && standing.stirred.1 > OVERTAKEN_SECONDS
        });
        if overtaken {
            self.withdraw(WithdrawnBecause::WentOn, effects);
        }
    }

    fn take_progress(&mut self, progress: Progress, now: Moment, effects: &mut Vec<Effect>) {
        let before = std::mem::replace(&mut self.progress, progress);
        if progress == Progress::Failed && before != Progress::Failed {
            let name = self.foreground.as_ref().map(|foreground| foreground.name.as_str());
            self.raise(Need::failed(name.unwrap_or_default(), now), 0, now, effects);
        }
        if progress == Progress::Running && self.stands(Reason::Failed) {
            self.withdraw(WithdrawnBecause::WentOn, effects);
        }
    }

    fn take_foreground(&mut self, foreground: Foreground, now: Moment, effects: &mut Vec<Effect>) {
        let came_back = foreground.shell && self.foreground.as_ref().is_some_and(|before| !before.shell);
        self.foreground = Some(foreground);
        if !came_back {
            return;
        }
        // Whoever asked is gone.
        self.pending.take_if(|pending| pending.need.rank == Rank::Waiting);
        (self.prompt, self.busy_since, self.busy_at, self.title) = (None, None, None, None);
        if self
            .standing
            .as_ref()
            .is_some_and(|standing| standing.need.rank == Rank::Waiting && standing.told_at < now)
        {
            self.withdraw(self.went_on(), effects);
        }
    }

    fn take_input(&mut self, at: Moment, now: Moment, effects: &mut Vec<Effect>) {
        self.input_at = self.input_at.max(Some(at));
        if let Some(pending) = &mut self.pending {
            pending.due = pending.due.max(at + pending.need.patience_ms);
        }
        let seen = self.standing.as_ref().is_some_and(|standing| {
            standing.need.rank != Rank::Waiting && standing.told_at < at && at <= now
        });
        if seen {
            self.withdraw(WithdrawnBecause::Seen, effects);
        }
    }

    fn take_answer(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.answered = self.fingerprint().map(|fingerprint| (fingerprint, now + ANSWERED_MS));
        (self.prompt, self.pending, self.missed) = (None, None, None);
        // The program has yet to go on. What it asks then may be the very same, and nobody would see a change.
        self.recheck = Some(now + ANSWERED_MS);
        self.withdraw(WithdrawnBecause::Answered, effects);
    }

    fn stands(&self, reason: Reason) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.need.reason == reason)
    }

    fn typed_within(&self, limit: u64, now: Moment) -> bool {
        self.input_at.is_some_and(|at| now.saturating_sub(at) < limit)
    }
}
