//! Hours in an instant: a user, channels, and what is sent as time passes.

use super::*;
use crate::notifications::Quiet;

/// 2026-01-10T12:00:00Z.
const NOON: i64 = 1_768_046_400_000;

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;

/// A user whose decisions are carried out as the store does.
struct World {
    situation: Situation,
    /// When each is due.
    due: Vec<(NotificationId, Option<i64>)>,
    sent: Vec<(i64, Planned)>,
}

impl World {
    fn new() -> Self {
        let channel = |escalation| PlanChannel { id: ChannelId::random(), escalation, replaces: !escalation };
        let situation = Situation {
            now_ms: NOON,
            preferences: Preferences::default(),
            present: false,
            items: Vec::new(),
            pushes: Vec::new(),
            escalations: Vec::new(),
            channels: vec![channel(false), channel(true)],
            displayed: Vec::new(),
        };
        Self { situation, due: Vec::new(), sent: Vec::new() }
    }

    fn arrives(&mut self, session: &SessionId, severity: Severity) -> NotificationId {
        let now = self.situation.now_ms;
        let item = Item {
            id: NotificationId::random(),
            session: Some(session.clone()),
            severity,
            signal_ms: now,
            created_at_ms: now,
            pushed_at_ms: None,
            escalated_at_ms: None,
            over: false,
            muted: false,
        };
        self.due.push((item.id.clone(), Some(now)));
        self.situation.items.push(item.clone());
        self.decide();
        item.id
    }

    fn ends(&mut self, id: &NotificationId) {
        let item = self.situation.items.iter_mut().find(|item| item.id == *id).unwrap();
        item.over = true;
        self.decide();
    }

    fn decide(&mut self) {
        let over = |situation: &Situation, about: &[NotificationId]| {
            about.iter().all(|id| situation.items.iter().any(|item| item.id == *id && item.over))
        };
        for (shown, (_, planned)) in self.situation.displayed.clone().iter().zip(&self.sent) {
            let is_over = over(&self.situation, &planned.about);
            let shown = shown.delivery.clone();
            self.situation
                .displayed
                .iter_mut()
                .filter(|one| one.delivery == shown)
                .for_each(|one| one.over = is_over);
        }
        let decided = plan(&self.situation);
        let now = self.situation.now_ms;
        for item in &mut self.situation.items {
            if decided.pushed.contains(&item.id) {
                item.pushed_at_ms = Some(now);
            }
            if decided.escalated.contains(&item.id) {
                item.escalated_at_ms = Some(now);
            }
        }
        if !decided.pushed.is_empty() {
            self.situation.pushes.push(now);
        }
        if !decided.escalated.is_empty() {
            self.situation.escalations.push(now);
        }
        for (id, due) in decided.due {
            self.due.retain(|(other, _)| *other != id);
            self.due.push((id, due));
        }
        self.situation.displayed.retain(|shown| !decided.withdrawn.contains(&shown.delivery));
        self.sent.extend(decided.messages.into_iter().map(|message| (now, message)));
    }

    /// Lets time pass; whatever becomes due is decided when it does.
    fn pass(&mut self, ms: i64) {
        let end = self.situation.now_ms + ms;
        while let Some(next) = self.due.iter().filter_map(|(_, due)| *due).min().filter(|due| *due <= end) {
            assert!(next > self.situation.now_ms, "due, and nothing was decided");
            self.situation.now_ms = next;
            self.decide();
        }
        self.situation.now_ms = end;
    }

    /// What was sent by channels of that kind since: seconds after noon, and how many notifications it is about.
    fn told(&self, escalation: bool) -> Vec<(i64, String, usize)> {
        let channel = &self.situation.channels.iter().find(|one| one.escalation == escalation).unwrap().id;
        let theirs = self.sent.iter().filter(|(_, message)| message.channel == *channel);
        theirs.map(|(at, one)| ((at - NOON) / SECOND, one.tag.clone(), one.about.len())).collect()
    }

    fn quiet(&mut self, from_minute: u16, to_minute: u16, urgent_breaks_through: bool) {
        let time_zone = "UTC".into();
        self.situation.preferences.quiet =
            Some(Quiet { time_zone, from_minute, to_minute, urgent_breaks_through });
    }
}

#[test]
fn the_first_goes_at_once_and_only_once() {
    let (mut world, session) = (World::new(), SessionId::random());
    world.arrives(&session, Severity::Warning);
    world.pass(24 * HOUR);
    assert_eq!(world.told(false), [(0, session.to_string(), 1)]);
    assert!(world.told(true).is_empty(), "nobody asked for an escalation");
    assert!(world.sent[0].1.urgent);
}

#[test]
fn a_flood_is_a_few_messages() {
    let (mut world, session) = (World::new(), SessionId::random());
    for _ in 0..590 {
        world.arrives(&session, Severity::Info);
        world.pass(100);
    }
    let told = world.told(false);
    assert_eq!(told.len(), 3, "in a minute: {told:?}");
    world.pass(HOUR);
    let told = world.told(false);
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told[3].2, 590, "the last one tells of all that waited");
    assert!(told.iter().all(|one| one.1 == session.as_str()), "each replaces the one before");
}

