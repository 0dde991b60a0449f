use berth_protocol::attention::{Question, Severity};
use proptest::prelude::*;

use super::*;
use crate::notify::signal::{PromptKind, Seen};

const NOW: Moment = 1_000_000;

fn prompt(name: &str, kind: PromptKind) -> Prompt {
    Prompt {
        pattern: "p".into(),
        kind,
        confidence: 90,
        patience_ms: 0,
        text: format!("Run {name}?"),
        question: Question { fingerprint: name.into(), choices: vec![], free_text: true },
    }
}

fn seen(prompt: Option<Prompt>, digest: u64) -> Seen {
    Seen { prompt, working: false, digest, moving: false }
}

fn asks(name: &str) -> Seen {
    seen(Some(prompt(name, PromptKind::Approval)), 1)
}

fn shell() -> Signal {
    Signal::Foreground(Foreground { name: "bash".into(), shell: true, ..Foreground::default() })
}

fn program(name: &str) -> Signal {
    Signal::Foreground(Foreground { name: name.into(), ..Foreground::default() })
}

/// Reasons that are told and why what stood is withdrawn, in one list.
fn said(effects: &[Effect]) -> Vec<String> {
    let one = |effect: &Effect| match effect {
        Effect::Tell(need) => Some(format!("tell {:?} {}", need.reason, need.text)),
        Effect::Withdraw(why) => Some(format!("withdraw {why:?}")),
        Effect::Look => None,
    };
    effects.iter().filter_map(one).collect()
}

#[test]
fn a_question_is_told_once_tmux_shows_it_and_taken_back_when_it_is_gone() {
    let mut mind = Mind::new(NOW);
    assert_eq!(mind.take(Signal::Screen(asks("a")), NOW), [Effect::Look]);
    let told = mind.take(Signal::Referee(asks("a")), NOW + 10);
    assert_eq!(said(&told), ["tell WaitingForApproval Run a?"]);
    assert_eq!(mind.said().activity, Activity::WaitingForApproval);
    assert!(mind.take(Signal::Screen(asks("a")), NOW + 900).is_empty(), "nothing new");
    assert!(mind.take(Signal::Referee(asks("a")), NOW + 1000).is_empty());

    assert_eq!(mind.take(Signal::Screen(seen(None, 2)), NOW + 2000), [Effect::Look]);
    assert!(mind.take(Signal::Referee(seen(None, 2)), NOW + 2010).is_empty(), "it may be drawn in pieces");
    assert_eq!(mind.due(), Some(NOW + 2010 + RECHECK_MS));
    assert_eq!(mind.tick(NOW + 2010 + RECHECK_MS), [Effect::Look]);
    let over = mind.take(Signal::Referee(seen(None, 2)), NOW + 2320);
    assert_eq!(said(&over), ["withdraw WentOn"]);
}

#[test]
fn who_typed_has_answered_and_another_question_takes_the_place_of_the_first() {
    let mut mind = Mind::new(NOW);
    mind.take(Signal::Referee(asks("a")), NOW);
    mind.take(Signal::Input { at: NOW + 500 }, NOW + 510);
    assert!(mind.standing().is_some(), "typing alone is no answer");
    let told = mind.take(Signal::Referee(asks("b")), NOW + 1000);
    assert_eq!(said(&told), ["withdraw Answered", "tell WaitingForApproval Run b?"]);
    let told = mind.take(Signal::Referee(asks("c")), NOW + 1500);
    assert_eq!(said(&told), ["withdraw Superseded", "tell WaitingForApproval Run c?"]);
    mind.take(Signal::Input { at: NOW + 2000 }, NOW + 2000);
    mind.take(Signal::Referee(seen(None, 2)), NOW + 2100);
    assert_eq!(said(&mind.take(Signal::Referee(seen(None, 2)), NOW + 2500)), ["withdraw Answered"]);
}

