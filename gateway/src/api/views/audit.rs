//! The audit record, as the API shows it.

use berth_protocol::ids::UserId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::store;

/// Which part of the audit record.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// How many entries, 1 to 500; by default 50.
    pub limit: Option<u32>,
    /// Only those before this place: the `next` of an earlier answer.
    pub before: Option<u64>,
    /// Only those of this user.
    #[param(value_type = Option<String>)]
    pub user: Option<UserId>,
    /// Only those of this action.
    pub action: Option<String>,
    /// Only those that ended so: `done`, `refused` or `failed`.
    pub outcome: Option<String>,
    /// Only those from then on, milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Only those before then.
    pub until_ms: Option<i64>,
}

/// A part of the audit record.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntries {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Where older entries go on; null: there are none.
    pub next: Option<u64>,
}

/// Something that was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its place in the record.
    pub seq: u64,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// The workspace's identifier, if it was in one.
    pub workspace_id: Option<String>,
    /// The user's identifier, if it was a user.
    pub user_id: Option<String>,
    /// The user's name, if there still is such a user.
    pub user_name: Option<String>,
    /// The request, if it was in one: entries of the same deed have the same.
    pub request_id: Option<String>,
    /// From where: an address, the command line, or the gateway itself.
    pub source: String,
    /// What, such as `exec_started`, `signed_in` or `token_created`; newer gateways may know more words.
    pub action: String,
    /// `done`, `refused` or `failed`; `not recorded` in entries of earlier gateways.
    pub outcome: String,
    /// More of it.
    #[schema(value_type = Object)]
    pub detail: Value,
    /// What chains it to the entry before.
    pub hash: String,
}

impl From<store::AuditEntry> for AuditEntry {
    fn from(entry: store::AuditEntry) -> Self {
        Self {
            seq: entry.seq,
            at_ms: entry.at_ms,
            workspace_id: entry.workspace.map(String::from),
            user_id: entry.user.map(String::from),
            user_name: entry.user_name,
            request_id: entry.request_id.map(String::from),
            source: entry.source,
            action: entry.action,
            outcome: entry.outcome,
            detail: entry.detail,
            hash: entry.hash,
        }
    }
}
