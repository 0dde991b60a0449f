//! What is believed of a pane: the strongest evidence that is still fresh.

use berth_protocol::attention::{Activity, Evidence, Reason};

use super::{Mind, Need, Said};
use crate::notify::signal::{Moment, Progress, PromptKind};

/// How long output says that something works.
pub(super) const FRESH_MS: u64 = 3000;

/// Silence after work that makes one wonder.
const SILENCE_MS: u64 = 60_000;

impl Mind {
    /// Forms the belief anew.
    pub(super) fn believe(&mut self, now: Moment) {
        let (activity, evidence, confidence) = self.judged(now);
        let since = if self.said.activity == activity { self.said.since } else { now };
        self.said = Said { activity, evidence, confidence, since };
    }

    fn judged(&self, now: Moment) -> (Activity, Evidence, u8) {
        if self.gone {
            return (Activity::Gone, Evidence::Process, 100);
        }
        let pending = self.pending.as_ref().map(|pending| &pending.need);
        let needs = [self.standing.as_ref().map(|standing| &standing.need), pending];
        let asked = needs.into_iter().flatten().find_map(|need| Some((waits(need)?, need)));
        if let Some((activity, need)) = asked {
            return (activity, need.evidence, need.confidence);
        }
        let fresh = |at: Option<Moment>| at.is_some_and(|at| now.saturating_sub(at) < FRESH_MS);
        let stands = |reason| self.stands(reason);
        let works = fresh(self.busy_at);
        let shell = self.foreground.as_ref().is_some_and(|foreground| foreground.shell);
        let runs = self.foreground.as_ref().is_some_and(|foreground| foreground.running);
        match () {
            () if works => (Activity::Working, Evidence::Prompt, 85),
            () if self.progress == Progress::Failed || stands(Reason::Failed) => {
                (Activity::Failed, Evidence::Progress, 80)
            }
            () if self.progress == Progress::Running && !shell => (Activity::Working, Evidence::Progress, 85),
            () if self.progress == Progress::Paused && !shell => {
                (Activity::WaitingForInput, Evidence::Progress, 60)
            }
            () if stands(Reason::Done) => (Activity::Done, self.evidence_of_standing(), 90),
            () if self.is_ready() => (Activity::WaitingForInput, Evidence::Prompt, 60),
            () if self.title.is_some() && !shell => {
                (self.title.unwrap_or(Activity::Unknown), Evidence::Title, 60)
            }
            () if shell && !runs => (Activity::Idle, Evidence::Process, 85),
            () if fresh(self.output_at) => (Activity::Working, Evidence::Screen, 55),
            () if runs => (Activity::Working, Evidence::Process, 60),
            () if shell => (Activity::Idle, Evidence::Process, 70),
            () => self.silent(now),
        }
    }

    /// Neither output nor a sign of work.
    fn silent(&self, now: Moment) -> (Activity, Evidence, u8) {
        let Some(output_at) = self.output_at else { return (Activity::Idle, Evidence::Process, 20) };
        let worked = output_at.saturating_sub(self.output_since) >= FRESH_MS;
        if worked && now.saturating_sub(output_at) >= SILENCE_MS {
            return (Activity::WaitingForInput, Evidence::Silence, 30);
        }
        match self.foreground {
            Some(_) => (Activity::Working, Evidence::Process, 35),
            None => (Activity::Idle, Evidence::Silence, 30),
        }
    }

    fn is_ready(&self) -> bool {
        self.prompt.as_ref().is_some_and(|prompt| prompt.kind == PromptKind::Ready)
    }

    fn evidence_of_standing(&self) -> Evidence {
        self.standing.as_ref().map_or(Evidence::Unknown, |standing| standing.need.evidence)
    }
}

fn waits(need: &Need) -> Option<Activity> {
    match need.reason {
        Reason::WaitingForApproval => Some(Activity::WaitingForApproval),
        Reason::WaitingForInput => Some(Activity::WaitingForInput),
        _ => None,
    }
}
