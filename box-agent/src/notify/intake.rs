//! The way to the desk: what taps, hooks and answers tell it. Taps and hooks come and go, the desk does with the volume.

use std::sync::{Arc, Mutex, PoisonError};

use berth_protocol::ids::NotificationId;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use super::hooks::HookMessage;
use super::tap::report::{Report, Size};
use crate::control::Answer;

/// Words that may wait for the desk; whoever says more waits.
const WAITING: usize = 256;

/// Sizes that may wait for a tap: only the last one counts.
const SIZES: usize = 4;

/// Bytes of one report. The largest has a screen of wide characters.
const MAX_REPORT: u64 = 128 * 1024;

/// What the desk is told.
#[derive(Debug)]
pub enum Word {
    /// A pane's tap is there.
    TapBegan {
        /// Which pane.
        pane: u32,
        /// Which tap of it.
        tap: u64,
        /// Where it is told the pane's size.
        sizes: mpsc::Sender<Size>,
    },
    /// What a tap reports.
    Tapped {
        /// Which pane.
        pane: u32,
        /// The report.
        report: Report,
    },
    /// A tap is gone.
    TapEnded {
        /// Which pane.
        pane: u32,
        /// Which tap of it.
        tap: u64,
        /// Whether it has said that it would go.
        orderly: bool,
    },
    /// What a hook says.
    Hook {
        /// The process that says it.
        caller: Option<i32>,
        /// What it says.
        message: HookMessage,
        /// Told when it is kept, or why it is not.
        kept: oneshot::Sender<Result<(), String>>,
    },
    /// A question was answered through the door.
    Answered {
        /// Which pane.
        pane: u32,
        /// The notification that asked.
        notification: NotificationId,
    },
}

/// The way to the desk. Clones lead to the same one.
#[derive(Debug, Clone, Default)]
pub struct Intake(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    desk: Option<mpsc::Sender<Word>>,
    taps: u64,
}

impl Intake {
    /// A desk opens; what is said from now on is said to it.
    #[must_use]
    pub fn open(&self) -> mpsc::Receiver<Word> {
        let (sender, receiver) = mpsc::channel(WAITING);
        self.state(|state| state.desk = Some(sender));
        receiver
    }

    fn state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn desk(&self) -> Option<mpsc::Sender<Word>> {
        self.state(|state| state.desk.clone()).filter(|desk| !desk.is_closed())
    }

    /// Tells the desk that a question was answered.
    pub async fn answered(&self, pane: u32, notification: NotificationId) {
        if let Some(desk) = self.desk() {
            // A desk that has just gone looks at every screen when it is back.
            let _ = desk.send(Word::Answered { pane, notification }).await;
        }
    }

    /// Passes on what a hook says, and returns when it can't be lost any more.
    ///
    /// # Errors
    /// Why it is not kept.
    pub async fn hook(&self, caller: Option<i32>, message: HookMessage) -> Result<(), String> {
        let away = || "nobody looks after notifications now".to_owned();
        let desk = self.desk().ok_or_else(away)?;
        let (kept, answer) = oneshot::channel();
        desk.send(Word::Hook { caller, message, kept }).await.map_err(|_| away())?;
        answer.await.map_err(|_| away())?
    }

    /// Reads a tap's reports for as long as it is there.
    pub async fn tap(
        &self,
        pane: u32,
        mut reader: impl AsyncBufRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
    ) {
        let Some(desk) = self.desk() else { return };
        let tap = self.state(|state| {
            state.taps += 1;
            state.taps
        });
        let (sizes, mut told) = mpsc::channel(SIZES);
        if desk.send(Word::TapBegan { pane, tap, sizes }).await.is_err() {
            return;
        }
        let (mut line, mut orderly) = (Vec::new(), false);
        loop {
            let mut limited = (&mut reader).take(MAX_REPORT - line.len() as u64);
            tokio::select! {
                // Cancel-safe: what was read in part stays in `line`.
                read = limited.read_until(b'\n', &mut line) => {
                    if read.is_err() || line.last() != Some(&b'\n') {
                        break;
                    }
                    // What a newer tap says beside, or a hand, is not understood, and that is the end of it.
                    let Ok(report) = serde_json::from_slice::<Report>(&line) else { break };
                    line.clear();
                    orderly = report.ended;
                    if desk.send(Word::Tapped { pane, report }).await.is_err() {
                        break;
                    }
                }
                size = told.recv() => match size {
                    Some(size) => {
                        let mut text = serde_json::to_vec(&Answer::Tap(size)).unwrap_or_default();
                        text.push(b'\n');
                        if writer.write_all(&text).await.is_err() {
                            break;
                        }
                    }
                    // The desk does not want it.
                    None => break,
                },
                // A desk that closes lets all its taps go: they come back to the next one.
                () = desk.closed() => break,
            }
        }
        let _ = desk.send(Word::TapEnded { pane, tap, orderly }).await;
    }
}