#[test]
fn a_question_that_is_asked_again_after_its_answer_is_told_again() {
    let mut mind = Mind::new(NOW);
    mind.take(Signal::Referee(asks("a")), NOW);
    assert_eq!(said(&mind.take(Signal::Answered, NOW + 1000)), ["withdraw Answered"]);
    assert!(said(&mind.take(Signal::Referee(asks("a")), NOW + 1100)).is_empty(), "it has yet to go on");
    assert_eq!(mind.due(), Some(NOW + 1000 + ANSWERED_MS));
    assert_eq!(mind.tick(NOW + 1000 + ANSWERED_MS), [Effect::Look]);
    let told = mind.take(Signal::Referee(asks("a")), NOW + 1010 + ANSWERED_MS);
    assert_eq!(said(&told), ["tell WaitingForApproval Run a?"]);
}

#[test]
fn a_hook_waits_a_moment_for_the_question_and_both_are_one() {
    let mut mind = Mind::new(NOW);
    let hook = || Signal::Hook(HookSignal::Approval("Claude wants to use Bash: ls".into()));
    assert_eq!(mind.take(hook(), NOW), [Effect::Look]);
    assert_eq!(mind.said().activity, Activity::WaitingForApproval);
    let told = mind.take(Signal::Referee(asks("a")), NOW + 100);
    let [Effect::Tell(need)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((need.evidence, need.fingerprint()), (Evidence::Hook, Some("a")));
    assert_eq!((need.text.as_str(), need.signal_at), ("Claude wants to use Bash: ls", NOW));
    assert!(said(&mind.take(Signal::Bell { lone: true }, NOW + 200)).is_empty(), "the bell says the same");

    // Without a screen that is understood.
    let mut mind = Mind::new(NOW);
    mind.take(hook(), NOW);
    assert_eq!(said(&mind.tick(NOW + HOLD_MS)), ["tell WaitingForApproval Claude wants to use Bash: ls"]);
    assert!(said(&mind.take(Signal::Referee(asks("a")), NOW + 900)).is_empty(), "the same occasion");
    assert!(said(&mind.take(Signal::Referee(asks("b")), NOW + 950)).len() == 2, "another one");
    let done = Signal::Hook(HookSignal::Done("Claude has finished".into()));
    assert_eq!(said(&mind.take(done, NOW + 5000)), ["withdraw WentOn", "tell Done Claude has finished"]);
    let idle = Signal::Hook(HookSignal::Input("Claude waits".into()));
    assert!(said(&mind.take(idle, NOW + 65_000)).is_empty(), "it was told that it is done");
}

#[test]
fn bells_are_one_until_somebody_types() {
    let mut mind = Mind::new(NOW);
    mind.take(shell(), NOW);
    let mut told = 0;
    for time in 0..5000 {
        told += said(&mind.take(Signal::Bell { lone: false }, NOW + time * 8)).len();
    }
    assert_eq!(told, 1);
    let typed = NOW + 45_000;
    assert_eq!(said(&mind.take(Signal::Input { at: typed }, typed)), ["withdraw Seen"]);
    let again = mind.take(Signal::Bell { lone: false }, typed + 2000);
    assert_eq!(said(&again), ["tell Message The terminal bell rang"]);
}

#[test]
fn a_program_that_rings_all_the_time_is_told_of_once() {
    let mut mind = Mind::new(NOW);
    mind.take(program("thing"), NOW);
    let (mut told, mut overtaken) = (0, 0);
    for second in 0..300 {
        let now = NOW + second * 1000;
        mind.take(Signal::Output, now).iter().for_each(|effect| {
            overtaken += u32::from(*effect == Effect::Withdraw(WithdrawnBecause::WentOn));
        });
        let effects = mind.take(Signal::Bell { lone: false }, now + 1);
        told += effects.iter().filter(|effect| matches!(effect, Effect::Tell(_))).count();
    }
    assert_eq!((told, overtaken), (1, 1), "each bell begins the minute anew");
}

#[test]
fn a_bell_that_answers_a_key_is_none() {
    let mut mind = Mind::new(NOW);
    mind.take(shell(), NOW);
    mind.take(Signal::Bell { lone: true }, NOW);
    assert!(said(&mind.tick(NOW + FOLLOWED_MS)).is_empty(), "a shell that has nothing to complete");
    mind.take(Signal::Bell { lone: true }, NOW + 1000);
    assert_eq!(said(&mind.take(Signal::Output, NOW + 1100)).len(), 1, "a command that ends with a bell");

    let mut mind = Mind::new(NOW);
    mind.take(program("thing"), NOW);
    mind.take(Signal::Input { at: NOW }, NOW);
    assert!(said(&mind.take(Signal::Bell { lone: true }, NOW + 100)).is_empty());
    assert_eq!(
        said(&mind.take(Signal::Bell { lone: true }, NOW + 5000)),
        ["tell Message thing rang the bell"]
    );
}

#[test]
fn whoever_types_is_there_and_is_told_later() {
    let mut mind = Mind::new(NOW);
    mind.take(Signal::Input { at: NOW }, NOW);
    let patient = Prompt { patience_ms: 8000, ..prompt("a", PromptKind::Secret) };
    let shown = || Signal::Referee(seen(Some(patient.clone()), 1));
    assert!(said(&mind.take(shown(), NOW + 500)).is_empty());
    mind.take(Signal::Input { at: NOW + 1000 }, NOW + 1000);
    assert!(said(&mind.tick(NOW + 8999)).is_empty());
    assert_eq!(said(&mind.tick(NOW + 9000)), ["tell WaitingForInput Run a?"]);
}

#[test]
fn what_a_program_asked_is_over_when_its_shell_is_back() {
    let mut mind = Mind::new(NOW);
    mind.take(program("apt"), NOW);
    mind.take(Signal::Referee(asks("a")), NOW);
    assert_eq!(said(&mind.take(shell(), NOW + 1000)), ["withdraw WentOn"]);
    assert_eq!(mind.said().activity, Activity::Idle);
}

#[test]
fn an_answer_is_believed_and_not_asked_again_at_once() {
    let mut mind = Mind::new(NOW);
    mind.take(Signal::Referee(asks("a")), NOW);
    assert_eq!(said(&mind.take(Signal::Answered, NOW + 1000)), ["withdraw Answered"]);
    assert!(said(&mind.take(Signal::Referee(asks("a")), NOW + 1500)).is_empty(), "it has not taken it yet");
    assert_eq!(
        said(&mind.take(Signal::Referee(asks("a")), NOW + 5000)).len(),
        1,
        "it has not taken it at all"
    );
}

#[test]
fn what_stood_before_a_restart_stands_and_is_not_told_again() {
    let mut first = Mind::new(NOW);
    first.take(Signal::Referee(asks("a")), NOW);
    let need = first.standing().unwrap().need.clone();
    let mut mind = Mind::resumed(need.clone(), NOW, NOW);
    assert_eq!(mind.said().activity, Activity::WaitingForApproval);
    assert!(said(&mind.take(Signal::Referee(asks("a")), NOW + 100)).is_empty());
    let mut mind = Mind::resumed(need, NOW, NOW);
    mind.take(Signal::Referee(seen(None, 3)), NOW + 100);
    assert_eq!(said(&mind.take(Signal::Referee(seen(None, 3)), NOW + 500)), ["withdraw WentOn"]);
    assert_eq!(
        said(&Mind::resumed(Need::bell(&Foreground::default(), NOW), NOW, NOW).take(Signal::Gone, NOW)),
        ["withdraw Gone"]
    );
}

#[test]
fn work_that_ends_at_a_prompt_is_done_once() {
    let mut mind = Mind::new(NOW);
    let ready = || Signal::Referee(seen(Some(prompt("r", PromptKind::Ready)), 1));
    assert!(said(&mind.take(ready(), NOW)).is_empty(), "it has done nothing yet");
    for second in 1..6 {
        let works = Seen { working: true, digest: second, ..Seen::default() };
        mind.take(Signal::Screen(works.clone()), NOW + second * 1000);
        mind.take(Signal::Referee(works), NOW + second * 1000 + 10);
        assert_eq!(mind.said().activity, Activity::Working);
    }
    assert_eq!(said(&mind.take(ready(), NOW + 6000)), ["tell Done Run r?"]);
    assert!(said(&mind.take(ready(), NOW + 7000)).is_empty());
}

fn any_seen() -> impl Strategy<Value = Seen> {
    let kind = prop_oneof![
        Just(PromptKind::Approval),
        Just(PromptKind::Input),
        Just(PromptKind::Secret),
        Just(PromptKind::Ready)
    ];
    let asked = (kind, 0_u8..3, 0_u64..9000)
        .prop_map(|(kind, name, patience_ms)| Prompt { patience_ms, ..prompt(&name.to_string(), kind) });
    (prop::option::of(asked), any::<bool>(), 0_u64..4, any::<bool>())
        .prop_map(|(prompt, working, digest, moving)| Seen { prompt, working, digest, moving })
}

fn any_signal() -> impl Strategy<Value = Signal> {
    let text = "[a-c]{1,3}".prop_map(String::from);
    prop_oneof![
        text.clone().prop_map(|text| Signal::Hook(HookSignal::Approval(text))),
        text.clone().prop_map(|text| Signal::Hook(HookSignal::Done(text))),
        Just(Signal::Hook(HookSignal::Started)),
        Just(Signal::Hook(HookSignal::Input("idle".into()))),
        (prop::option::of(Just(Activity::WaitingForApproval)), text)
            .prop_map(|(meaning, text)| Signal::Notice { meaning, text }),
        any::<bool>().prop_map(|lone| Signal::Bell { lone }),
        Just(Signal::Output),
        Just(Signal::Progress(Progress::Failed)),
        Just(Signal::Progress(Progress::Running)),
        any_seen().prop_map(Signal::Screen),
        any_seen().prop_map(Signal::Referee),
        any_seen().prop_map(Signal::Referee),
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(shell, quiet, agent, running)| {
                Signal::Foreground(Foreground { name: "x".into(), shell, quiet, agent, running })
            }
        ),
        Just(Signal::Input { at: NOW }),
        Just(Signal::Answered),
    ]
}

