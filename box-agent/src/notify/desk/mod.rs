//! The one task that keeps the minds of all panes: it passes evidence to them and does what they say.
//!
//! ```text
//!   taps ───┐                                   ┌─▶ events, with what stands, in one transaction
//!   hooks ──┤                                   ├─▶ the status board
//!   survey ─┼─▶ desk ─▶ mind of the pane ──────▶┤
//!   looks ──┤                                   └─▶ a look (tmux says what the screen shows)
//!   clock ──┘
//! ```

mod clock;
mod hooks;
mod ledger;
mod pane;
mod taps;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::attention::ObservedAttention;
use berth_protocol::ids::SessionId;
use nix::unistd::Uid;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::clock::Clock;
use self::ledger::Ledger;
use self::pane::PaneDesk;
use super::board;
use super::evidence::evidence;
use super::fusion::Effect;
use super::intake::{Intake, Word};
use super::patterns::Patterns;
use super::signal::{Moment, Signal};
use super::tap::report::Report;
use crate::events::Events;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::attention::PaneKey;
use crate::terminal::pipes::Glance;
use crate::terminal::survey::Survey;
use crate::terminal::tmux::{Tmux, TmuxError};
use crate::troubles::Troubles;

/// How often everything is looked after.
const TICK: Duration = Duration::from_secs(1);

/// Panes whose minds are kept: as many as are told of.
const MAX_PANES: usize = 512;

/// Looks whose answers may wait.
const LOOKS: usize = 64;

/// What the desk needs.
pub struct Desk {
    /// The server that has the panes.
    pub tmux: Tmux,
    /// What programs look like.
    pub patterns: Arc<Patterns>,
    /// Where what is told goes.
    pub events: Events,
    /// What was told.
    pub store: Store,
    /// The panes that there are.
    pub survey: watch::Receiver<Survey>,
    /// How many terminals each session has.
    pub presence: watch::Receiver<BTreeMap<SessionId, u32>>,
    /// What is believed, for everybody who wants to know.
    pub attention: watch::Sender<Option<ObservedAttention>>,
    /// What taps, hooks and answers say.
    pub intake: Intake,
    /// Counters.
    pub metrics: Metrics,
    /// Where it is said when something can't be done.
    pub troubles: Troubles,
    /// Whether panes are tapped.
    pub taps: bool,
    /// This program, which taps run.
    pub agent: PathBuf,
    /// The agent's socket, which taps report to.
    pub socket: PathBuf,
    /// Where hooks leave what nobody hears, and whose that is.
    pub spool: (PathBuf, Uid),
}

/// The desk at work.
struct Working {
    desk: Desk,
    clock: Clock,
    ledger: Ledger,
    panes: BTreeMap<u32, PaneDesk>,
    /// Which tmux server they are of.
    server: String,
    looked: mpsc::Sender<Looked>,
}

/// What a look has brought.
struct Looked {
    pane: u32,
    glance: Result<Option<Glance>, TmuxError>,
}

impl Desk {
    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        // Before anything is read: whoever speaks from now on is heard.
        let mut words = self.intake.open();
        let (looked, mut looks) = mpsc::channel(LOOKS);
        let ledger = Ledger::new(self.events.clone(), self.metrics.clone(), self.troubles.clone());
        let (panes, server) = (BTreeMap::new(), String::new());
        let mut working = Working { desk: self, clock: Clock::start(), ledger, panes, server, looked };
        working.begin().await;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut survey = working.desk.survey.clone();
        loop {
            let due = working.due();
            tokio::select! {
                // Cancel-safe, all: channels, a watch channel, timers and a token.
                Some(word) = words.recv() => working.hear(word).await,
                Some(looked) = looks.recv() => working.take_look(looked).await,
                Ok(()) = survey.changed() => working.take_survey().await,
                _ = ticks.tick() => working.tick().await,
                () = working.clock.until(due) => working.tend().await,
                () = stop.cancelled() => return,
            }
        }
    }
}

impl Working {
    fn server_name(&self) -> String {
        let server = self.desk.tmux.server();
        server.and_then(|server| serde_json::to_string(&server).ok()).unwrap_or_default()
    }

    fn panes_of_survey(&self) -> BTreeMap<u32, SessionId> {
        let survey = self.desk.survey.borrow();
        let all = survey.iter().flat_map(|(session, seen)| {
            seen.panes().filter_map(move |pane| Some((pane.number()?, session.clone())))
        });
        all.take(MAX_PANES).collect()
    }

