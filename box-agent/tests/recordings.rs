//! Replays the recordings of `tests/recordings` through the real listener, patterns and fusion, in virtual time, and
//! compares what stands at each labelled moment with what should.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says so by panicking, its helpers too")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use berth_protocol::attention::Reason;
use box_agent::notify::evidence::evidence;
use box_agent::notify::fusion::{Effect, Mind};
use box_agent::notify::patterns::Patterns;
use box_agent::notify::signal::{Moment, Signal};
use box_agent::notify::tap::listener::Listener;
use box_agent::notify::tap::pace::Pace;
use serde_json::Value;

/// Where virtual time begins.
const START: Moment = 10_000_000;

/// How long tmux takes to say what a screen shows, milliseconds.
const LOOK_MS: u64 = 12;

/// How long before and after a notification a label may stand that explains it, milliseconds.
const EXPLAINED: (u64, u64) = (3000, 15_000);

struct Labelled {
    at: Moment,
    expect: BTreeSet<String>,
    note: String,
}

struct Recording {
    name: String,
    held_out: bool,
    size: (usize, usize),
    events: Vec<(Moment, String, String)>,
    moments: Vec<Labelled>,
}

fn recordings() -> Vec<Recording> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/recordings/casts");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "cast"));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a recording")]
fn moment(seconds: &Value) -> Moment {
    START + (seconds.as_f64().unwrap() * 1000.0) as u64
}

fn read(path: &Path) -> Recording {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let header = lines.next().unwrap();
    let size = |key: &str| usize::try_from(header[key].as_u64().unwrap()).unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let events = lines.map(|event| (moment(&event[0]), word(&event[1]), word(&event[2]))).collect();
    let about: Value =
        serde_json::from_str(&std::fs::read_to_string(path.with_extension("json")).unwrap()).unwrap();
    let moments = about["moments"].as_array().unwrap().iter().map(|label| Labelled {
        at: moment(&label["time"]),
        expect: word(&label["expect"]).split('|').map(str::to_owned).collect(),
        note: word(&label["note"]),
    });
    Recording {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        held_out: about["held_out"].as_bool().unwrap(),
        size: (size("width"), size("height")),
        events,
        moments: moments.collect(),
    }
}

fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::WaitingForApproval => "approval",
        Reason::WaitingForInput => "input",
        Reason::Done => "done",
        Reason::Failed => "failed",
        Reason::Message => "message",
        Reason::Berth | Reason::Unknown => "unknown",
    }
}

/// A pane whose output comes from a recording.
struct Replay<'a> {
    patterns: &'a Patterns,
    listener: Listener,
    pace: Pace,
    mind: Mind,
    now: Moment,
    look_at: Option<Moment>,
    told: Vec<(Moment, &'static str, String)>,
}

impl Replay<'_> {
    fn take(&mut self, signal: Signal) {
        let effects = self.mind.take(signal, self.now);
        self.act(effects);
    }

    fn act(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Look => {
                    self.look_at.get_or_insert(self.now + LOOK_MS);
                }
                Effect::Tell(need) => self.told.push((self.now, name(need.reason), need.text)),
                Effect::Withdraw(_) => {}
            }
        }
    }

    /// Lets the time pass.
    fn until(&mut self, end: Moment) {
        loop {
            let second = (self.now / 1000 + 1) * 1000;
            let due = [self.pace.due(self.listener.pending()), self.mind.due(), self.look_at, Some(second)];
            let due = due.into_iter().flatten().min().unwrap().max(self.now);
            if due > end {
                self.now = end;
                return;
            }
            self.now = due;
            if self.look_at.take_if(|at| *at <= due).is_some() {
                let seen = self.patterns.see(&self.listener.look());
                self.take(Signal::Referee(seen));
            }
            if let Some(report) = self.pace.report(&mut self.listener, due) {
                let (signals, bell) = evidence(report, self.patterns);
                signals.into_iter().chain(bell).for_each(|signal| self.take(signal));
            }
            let effects = self.mind.tick(due);
            self.act(effects);
        }
    }

    fn play(&mut self, kind: &str, data: &str) {
        match kind {
            "o" => self.hear(data.as_bytes()),
            "b" => self.hear(&data_encoding::BASE64.decode(data.as_bytes()).unwrap()),
            "i" => self.take(Signal::Input { at: self.now }),
            "r" => {
                let (columns, lines) = data.split_once('x').unwrap();
                self.listener.resize(columns.parse().unwrap(), lines.parse().unwrap());
            }
            "m" => {
                let about = data.strip_prefix("foreground ").unwrap();
                // A name may hold a space.
                let (name, state) = about.rsplit_once(' ').unwrap();
                self.take(Signal::Foreground(self.patterns.foreground(name, state == "running")));
            }
            other => panic!("an event of the kind {other}"),
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.listener.hear(bytes, self.now);
        self.pace.heard(self.now);
    }
}

