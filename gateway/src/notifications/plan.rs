//! What a user's channels are told, and when: pure, so that a test can let hours pass at once.
//!
//! Each notification goes out once, as soon as nothing speaks against it: that the user is at the page and may see it
//! there in a moment, quiet hours, that the session is muted, or that too much was sent in the last minute. What had to
//! wait goes out together. What several sessions want is one message that replaces those before it. What is over, because
//! it was seen, answered or is no longer true, is never sent, and is taken back where a channel can do that.

use std::collections::BTreeSet;

use berth_protocol::attention::Severity;
use berth_protocol::ids::{ChannelId, DeliveryId, NotificationId, SessionId};

use super::Preferences;

/// Messages in a row ...
const BURST: usize = 3;

/// ... and how far back they count, milliseconds.
pub const RECENT_MS: i64 = 60_000;

/// How long a message is taken to stand on a screen, milliseconds.
pub const STANDING_MS: i64 = 24 * 3_600_000;

/// How long a user who has a page open has to look before channels are told, milliseconds.
const PRESENT_MS: i64 = 2_000;

/// Evidence as old as that came late, milliseconds; what ended it meanwhile may follow ...
const LATE_MS: i64 = 60_000;

/// ... within this time, milliseconds.
const LATE_HOLD_MS: i64 = 3_000;

/// So many sessions are told of as a number.
const MANY: usize = 3;

/// The tag of a message about several sessions: it replaces all others.
pub const TAG_ALL: &str = "berth";

/// All that a decision depends on.
#[derive(Debug, Clone)]
pub struct Situation {
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
    /// What the user has chosen.
    pub preferences: Preferences,
    /// Whether the user has a page open.
    pub present: bool,
    /// What is to be thought of, and what stands on screens, oldest first.
    pub items: Vec<Item>,
    /// When messages were decided on, oldest first.
    pub pushes: Vec<i64>,
    /// The same, for what was not seen in time.
    pub escalations: Vec<i64>,
    /// Channels that work.
    pub channels: Vec<PlanChannel>,
    /// What stands on screens of channels that can take it back.
    pub displayed: Vec<Displayed>,
}

/// A notification in a user's inbox.
#[derive(Debug, Clone)]
pub struct Item {
    /// The notification.
    pub id: NotificationId,
    /// Its session.
    pub session: Option<SessionId>,
    /// How much it matters.
    pub severity: Severity,
    /// When the evidence came, by the box's clock.
    pub signal_ms: i64,
    /// When it was stored.
    pub created_at_ms: i64,
    /// When channels were told.
    pub pushed_at_ms: Option<i64>,
    /// When the channels for what was not seen were told.
    pub escalated_at_ms: Option<i64>,
    /// Whether it was seen or is no longer true.
    pub over: bool,
    /// Whether the user wants to hear nothing of its session.
    pub muted: bool,
}

/// A channel.
#[derive(Debug, Clone)]
pub struct PlanChannel {
    /// The channel.
    pub id: ChannelId,
    /// Whether it is for what was not seen in time.
    pub escalation: bool,
    /// Whether what it shows can be replaced and taken back.
    pub replaces: bool,
}

/// A message on a screen.
#[derive(Debug, Clone)]
pub struct Displayed {
    /// By which it came.
    pub delivery: DeliveryId,
    /// Where.
    pub channel: ChannelId,
    /// What replaces it.
    pub tag: String,
    /// Whether all that it says is over.
    pub over: bool,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Something to show.
    Show,
    /// Something shown is over.
    Withdraw,
    /// The user tries the channel.
    Test,
}

impl What {
    /// Its stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Show => "show",
            Self::Withdraw => "withdraw",
            Self::Test => "test",
        }
    }

    /// The other way.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "withdraw" => Self::Withdraw,
            "test" => Self::Test,
            _ => Self::Show,
        }
    }
}

/// A message to one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// To which.
    pub channel: ChannelId,
    /// What it is.
    pub what: What,
    /// What it replaces, and what will replace it.
    pub tag: String,
    /// Whether somebody waits.
    pub urgent: bool,
    /// What it is about.
    pub about: Vec<NotificationId>,
}

/// What was decided.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What is sent.
    pub messages: Vec<Planned>,
    /// What channels are told of now.
    pub pushed: Vec<NotificationId>,
    /// What the channels for the unseen are told of now.
    pub escalated: Vec<NotificationId>,
    /// When each has to be thought of again.
    pub due: Vec<(NotificationId, Option<i64>)>,
    /// What does not stand on a screen any more.
    pub withdrawn: Vec<DeliveryId>,
}

/// Decides.
#[must_use]
pub fn plan(situation: &Situation) -> Plan {
    let mut plan = Plan::default();
    let (fresh, unseen) = sort(situation, &mut plan);
    push(situation, &fresh, &mut plan);
    escalate(situation, &unseen, &mut plan);
    take_back(situation, &mut plan);
    plan
}