#[test]
fn three_sessions_are_told_of_as_a_number() {
    let mut world = World::new();
    let sessions = [SessionId::random(), SessionId::random(), SessionId::random()];
    for session in &sessions {
        world.arrives(session, Severity::Warning);
        world.pass(SECOND);
    }
    let told = world.told(false);
    assert_eq!(told[1], (1, sessions[1].to_string(), 1));
    assert_eq!(told[2], (2, TAG_ALL.to_owned(), 3));
}

#[test]
fn a_user_who_has_a_page_open_may_look_first() {
    let (mut world, session) = (World::new(), SessionId::random());
    world.situation.present = true;
    let seen = world.arrives(&session, Severity::Warning);
    world.pass(SECOND);
    world.ends(&seen);
    world.pass(HOUR);
    assert!(world.sent.is_empty(), "it was seen in time: {:?}", world.sent);
    world.arrives(&session, Severity::Warning);
    world.pass(HOUR);
    assert_eq!(world.told(false).len(), 1, "a page that is open is no proof that somebody looks");
}

#[test]
fn what_came_late_waits_for_what_may_have_ended_it() {
    let (mut world, session) = (World::new(), SessionId::random());
    let id = world.arrives(&session, Severity::Warning);
    world.sent.clear();
    let item = &mut world.situation.items[0];
    (item.pushed_at_ms, item.signal_ms) = (None, NOON - HOUR);
    world.situation.pushes.clear();
    world.decide();
    assert!(world.sent.is_empty());
    world.pass(SECOND);
    world.ends(&id);
    world.pass(HOUR);
    assert!(world.sent.is_empty());
}

#[test]
fn quiet_hours_hold_back_until_they_end() {
    let (mut world, session) = (World::new(), SessionId::random());
    // Until 14:00.
    world.quiet(11 * 60, 14 * 60, true);
    world.arrives(&session, Severity::Warning);
    world.arrives(&SessionId::random(), Severity::Info);
    let urgent = SessionId::random();
    world.arrives(&urgent, Severity::Urgent);
    assert_eq!(world.told(false), [(0, urgent.to_string(), 1)]);
    world.pass(3 * HOUR);
    assert_eq!(world.told(false)[1..], [(7200, TAG_ALL.to_owned(), 3)]);

    let mut strict = World::new();
    strict.quiet(11 * 60, 14 * 60, false);
    strict.arrives(&urgent, Severity::Urgent);
    strict.pass(HOUR);
    assert!(strict.sent.is_empty());
}

#[test]
fn a_muted_session_is_silent_and_stays_so_for_what_came_meanwhile() {
    let (mut world, session) = (World::new(), SessionId::random());
    let id = world.arrives(&session, Severity::Urgent);
    world.sent.clear();
    let item = &mut world.situation.items[0];
    (item.pushed_at_ms, item.muted) = (None, true);
    world.decide();
    world.pass(HOUR);
    assert!(world.sent.is_empty());
    assert!(world.due.contains(&(id, None)));
}

#[test]
fn what_nobody_saw_goes_to_the_second_channel() {
    let (mut world, session) = (World::new(), SessionId::random());
    world.situation.preferences.escalate_after_secs = Some(300);
    world.arrives(&session, Severity::Warning);
    let seen = world.arrives(&SessionId::random(), Severity::Warning);
    world.pass(60 * SECOND);
    world.ends(&seen);
    world.pass(HOUR);
    assert_eq!(world.told(true), [(300, session.to_string(), 1)]);
}

#[test]
fn what_is_over_is_taken_back_where_that_is_possible() {
    let (mut world, session) = (World::new(), SessionId::random());
    let id = world.arrives(&session, Severity::Warning);
    let channel = world.situation.channels[0].id.clone();
    let shown = Displayed {
        delivery: DeliveryId::random(),
        channel: channel.clone(),
        tag: session.to_string(),
        over: false,
    };
    world.situation.displayed.push(shown);
    world.pass(SECOND);
    world.ends(&id);
    let (_, last) = world.sent.last().unwrap();
    assert_eq!((last.what, &last.tag, &last.channel), (What::Withdraw, &session.to_string(), &channel));
    assert!(world.situation.displayed.is_empty());
    let sent = world.sent.len();
    world.decide();
    assert_eq!(world.sent.len(), sent, "it is taken back once");
}

#[test]
fn what_is_replaced_is_not_taken_back_besides() {
    let (mut world, session) = (World::new(), SessionId::random());
    let first = world.arrives(&session, Severity::Warning);
    let shown = Displayed {
        delivery: DeliveryId::random(),
        channel: world.situation.channels[0].id.clone(),
        tag: session.to_string(),
        over: true,
    };
    world.situation.displayed.push(shown);
    world.situation.items.iter_mut().filter(|item| item.id == first).for_each(|item| item.over = true);
    world.arrives(&session, Severity::Warning);
    assert!(world.sent.iter().all(|(_, message)| message.what == What::Show));
    assert!(world.situation.displayed.is_empty());
}
