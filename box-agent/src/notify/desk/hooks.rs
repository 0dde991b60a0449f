//! What the desk does with hooks, and what it takes up when it opens: hooks and notifications of the time before.

use std::collections::BTreeMap;

use berth_daemon::exit::chain;
use berth_protocol::ids::SessionId;
use tokio::sync::oneshot;

use super::pane::PaneDesk;
use super::{TICK, Working};
use crate::notify::hooks::{HookMessage, caller, spool};
use crate::notify::signal::Signal;
use crate::store::attention::{HookRow, PaneKey, Told};

impl Working {
    /// Takes up what was told before, and what was said meanwhile.
    pub(super) async fn begin(&mut self) {
        let standing = match self.desk.store.standing().await {
            Ok(standing) => standing,
            Err(error) => {
                tracing::warn!(error = chain(&error), "what was told of panes is not known");
                Vec::new()
            }
        };
        let mut survey = self.desk.survey.clone();
        // The first survey, without which every pane would be gone.
        let there = survey.wait_for(|survey| !survey.is_empty());
        let _ = tokio::time::timeout(TICK, there).await;
        self.server = self.server_name();
        let panes = self.panes_of_survey();
        for (key, told) in standing {
            self.resume(key, told, &panes).await;
        }
        self.take_survey().await;
        match self.desk.store.open_hooks().await {
            Ok(rows) => {
                for row in rows {
                    self.take_hook(row).await;
                }
            }
            Err(error) => tracing::warn!(error = chain(&error), "what hooks said is not known"),
        }
        self.drain().await;
    }

    async fn resume(&mut self, key: PaneKey, told: Told, panes: &BTreeMap<u32, SessionId>) {
        match panes.get(&key.pane).filter(|_| key.server == self.server) {
            Some(session) => {
                let desk = PaneDesk::resumed(session.clone(), told, self.clock);
                self.panes.insert(key.pane, desk);
                self.look(key.pane);
            }
            None => self.ledger.forget(key, &told.notification.id).await,
        }
    }

    /// Reads the spool.
    pub(super) async fn drain(&mut self) {
        let (directory, owner) = self.desk.spool.clone();
        let waiting = tokio::task::spawn_blocking(move || spool::waiting(&directory, owner)).await;
        for mut spooled in waiting.unwrap_or_default() {
            let Some(message) = spooled.message.take() else {
                spooled.done();
                continue;
            };
            let pane = caller::pane_by_words(&message, &self.desk.survey.borrow());
            // What can't be kept now stays where it is.
            if self.keep_hook(pane, message).await.is_ok() {
                spooled.done();
            }
        }
    }

    pub(super) async fn hear_hook(
        &mut self,
        caller: Option<i32>,
        message: HookMessage,
        kept: oneshot::Sender<Result<(), String>>,
    ) {
        let pane = match caller {
            _ if !message.is_sound() => None,
            Some(pid) => caller::pane_of(pid, &message, &self.desk.survey.borrow()),
            None => caller::pane_by_words(&message, &self.desk.survey.borrow()),
        };
        // Whoever has gone meanwhile says it again, and it has the same id then.
        let _ = kept.send(self.keep_hook(pane, message).await);
    }

    /// Keeps what a hook says and acts on it. One that is kept is not lost any more.
    async fn keep_hook(&mut self, pane: Option<u32>, message: HookMessage) -> Result<(), String> {
        let Some(pane) = pane else {
            // A coding agent outside of every session, or of one that has ended.
            tracing::debug!("a hook of no pane was let go");
            return Ok(());
        };
        let row = HookRow { id: message.id, pane, said: message.said };
        match self.desk.store.keep_hook(&row, self.clock.wall_ms()).await {
            Ok(true) => self.take_hook(row).await,
            Ok(false) => tracing::debug!(pane, "a hook was told before"),
            Err(error) => return Err(chain(&error)),
        }
        Ok(())
    }

    async fn take_hook(&mut self, row: HookRow) {
        if !self.panes.contains_key(&row.pane) {
            self.take_survey().await;
        }
        let Some(desk) = self.panes.get_mut(&row.pane) else {
            return self.ledger.close(vec![row.id]).await;
        };
        desk.open_hooks.push(row.id);
        let signal = Signal::Hook(row.said);
        self.desk.metrics.signal_of(&signal);
        self.give(row.pane, signal).await;
    }
}