    /// When a mind or a tap has something to do.
    fn due(&self) -> Option<Moment> {
        let minds = self.panes.values().filter_map(PaneDesk::due);
        minds.chain(self.ledger.due()).min()
    }

    async fn hear(&mut self, word: Word) {
        match word {
            Word::TapBegan { pane, tap, sizes } => {
                if let Some(desk) = self.panes.get_mut(&pane) {
                    desk.taps.began(tap, sizes, self.clock.now());
                    self.look(pane);
                }
            }
            Word::Tapped { pane, report } => self.take_report(pane, report).await,
            Word::TapEnded { pane, tap, orderly } => {
                if let Some(desk) = self.panes.get_mut(&pane) {
                    desk.taps.ended(tap, orderly, self.clock.now());
                }
            }
            Word::Hook { caller, message, kept } => self.hear_hook(caller, message, kept).await,
            Word::Answered { pane, notification } => {
                let asked = self.panes.get(&pane).and_then(PaneDesk::notification);
                if asked == Some(&notification) {
                    self.give(pane, Signal::Answered).await;
                }
            }
        }
    }

    async fn take_report(&mut self, pane: u32, report: Report) {
        let Some(desk) = self.panes.get_mut(&pane) else { return };
        self.desk.metrics.attention_dropped(report.dropped);
        let patterns = self.desk.patterns.clone();
        if report.bells > 0 {
            // Who rings is asked now: in a moment it may be another.
            let foreground = desk.foreground(&patterns);
            self.give_all(pane, foreground.map(Signal::Foreground)).await;
        }
        let (mut signals, bell) = evidence(report, &patterns);
        if let Some(bell) = bell {
            let attended = self.is_attended(pane);
            let Some(desk) = self.panes.get_mut(&pane) else { return };
            if attended && !desk.runs_a_shell() {
                // Whoever sits before it may have made it ring; a look tells when somebody typed.
                desk.after_look.push(bell);
                self.look(pane);
            } else {
                signals.push(bell);
            }
        }
        for signal in &signals {
            self.desk.metrics.signal_of(signal);
        }
        self.give_all(pane, signals).await;
    }

    fn is_attended(&self, pane: u32) -> bool {
        let session = self.panes.get(&pane).map(|desk| &desk.session);
        session
            .is_some_and(|session| self.desk.presence.borrow().get(session).is_some_and(|count| *count > 0))
    }

    async fn give(&mut self, pane: u32, signal: Signal) {
        self.give_all(pane, [signal]).await;
    }

    /// Passes evidence to a mind, and does what it says.
    async fn give_all(&mut self, pane: u32, signals: impl IntoIterator<Item = Signal>) {
        let now = self.clock.now();
        let Some(desk) = self.panes.get_mut(&pane) else { return };
        let mut effects = Vec::new();
        for signal in signals {
            effects.extend(desk.mind.take(signal, now));
        }
        self.act(pane, effects).await;
    }

    async fn act(&mut self, pane: u32, effects: Vec<Effect>) {
        let key = PaneKey { server: self.server.clone(), pane };
        let Some(desk) = self.panes.get_mut(&pane) else { return };
        let told = effects.iter().any(|effect| *effect != Effect::Look);
        let looks = effects.contains(&Effect::Look);
        if told || !desk.open_hooks.is_empty() && !desk.mind.waits_to_tell() {
            self.ledger.enter(key, desk, &effects, self.clock).await;
        }
        if looks {
            self.look(pane);
        }
        if told {
            self.publish();
        }
    }

    /// Has tmux say what a pane shows.
    fn look(&mut self, pane: u32) {
        let Some(desk) = self.panes.get_mut(&pane) else { return };
        if std::mem::replace(&mut desk.looking, true) {
            // What comes is not older than what is wished now, unless it is: then it is asked once more.
            desk.look_again = true;
            return;
        }
        let (tmux, looked) = (self.desk.tmux.clone(), self.looked.clone());
        tokio::spawn(async move {
            let glance = tmux.glance(pane).await;
            // The desk has closed.
            let _ = looked.send(Looked { pane, glance }).await;
        });
    }