/// How often it was right and wrong.
#[derive(Default)]
struct Score {
    recordings: usize,
    moments: usize,
    negative: usize,
    right: u32,
    wrong: u32,
    missed: u32,
    complaints: Vec<String>,
}

impl Score {
    fn add(&mut self, recording: &Recording, patterns: &Patterns) {
        let mut replay = Replay {
            patterns,
            listener: Listener::new(recording.size.0, recording.size.1),
            pace: Pace::default(),
            mind: Mind::new(START),
            now: START,
            look_at: None,
            told: Vec::new(),
        };
        self.recordings += 1;
        let mut events = recording.events.iter().peekable();
        for moment in &recording.moments {
            while let Some((at, kind, data)) = events.next_if(|event| event.0 < moment.at) {
                replay.until(*at);
                replay.play(kind, data);
            }
            replay.until(moment.at);
            let stands = replay.mind.standing().map(|standing| name(standing.need.reason));
            self.judge(recording, moment, stands);
        }
        for (at, reason, text) in &replay.told {
            let explains = |moment: &Labelled| {
                let near = (at - EXPLAINED.0..at + EXPLAINED.1).contains(&moment.at);
                near && moment.expect.contains(*reason)
            };
            if !recording.moments.iter().any(explains) {
                self.wrong += 1;
                let seconds = (at - START) / 100;
                self.complain(recording, format!("at {seconds} ds told of {reason} for nothing: {text}"));
            }
        }
    }

    fn judge(&mut self, recording: &Recording, moment: &Labelled, stands: Option<&str>) {
        self.moments += 1;
        self.negative += usize::from(moment.expect.contains("none"));
        let said = stands.unwrap_or("none");
        let right = moment.expect.contains(said);
        match (right, stands) {
            (true, Some(_)) => self.right += 1,
            (true, None) => {}
            (false, said) => {
                self.wrong += u32::from(said.is_some());
                self.missed += u32::from(!moment.expect.contains("none"));
            }
        }
        if !right {
            let seconds = (moment.at - START) / 100;
            self.complain(
                recording,
                format!("at {seconds} ds {said}, not {:?} ({})", moment.expect, moment.note),
            );
        }
    }

    fn complain(&mut self, recording: &Recording, what: String) {
        self.complaints.push(format!("{}: {what}", recording.name));
    }

    fn precision(&self) -> f64 {
        f64::from(self.right) / f64::from(self.right + self.wrong)
    }

    fn recall(&self) -> f64 {
        f64::from(self.right) / f64::from(self.right + self.missed)
    }
}

/// What is demanded of both sets.
const WANTED: f64 = 0.98;

#[test]
fn recordings_are_understood() {
    let patterns = Patterns::built_in();
    let (held_out, known): (Vec<_>, Vec<_>) =
        recordings().into_iter().partition(|recording| recording.held_out);
    let score = |recordings: &[Recording]| {
        let mut score = Score::default();
        recordings.iter().for_each(|recording| score.add(recording, &patterns));
        score
    };
    let scores = [("known", score(&known)), ("set aside", score(&held_out))];
    for (set, score) in &scores {
        println!(
            "{set}: {} recordings, {} moments ({} negative): precision {:.4}, recall {:.4}",
            score.recordings,
            score.moments,
            score.negative,
            score.precision(),
            score.recall()
        );
        score.complaints.iter().for_each(|complaint| println!("  {complaint}"));
    }
    let all = |count: fn(&Score) -> usize| scores.iter().map(|(_, score)| count(score)).sum::<usize>();
    let (recordings, moments) = (all(|score| score.recordings), all(|score| score.moments));
    assert!(recordings >= 60 && moments >= 300, "{recordings} recordings with {moments} moments");
    assert!(all(|score| score.negative) * 3 >= moments, "a third is negative");
    assert!(scores[1].1.recordings * 3 >= recordings, "a third is set aside");
    for (set, score) in &scores {
        assert!(score.right > 20, "{set}: the loop has looked at something");
        assert!(
            score.precision() >= WANTED && score.recall() >= WANTED,
            "{set} is not understood well enough"
        );
    }
}