proptest! {
    #[test]
    fn at_most_one_notification_stands_and_all_is_bounded(
        steps in prop::collection::vec((any_signal(), 0_u64..4000), 1..80),
        gone in any::<bool>(),
    ) {
        let mut mind = Mind::new(NOW);
        let (mut now, mut stands, mut told) = (NOW, false, 0_u64);
        let end = gone.then_some((Signal::Gone, 0));
        for (signal, pause) in steps.into_iter().chain(end) {
            let until = now + pause;
            let mut effects = Vec::new();
            while let Some(due) = mind.due().filter(|due| *due <= until) {
                now = now.max(due);
                effects.extend(mind.tick(now));
                prop_assert!(mind.due().is_none_or(|next| next > now), "it never rests");
            }
            now = until;
            let signal = if let Signal::Input { .. } = signal { Signal::Input { at: now } } else { signal };
            effects.extend(mind.take(signal, now));
            for effect in effects {
                match effect {
                    Effect::Tell(need) => {
                        prop_assert!(!stands, "two stand");
                        prop_assert!(need.text.chars().count() <= 200 && need.severity != Severity::Unknown);
                        stands = true;
                        told += 1;
                    }
                    Effect::Withdraw(_) => {
                        prop_assert!(stands, "nothing stood");
                        stands = false;
                    }
                    Effect::Look => {}
                }
            }
            prop_assert_eq!(stands, mind.standing().is_some());
            let allowed = 6 + 120 + 2 * (now - NOW) / 1000;
            prop_assert!(told <= allowed);
        }
        if gone {
            prop_assert!(!stands && mind.said().activity == Activity::Gone);
            let bell = Signal::Bell { lone: false };
            prop_assert!(mind.take(bell, now + 1).is_empty());
        }
    }
}