    async fn take_look(&mut self, looked: Looked) {
        let Looked { pane, glance } = looked;
        let Some(desk) = self.panes.get_mut(&pane) else { return };
        (desk.looking, desk.looked_at) = (false, self.clock.now());
        let again = std::mem::take(&mut desk.look_again);
        let mut signals = Vec::new();
        match glance {
            Ok(Some(glance)) if glance.session == desk.session => {
                if let Some(at) = self.clock.of_second(glance.activity)
                    && desk.typed(glance.activity)
                {
                    signals.push(Signal::Input { at });
                }
                desk.taps.seen(glance.piped, glance.size);
                signals.push(Signal::Referee(self.desk.patterns.see(&glance.look())));
            }
            // The next survey says what has become of it.
            Ok(_) => {}
            Err(error) => tracing::debug!(pane, error = chain(&error), "a pane could not be looked at"),
        }
        signals.append(&mut desk.after_look);
        self.give_all(pane, signals).await;
        if again {
            self.look(pane);
        }
    }

    /// Compares the panes that there are with those that were.
    async fn take_survey(&mut self) {
        let (server, panes) = (self.server_name(), self.panes_of_survey());
        let same = server == self.server;
        let gone: Vec<u32> =
            self.panes.keys().filter(|pane| !same || !panes.contains_key(pane)).copied().collect();
        for pane in gone {
            self.give(pane, Signal::Gone).await;
            self.panes.remove(&pane);
        }
        self.server = server;
        let now = self.clock.now();
        for (pane, session) in panes {
            self.panes.entry(pane).or_insert_with(|| PaneDesk::new(session, now));
        }
        let mut typed = Vec::new();
        for (session, seen) in self.desk.survey.borrow().iter() {
            for window in &seen.windows {
                for (pane, number) in window.panes.iter().filter_map(|pane| Some((pane, pane.number()?))) {
                    let Some(desk) = self.panes.get_mut(&number) else { continue };
                    desk.session = session.clone();
                    desk.place(window, pane, number);
                    if desk.typed(seen.activity) {
                        typed.extend(self.clock.of_second(seen.activity).map(|at| (number, at)));
                    }
                }
            }
        }
        for (pane, at) in typed {
            self.give(pane, Signal::Input { at }).await;
        }
        self.publish();
    }

    /// Looks after everything.
    async fn tick(&mut self) {
        let patterns = self.desk.patterns.clone();
        let all: Vec<u32> = self.panes.keys().copied().collect();
        for pane in all {
            let Some(desk) = self.panes.get_mut(&pane) else { continue };
            let news = desk.foreground(&patterns);
            if let Some(foreground) = news {
                self.give(pane, Signal::Foreground(foreground)).await;
            }
        }
        if self.desk.taps {
            self.tend_taps().await;
        }
        // A hook that found nobody may be late with what it leaves.
        self.drain().await;
        self.tend().await;
        self.publish();
    }

    /// Does what is due.
    async fn tend(&mut self) {
        let now = self.clock.now();
        let all: Vec<u32> = self.panes.keys().copied().collect();
        for pane in all {
            let Some(desk) = self.panes.get_mut(&pane) else { continue };
            let effects = desk.mind.tick(now);
            self.act(pane, effects).await;
        }
        self.ledger.retry(now).await;
    }

    /// Puts taps where none are, and looks at panes that have none.
    async fn tend_taps(&mut self) {
        let now = self.clock.now();
        let wants: Vec<(u32, taps::Want)> =
            self.panes.iter_mut().filter_map(|(pane, desk)| Some((*pane, desk.taps.wants(now)?))).collect();
        for (pane, want) in wants {
            match want {
                taps::Want::Look => self.look(pane),
                taps::Want::Tap { again } => {
                    let (agent, socket) = (&self.desk.agent, &self.desk.socket);
                    match self.desk.tmux.tap(pane, agent, socket).await {
                        Ok(()) if again => self.desk.metrics.tap_restarted(),
                        Ok(()) => {}
                        Err(error) => {
                            tracing::debug!(pane, error = chain(&error), "a pane could not be tapped");
                        }
                    }
                }
            }
        }
        let there = self.panes.values().filter(|desk| desk.taps.is_there()).count();
        self.desk.metrics.taps.set(i64::try_from(there).unwrap_or(i64::MAX));
    }

    fn publish(&mut self) {
        let clock = self.clock;
        let board = board::board(self.panes.values_mut().map(|desk| desk.line(clock)));
        self.desk.attention.send_if_modified(|said| {
            let news = said.as_ref() != Some(&board);
            *said = Some(board);
            news
        });
    }
}