/// What channels have not been told and could be now, and what they were told and was not seen in time. Everything else
/// is put off, or is done with.
fn sort<'a>(situation: &'a Situation, plan: &mut Plan) -> (Vec<&'a Item>, Vec<&'a Item>) {
    let (mut fresh, mut unseen) = (Vec::new(), Vec::new());
    for item in &situation.items {
        if item.over || item.muted || item.escalated_at_ms.is_some() {
            plan.due.push((item.id.clone(), None));
            continue;
        }
        let ready = match item.pushed_at_ms {
            None => Some(item.created_at_ms + hold(situation, item)),
            Some(_) => escalates_at(situation, item),
        };
        let ready = ready.map(|ready| ready.max(quiet_until(situation, item).unwrap_or(ready)));
        match ready {
            Some(ready) if ready <= situation.now_ms => {
                if item.pushed_at_ms.is_none() {
                    fresh.push(item)
                } else {
                    unseen.push(item)
                }
            }
            other => plan.due.push((item.id.clone(), other)),
        }
    }
    (fresh, unseen)
}

fn hold(situation: &Situation, item: &Item) -> i64 {
    let late = item.created_at_ms - item.signal_ms > LATE_MS;
    let present = if situation.present { PRESENT_MS } else { 0 };
    present.max(if late { LATE_HOLD_MS } else { 0 })
}

fn escalates_at(situation: &Situation, item: &Item) -> Option<i64> {
    let after = situation.preferences.escalate_after_secs?;
    Some(item.created_at_ms + i64::from(after) * 1_000)
}

fn quiet_until(situation: &Situation, item: &Item) -> Option<i64> {
    let quiet = situation.preferences.quiet.as_ref()?;
    if item.severity == Severity::Urgent && quiet.urgent_breaks_through {
        return None;
    }
    situation.preferences.quiet_until(situation.now_ms)
}

/// When the next message may go.
fn allowed_at(recent: &[i64], now_ms: i64) -> i64 {
    let counted: Vec<i64> = recent.iter().copied().filter(|at| *at > now_ms - RECENT_MS).collect();
    match counted.len().checked_sub(BURST) {
        Some(first) => counted[first] + RECENT_MS,
        None => now_ms,
    }
}

fn push(situation: &Situation, fresh: &[&Item], plan: &mut Plan) {
    if fresh.is_empty() {
        return;
    }
    let allowed = allowed_at(&situation.pushes, situation.now_ms);
    if allowed > situation.now_ms {
        plan.due.extend(fresh.iter().map(|item| (item.id.clone(), Some(allowed))));
        return;
    }
    let message = gather(situation, fresh, |item| item.pushed_at_ms.is_some());
    for item in fresh {
        plan.pushed.push(item.id.clone());
        plan.due.push((item.id.clone(), escalates_at(situation, item)));
    }
    send(situation, false, &message, plan);
}

fn escalate(situation: &Situation, unseen: &[&Item], plan: &mut Plan) {
    if unseen.is_empty() {
        return;
    }
    let allowed = allowed_at(&situation.escalations, situation.now_ms);
    if allowed > situation.now_ms {
        plan.due.extend(unseen.iter().map(|item| (item.id.clone(), Some(allowed))));
        return;
    }
    let message = gather(situation, unseen, |item| item.escalated_at_ms.is_some());
    for item in unseen {
        plan.escalated.push(item.id.clone());
        plan.due.push((item.id.clone(), None));
    }
    send(situation, true, &message, plan);
}

/// What a message says.
struct Message {
    tag: String,
    urgent: bool,
    about: Vec<NotificationId>,
}

/// One message for all that is to be told, together with what `stands` already where it would be read with it.
fn gather(situation: &Situation, told: &[&Item], stands: impl Fn(&Item) -> bool) -> Message {
    let standing: Vec<&Item> =
        situation.items.iter().filter(|item| !item.over && !item.muted && stands(item)).collect();
    let places = |items: &[&Item]| items.iter().map(|item| item.session.clone()).collect::<BTreeSet<_>>();
    let (new, mut all) = (places(told), places(&standing));
    all.extend(new.iter().cloned());
    let urgent = told.iter().any(|item| item.severity != Severity::Info);
    let together = new.len() > 1 || all.len() >= MANY;
    let about = standing.iter().chain(told).filter(|item| together || new.contains(&item.session));
    let about: Vec<NotificationId> = about.map(|item| item.id.clone()).collect();
    let place = new.into_iter().next().flatten().map(|session| session.to_string());
    // What is about no session is replaced by nothing else.
    let tag = match (together, place) {
        (true, _) => TAG_ALL.to_owned(),
        (false, Some(session)) => session,
        (false, None) => told.last().map_or_else(|| TAG_ALL.to_owned(), |item| item.id.to_string()),
    };
    Message { tag, urgent, about }
}

fn send(situation: &Situation, escalation: bool, message: &Message, plan: &mut Plan) {
    for channel in situation.channels.iter().filter(|channel| channel.escalation == escalation) {
        plan.messages.push(Planned {
            channel: channel.id.clone(),
            what: What::Show,
            tag: message.tag.clone(),
            urgent: message.urgent,
            about: message.about.clone(),
        });
    }
}

/// What is replaced by a message of this plan needs no taking back.
fn take_back(situation: &Situation, plan: &mut Plan) {
    for shown in &situation.displayed {
        let replaced = plan.messages.iter().any(|message| {
            message.channel == shown.channel && (message.tag == shown.tag || message.tag == TAG_ALL)
        });
        let can = situation.channels.iter().any(|channel| channel.id == shown.channel && channel.replaces);
        if replaced || shown.over {
            plan.withdrawn.push(shown.delivery.clone());
        }
        if shown.over && !replaced && can {
            plan.messages.push(Planned {
                channel: shown.channel.clone(),
                what: What::Withdraw,
                tag: shown.tag.clone(),
                urgent: false,
                about: Vec::new(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
