//! `gateway audit`: the newest entries of the record, one per line.

use std::fmt::Write as _;

use berth_daemon::exit::{Exit, Fatal};
use clap::Args;

use super::open_failed;
use crate::installation::open;
use crate::settings::Settings;
use crate::store::AuditEntry;

#[derive(Debug, Args)]
pub(super) struct Audit {
    /// How many entries
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

pub(super) async fn run(settings: &Settings, audit: &Audit) -> Result<(), Fatal> {
    let opened = open(settings).await.map_err(open_failed)?;
    let entries = opened.store.audit(None, None, audit.limit).await.map_err(Fatal::with(Exit::State))?;
    for entry in entries {
        println!("{}", line(&entry));
    }
    Ok(())
}

/// Time, action, user, workspace, request and detail, divided by tabs.
fn line(entry: &AuditEntry) -> String {
    let time = jiff::Timestamp::from_millisecond(entry.at_ms)
        .map_or_else(|_| entry.at_ms.to_string(), |time| format!("{time:.3}"));
    let user = entry.user_name.as_deref().unwrap_or(entry.user.as_str());
    let detail = ascii(&entry.detail.to_string());
    format!("{time}\t{}\t{user}\t{}\t{}\t{detail}", entry.action, entry.workspace, entry.request_id)
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
    use berth_protocol::ids::{RequestId, UserId, WorkspaceId};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_entry_is_a_line_that_drives_no_terminal() {
        let detail = json!({ "argv": ["sh", "\u{1b}[2J\u{9b}2J\u{202e}\u{7f}\t\n🦀"] });
        let entry = AuditEntry {
            seq: 1,
            at_ms: 1_790_000_000_123,
            workspace: WorkspaceId::random(),
            user: UserId::random(),
            user_name: Some("owner".into()),
            request_id: RequestId::random(),
            action: "exec_started".into(),
            detail: detail.clone(),
        };
        let line = line(&entry);
        assert!(line.starts_with("2026-09-21T14:13:20.123Z\texec_started\towner\tws-"), "{line}");
        assert!(line.chars().all(|c| c == '\t' || matches!(c, ' '..='~')), "{line:?}");
        let read: Value = serde_json::from_str(line.rsplit('\t').next().unwrap()).unwrap();
        assert_eq!(read, detail);
    }
}
