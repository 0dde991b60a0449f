//! `gateway audit`: shows, exports and verifies the record of what was done.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::ids::{UserId, WorkspaceId};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::open_failed;
use crate::installation::open;
use crate::settings::Settings;
use crate::store::{AuditEntry, AuditFilter, Head, Store};

/// Entries that an export reads at once.
const AT_ONCE: u32 = 1000;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Audit {
    #[command(subcommand)]
    verb: Option<AuditVerb>,
    /// How many entries
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum AuditVerb {
    /// Print entries as JSON, one per line, newest first
    Export {
        #[command(flatten)]
        which: Which,
    },
    /// Check that no entry was changed, taken away or moved; prints the newest one's place and hash to keep elsewhere
    Verify {
        /// What an earlier `verify`, or the gateway's log, told: shows also that nothing was written anew
        #[arg(long, value_name = "SEQ:HASH")]
        head: Option<Head>,
    },
}

/// Which entries.
#[derive(Debug, Args)]
struct Which {
    /// Of this workspace
    #[arg(long, value_name = "ID")]
    workspace: Option<WorkspaceId>,
    /// Of this user
    #[arg(long, value_name = "ID")]
    user: Option<UserId>,
    /// Of this action
    #[arg(long, value_name = "WORD")]
    action: Option<String>,
    /// That ended so: done, refused or failed
    #[arg(long, value_name = "WORD")]
    outcome: Option<String>,
    /// From this time on, such as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

impl Which {
    fn filter(&self) -> AuditFilter {
        AuditFilter {
            workspace: self.workspace.clone(),
            user: self.user.clone(),
            action: self.action.clone(),
            outcome: self.outcome.clone(),
            since_ms: self.since.map(Timestamp::as_millisecond),
            until_ms: self.until.map(Timestamp::as_millisecond),
            ..AuditFilter::default()
        }
    }
}

pub(super) async fn run(settings: &Settings, audit: &Audit) -> Result<(), Fatal> {
    let store = open(settings).await.map_err(open_failed)?.store;
    match &audit.verb {
        None => {
            let entries = store.audit(audit.which.filter(), audit.limit).await;
            for entry in entries.map_err(Fatal::with(Exit::State))? {
                println!("{}", line(&entry));
            }
            Ok(())
        }
        Some(AuditVerb::Export { which }) => export(&store, which.filter()).await,
        Some(AuditVerb::Verify { head }) => {
            let verdict = store.verify_audit(head.clone()).await.map_err(Fatal::with(Exit::State))?;
            let head = verdict.map_err(Fatal::with(Exit::Failure))?;
            println!("{} entries, as they were written", head.seq);
            println!("{head}");
            Ok(())
        }
    }
}

async fn export(store: &Store, mut filter: AuditFilter) -> Result<(), Fatal> {
    let mut out = BufWriter::new(io::stdout().lock());
    loop {
        let entries = store.audit(filter.clone(), AT_ONCE).await.map_err(Fatal::with(Exit::State))?;
        for entry in &entries {
            writeln!(out, "{}", ascii(&object(entry))).map_err(Fatal::with(Exit::Failure))?;
        }
        let Some(last) = entries.last() else { break };
        filter.before = Some(last.seq);
    }
    out.flush().map_err(Fatal::with(Exit::Failure))
}

fn object(entry: &AuditEntry) -> String {
    json!({
        "seq": entry.seq,
        "at": time(entry),
        "workspace_id": entry.workspace,
        "user_id": entry.user,
        "user_name": entry.user_name,
        "request_id": entry.request_id,
        "source": entry.source,
        "action": entry.action,
        "outcome": entry.outcome,
        "detail": entry.detail,
        "hash": entry.hash,
    })
    .to_string()
}

/// Time, action, user, workspace, request, source, outcome and detail, divided by tabs. A dash: there is none.
fn line(entry: &AuditEntry) -> String {
    let user = entry.user_name.as_deref().or(entry.user.as_ref().map(UserId::as_str)).unwrap_or("-");
    let workspace = entry.workspace.as_ref().map_or("-", WorkspaceId::as_str);
    let request = entry.request_id.as_ref().map_or("-", |id| id.as_str());
    let AuditEntry { action, source, outcome, .. } = entry;
    let user = user.escape_default();
    let detail = ascii(&entry.detail.to_string());
    format!("{}\t{action}\t{user}\t{workspace}\t{request}\t{source}\t{outcome}\t{detail}", time(entry))
}

fn time(entry: &AuditEntry) -> String {
    Timestamp::from_millisecond(entry.at_ms)
        .map_or_else(|_| entry.at_ms.to_string(), |time| format!("{time:.3}"))
}

/// The same JSON in ASCII alone: what somebody ran must not drive the terminal of whoever reads of it.
fn ascii(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            plain.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string can't fail.
                let _ = write!(plain, "\\u{unit:04x}");
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::RequestId;
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_entry_is_a_line_that_drives_no_terminal() {
        let detail = json!({ "argv": ["sh", "\u{1b}[2J\u{9b}2J\u{202e}\u{7f}\t\n🦀"] });
        let entry = AuditEntry {
            seq: 1,
            at_ms: 1_790_000_000_123,
            workspace: Some(WorkspaceId::random()),
            user: Some(UserId::random()),
            user_name: Some("owner".into()),
            request_id: Some(RequestId::random()),
            source: "203.0.113.7".into(),
            action: "exec_started".into(),
            outcome: "done".into(),
            detail: detail.clone(),
            hash: "00".into(),
        };
        for line in
            [line(&entry), line(&AuditEntry { user_name: Some("a\u{1b}[2Jb".into()), ..entry.clone() })]
        {
            assert!(line.starts_with("2026-09-21T14:13:20.123Z\texec_started\t"), "{line}");
            assert!(line.chars().all(|c| c == '\t' || matches!(c, ' '..='~')), "{line:?}");
            let read: Value = serde_json::from_str(line.rsplit('\t').next().unwrap()).unwrap();
            assert_eq!(read, detail);
        }
        let object = ascii(&object(&entry));
        assert!(object.chars().all(|c| matches!(c, ' '..='~')), "{object:?}");
        assert_eq!(serde_json::from_str::<Value>(&object).unwrap()["detail"], detail);
        let nobodys =
            line(&AuditEntry { workspace: None, user: None, user_name: None, request_id: None, ..entry });
        assert!(nobodys.contains("\texec_started\t-\t-\t-\t203.0.113.7\tdone\t{"), "{nobodys}");
    }
}
