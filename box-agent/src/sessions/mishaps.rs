//! What has happened to sessions without anybody's wish: told to the gateway once, and said of the session for a
//! while.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::event::OutOfMemory;
use berth_protocol::ids::SessionId;
use tokio::time::Instant;

use super::oom::KernelLog;
use crate::events::Events;

/// How long it is said.
const SAID_FOR: Duration = Duration::from_mins(15);

/// Mishaps of one look that are told: a machine without memory may have very many.
const MAX_TOLD: usize = 20;

/// What has happened lately.
pub struct Mishaps {
    log: Option<KernelLog>,
    events: Events,
    said: Said,
}

#[derive(Default)]
struct Said(BTreeMap<SessionId, (String, Instant)>);

impl Mishaps {
    /// Watches the kernel's log, where it can be read, and tells of what it finds.
    #[must_use]
    pub fn watch(log: &Path, events: Events) -> Self {
        let log = KernelLog::open(log).inspect_err(|error| {
            tracing::info!(%error, "the kernel's log can't be read: that memory ran out will not be reported");
        });
        Self { log: log.ok(), events, said: Said::default() }
    }

    /// Looks for new ones.
    pub async fn look(&mut self) {
        let Some(log) = &mut self.log else { return };
        let kills = match log.look() {
            Ok(kills) => kills,
            Err(error) => {
                tracing::warn!(%error, "failed to read the kernel's log; it is not read any more");
                self.log = None;
                return;
            }
        };
        for kill in kills.into_iter().take(MAX_TOLD) {
            let session = kill.session.as_ref().map(SessionId::as_str);
            tracing::warn!(
                session,
                process = kill.process,
                pid = kill.pid,
                "the kernel ended a process: memory ran out"
            );
            self.said.add(&kill, Instant::now());
            let payload = serde_json::to_value(&kill).unwrap_or_default();
            if let Err(error) = self.events.publish(OutOfMemory::KIND, payload).await {
                tracing::warn!(error = chain(&error), "failed to report that memory ran out");
            }
        }
    }

    /// What is said of sessions now.
    pub fn messages(&mut self) -> BTreeMap<SessionId, String> {
        self.said.now(Instant::now())
    }
}

impl Said {
    fn add(&mut self, kill: &OutOfMemory, now: Instant) {
        if let Some(session) = &kill.session {
            let text = format!("{} (process {}) was ended: memory ran out", kill.process, kill.pid);
            self.0.insert(session.clone(), (text, now));
        }
    }

    fn now(&mut self, now: Instant) -> BTreeMap<SessionId, String> {
        self.0.retain(|_, (_, since)| now.duration_since(*since) < SAID_FOR);
        self.0.iter().map(|(id, (text, _))| (id.clone(), text.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::InstanceId;
    use tokio::sync::watch;

    use super::*;
    use crate::metrics::Metrics;
    use crate::sessions::scopes::plan::scope_of;
    use crate::store::Store;
    use crate::store::outbox::Item;

    #[test]
    fn a_mishap_is_said_of_its_session_for_a_while() {
        let (id, mut said, begin) = (SessionId::random(), Said::default(), Instant::now());
        let kill = |session| OutOfMemory { session, process: "node".into(), pid: 7 };
        said.add(&kill(None), begin);
        assert!(said.now(begin).is_empty());
        said.add(&kill(Some(id.clone())), begin);
        let message = "node (process 7) was ended: memory ran out".to_owned();
        assert_eq!(said.now(begin), BTreeMap::from([(id, message)]));
        assert!(said.now(begin + SAID_FOR).is_empty());
    }

    #[tokio::test]
    async fn what_the_kernel_logs_becomes_an_event_and_a_message() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("agent.db")).unwrap();
        let events =
            Events::new(store.clone(), InstanceId::random(), watch::Sender::new(0), Metrics::default());
        let (file, id) = (dir.path().join("kmsg"), SessionId::random());
        std::fs::write(&file, "").unwrap();
        let mut mishaps = Mishaps::watch(&file, events);
        let lines = format!(
            "6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/berth.slice/{},task=node,pid=7,uid=1000\n\
             3,2,3,-;Memory cgroup out of memory: Killed process 7 (node) total-vm:1kB\n",
            scope_of(&id)
        );
        std::fs::write(&file, lines).unwrap();
        mishaps.look().await;
        mishaps.look().await;
        assert_eq!(mishaps.messages().keys().collect::<Vec<_>>(), [&id]);
        let entries = store.entries_after(0, 10).await.unwrap();
        let [Item::Event(event)] = &entries.iter().map(|entry| entry.item.clone()).collect::<Vec<_>>()[..]
        else {
            panic!("not one event: {entries:?}");
        };
        let told = OutOfMemory { session: Some(id), process: "node".into(), pid: 7 };
        assert_eq!(event.kind, OutOfMemory::KIND);
        assert_eq!(event.payload, serde_json::to_value(told).unwrap());
    }
}
