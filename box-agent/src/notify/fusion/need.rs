//! What the user should know of a pane.

use berth_protocol::attention::{Activity, Evidence, Notification, PaneRef, Question, Reason, Severity};
use berth_protocol::ids::{NotificationId, SessionId};

use crate::notify::signal::{Foreground, HookSignal, Moment, Prompt, PromptKind};
use crate::notify::text::{for_notification, inert};

/// Characters of a process's name.
const MAX_NAME: usize = 30;

/// How much a need matters beside another of the same pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Something was said.
    Message,
    /// Something came to its end.
    Outcome,
    /// Somebody is waited for.
    Waiting,
}

/// Something that the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Why.
    pub reason: Reason,
    /// How much it matters.
    pub severity: Severity,
    /// Where it comes from.
    pub evidence: Evidence,
    /// 0 to 100.
    pub confidence: u8,
    /// What is said, inert.
    pub text: String,
    /// The question, when it was seen on the screen.
    pub question: Option<Question>,
    /// How much it matters beside others.
    pub rank: Rank,
    /// How long nobody must have typed before it is told.
    pub patience_ms: u64,
    /// When the evidence came.
    pub signal_at: Moment,
}

impl Need {
    fn of(reason: Reason, evidence: Evidence, confidence: u8, text: &str, now: Moment) -> Self {
        Self {
            reason,
            severity: severity(reason),
            evidence,
            confidence,
            text: for_notification(text),
            question: None,
            rank: rank(reason),
            patience_ms: 0,
            signal_at: now,
        }
    }

    /// What a hook says, if the user should know it.
    pub(super) fn hook(hook: HookSignal, now: Moment) -> Option<Self> {
        let (reason, text) = match hook {
            HookSignal::Approval(text) => (Reason::WaitingForApproval, text),
            HookSignal::Input(text) => (Reason::WaitingForInput, text),
            HookSignal::Done(text) => (Reason::Done, text),
            HookSignal::Message(text) => (Reason::Message, text),
            HookSignal::Started | HookSignal::Ended => return None,
        };
        Some(Self::of(reason, Evidence::Hook, 98, &text, now))
    }

    pub(super) fn notice(meaning: Option<Activity>, text: String, now: Moment) -> Self {
        let reason = match meaning {
            Some(Activity::WaitingForApproval) => Reason::WaitingForApproval,
            Some(Activity::WaitingForInput) => Reason::WaitingForInput,
            Some(Activity::Done) => Reason::Done,
            Some(Activity::Failed) => Reason::Failed,
            _ => Reason::Message,
        };
        Self::of(reason, Evidence::Notice, 90, &text, now)
    }

    pub(super) fn bell(foreground: &Foreground, now: Moment) -> Self {
        let text = match inert(&foreground.name, MAX_NAME) {
            name if name.is_empty() || foreground.shell => "The terminal bell rang".to_owned(),
            name => format!("{name} rang the bell"),
        };
        Self::of(Reason::Message, Evidence::Bell, 70, &text, now)
    }

    pub(super) fn failed(name: &str, now: Moment) -> Self {
        let text = match inert(name, MAX_NAME) {
            name if name.is_empty() => "It reports a failure".to_owned(),
            name => format!("{name} reports a failure"),
        };
        Self::of(Reason::Failed, Evidence::Progress, 80, &text, now)
    }

    pub(super) fn prompt(prompt: &Prompt, now: Moment) -> Self {
        let reason = match prompt.kind {
            PromptKind::Approval => Reason::WaitingForApproval,
            PromptKind::Input | PromptKind::Secret | PromptKind::Ready => Reason::WaitingForInput,
        };
        let need = Self::of(reason, Evidence::Prompt, prompt.confidence, &prompt.text, now);
        Self { question: Some(prompt.question.clone()), patience_ms: prompt.patience_ms, ..need }
    }

    pub(super) fn ready(prompt: &Prompt, now: Moment) -> Self {
        Self::of(Reason::Done, Evidence::Prompt, prompt.confidence, &prompt.text, now)
    }

    /// Whether the question was seen on the screen.
    #[must_use]
    pub fn is_on_screen(&self) -> bool {
        self.question.is_some()
    }

    /// The question's name.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        self.question.as_ref().map(|question| question.fingerprint.as_str())
    }

    /// Whether another says the same again.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self.fingerprint(), other.fingerprint()) {
            (Some(own), Some(other)) => own == other,
            // Two bells are one, whoever rang.
            _ if self.evidence == Evidence::Bell && other.evidence == Evidence::Bell => true,
            _ => self.reason == other.reason && self.text == other.text,
        }
    }

    /// Whether with another nothing is left to wait for: who asks, and the question on the screen.
    pub(super) fn completes(&self, other: &Self) -> bool {
        self.rank == Rank::Waiting
            && other.rank >= Rank::Message
            && self.is_on_screen() != other.is_on_screen()
    }

    /// One of two that belong together: the weightier one, with the question of either.
    pub(super) fn joined(self, other: Self) -> Self {
        // Evidence is ordered by its strength, the strongest first.
        let weight = |need: &Self| (need.rank, std::cmp::Reverse(need.evidence));
        let (first, mut best, rest) = if weight(&other) >= weight(&self) {
            (self.signal_at, other, self)
        } else {
            (self.signal_at, self, other)
        };
        if best.question.is_none() && rest.rank == best.rank {
            best.question = rest.question;
        }
        best.signal_at = first;
        best
    }

    /// As it is told.
    #[must_use]
    pub fn notification(&self, session: SessionId, pane: PaneRef, signal_ms: i64) -> Notification {
        let answerable = |question: &&Question| !question.choices.is_empty() || question.free_text;
        Notification {
            id: NotificationId::random(),
            session: Some(session),
            pane: Some(pane),
            reason: self.reason,
            severity: self.severity,
            evidence: self.evidence,
            confidence: self.confidence,
            text: self.text.clone(),
            question: self.question.as_ref().filter(answerable).cloned(),
            signal_ms,
        }
    }

    /// What was told once, after a restart of the agent. `fingerprint` is that of its question, also of one that could
    /// not be answered.
    #[must_use]
    pub fn told(notification: &Notification, fingerprint: Option<String>, now: Moment) -> Self {
        let unanswerable = |fingerprint| Question { fingerprint, choices: Vec::new(), free_text: false };
        Self {
            reason: notification.reason,
            severity: notification.severity,
            evidence: notification.evidence,
            confidence: notification.confidence,
            text: notification.text.clone(),
            question: notification.question.clone().or(fingerprint.map(unanswerable)),
            rank: rank(notification.reason),
            patience_ms: 0,
            signal_at: now,
        }
    }
}

fn severity(reason: Reason) -> Severity {
    match reason {
        Reason::WaitingForInput | Reason::WaitingForApproval | Reason::Failed => Severity::Warning,
        _ => Severity::Info,
    }
}

fn rank(reason: Reason) -> Rank {
    match reason {
        Reason::WaitingForInput | Reason::WaitingForApproval => Rank::Waiting,
        Reason::Done | Reason::Failed => Rank::Outcome,
        _ => Rank::Message,
    }
}
