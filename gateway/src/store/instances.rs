//! Instances: how they enrol, how their links begin, and which one owns a workspace.

use std::time::Duration;

use berth_protocol::ids::{GatewayId, InstanceId, WorkspaceId};
use berth_protocol::link::DoorAddresses;
use rusqlite::{Row, params};
use serde_json::json;

use super::audit::{Deed, Outcome, add};
use super::change_seq::count_change;
use super::transaction::{Tx, parsed, parsed_optional, signed, unsigned};
use super::{Instance, Store, StoreError, deadline_ms, hash, now_ms};

const COLUMNS: &str =
    "id, workspace_id, epoch, public_ip, tailscale_ip, door_port, agent_version, telemetry, certificate_ca";

/// What a box's link shows of its certificate and of what it believes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// The CA of the certificate, by fingerprint.
    pub ca: String,
    /// Until when the certificate counts.
    pub until_ms: i64,
    /// The trust generation that the box holds, if its agent says it.
    pub trust: Option<u64>,
}

/// What became of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnrollOutcome {
    /// The token was good and is used up now.
    Enrolled {
        /// The token's workspace.
        workspace: WorkspaceId,
        /// The new instance.
        instance: InstanceId,
        /// Its epoch: the workspace's highest.
        epoch: u64,
        /// The instances that it retired.
        retired: Vec<InstanceId>,
    },
    /// The token was never issued, or was used before.
    UnknownToken,
    /// The token came too late, and is gone now.
    ExpiredToken,
}

/// What became of a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelloOutcome {
    /// The link counts from now on.
    Accepted {
        /// The instance's workspace.
        workspace: WorkspaceId,
        /// The link's number; writes of an older one are refused.
        link_epoch: u64,
    },
    /// A newer instance owns the workspace.
    Retired,
    /// No such instance was ever enrolled here.
    Unknown,
}

impl Store {
    /// Remembers an enrolment token's secret.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_enrollment_token(
        &self,
        workspace: WorkspaceId,
        secret: &str,
        lifetime: Duration,
    ) -> Result<(), StoreError> {
        let secret_hash = hash(secret);
        self.transaction(move |tx| {
            tx.execute(
                "INSERT INTO enrollment_tokens (secret_hash, workspace_id, expires_at_ms)
                 VALUES ($1, $2, $3)",
                params![secret_hash, workspace.as_str(), deadline_ms(lifetime)],
            )?;
            Ok(())
        })
        .await
    }

    /// Takes a token and makes `instance` the owner of its workspace; older instances are retired.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enroll(&self, secret: &str, instance: InstanceId) -> Result<EnrollOutcome, StoreError> {
        let secret_hash = hash(secret);
        self.transaction(move |tx| {
            let sql =
                "DELETE FROM enrollment_tokens WHERE secret_hash = $1 RETURNING workspace_id, expires_at_ms";
            let taken = tx.optional(sql, [secret_hash], |row| {
                Ok((parsed::<WorkspaceId>(row, "workspace_id")?, row.get::<_, i64>("expires_at_ms")?))
            })?;
            let Some((workspace, expires_at_ms)) = taken else { return Ok(EnrollOutcome::UnknownToken) };
            if expires_at_ms <= now_ms() {
                return Ok(EnrollOutcome::ExpiredToken);
            }
            let retired = retire(tx, &workspace)?;
            let epoch = tx.one(
                "INSERT INTO workspace_instances (id, workspace_id, epoch, link_epoch, enrolled_at_ms)
                 SELECT $1, $2, COALESCE(MAX(epoch), 0) + 1, 0, $3
                 FROM workspace_instances WHERE workspace_id = $2 RETURNING epoch",
                params![instance.as_str(), workspace.as_str(), now_ms()],
                |row| unsigned(row, "epoch"),
            )?;
            let seq = count_change(tx, &workspace)?;
            // What was believed is about programs of another machine.
            tx.execute(
                "UPDATE sessions SET attention = NULL, change_seq = $2
                 WHERE workspace_id = $1 AND attention IS NOT NULL",
                params![workspace.as_str(), signed(seq)?],
            )?;
            Ok(EnrollOutcome::Enrolled { workspace, instance, epoch, retired })
        })
        .await
    }

    /// Takes a workspace from its box, and every enrolment token that was not used. Which instances those were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke_instances(&self, workspace: WorkspaceId) -> Result<Vec<InstanceId>, StoreError> {
        self.transaction(move |tx| {
            let retired = retire(tx, &workspace)?;
            let sql = "DELETE FROM enrollment_tokens WHERE workspace_id = $1";
            let tokens = tx.execute(sql, [workspace.as_str()])?;
            count_change(tx, &workspace)?;
            let detail = json!({ "instances": retired, "enrollment_tokens": tokens });
            add(tx, Deed::new("box_revoked", Outcome::Done, detail).within(workspace))?;
            Ok(retired)
        })
        .await
    }

    /// Begins a link: stores what the hello said, and makes every older link of the instance void.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hello(
        &self,
        instance: InstanceId,
        gateway: GatewayId,
        addresses: DoorAddresses,
        boot_id: String,
        agent_version: String,
        shown: Shown,
    ) -> Result<HelloOutcome, StoreError> {
        self.transaction(move |tx| {
            let retired = tx.optional(
                "SELECT retired_at_ms FROM workspace_instances WHERE id = $1",
                [instance.as_str()],
                |row| row.get::<_, Option<i64>>("retired_at_ms"),
            )?;
            match retired {
                None => return Ok(HelloOutcome::Unknown),
                Some(Some(_)) => return Ok(HelloOutcome::Retired),
                Some(None) => {}
            }
            let (workspace, link_epoch) = tx.one(
                "UPDATE workspace_instances
                 SET public_ip = $2, tailscale_ip = $3, door_port = $4, boot_id = $5, agent_version = $6,
                     link_epoch = link_epoch + 1, certificate_ca = $7, certificate_until_ms = $8, trust_generation = $9
                 WHERE id = $1 RETURNING workspace_id, link_epoch",
                params![
                    instance.as_str(),
                    addresses.public_ip.map(|ip| ip.to_string()),
                    addresses.tailscale_ip.map(|ip| ip.to_string()),
                    i64::from(addresses.port),
                    boot_id,
                    agent_version,
                    shown.ca,
                    shown.until_ms,
                    signed(shown.trust.unwrap_or_default())?
                ],
                |row| Ok((parsed::<WorkspaceId>(row, "workspace_id")?, unsigned(row, "link_epoch")?)),
            )?;
            tx.execute(
                "INSERT INTO links (instance_id, gateway_id, link_epoch, connected_at_ms)
                 VALUES ($1, $2, $3, $4)
                 ON CONFLICT (instance_id) DO UPDATE SET gateway_id = excluded.gateway_id,
                     link_epoch = excluded.link_epoch, connected_at_ms = excluded.connected_at_ms",
                params![instance.as_str(), gateway.as_str(), signed(link_epoch)?, now_ms()],
            )?;
            count_change(tx, &workspace)?;
            Ok(HelloOutcome::Accepted { workspace, link_epoch })
        })
        .await
    }

    /// Forgets who holds a link, if it is still this one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link_closed(&self, instance: InstanceId, link_epoch: u64) -> Result<(), StoreError> {
        self.transaction(move |tx| {
            tx.execute(
                "DELETE FROM links WHERE instance_id = $1 AND link_epoch = $2",
                params![instance.as_str(), signed(link_epoch)?],
            )?;
            Ok(())
        })
        .await
    }

    /// Whether a link is still the one that counts: the newest of an instance that owns its workspace.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link_counts(&self, instance: InstanceId, link_epoch: u64) -> Result<bool, StoreError> {
        self.transaction(move |tx| link_counts(tx, &instance, link_epoch)).await
    }

    /// Every instance that owns a workspace.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owning_instances(&self) -> Result<Vec<Instance>, StoreError> {
        self.transaction(|tx| {
            let sql = format!("SELECT {COLUMNS} FROM workspace_instances WHERE retired_at_ms IS NULL");
            tx.all(&sql, [], instance)
        })
        .await
    }

    /// The instance that owns a workspace.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owning_instance(&self, workspace: WorkspaceId) -> Result<Option<Instance>, StoreError> {
        self.transaction(move |tx| owning(tx, &workspace)).await
    }
}

/// Retires the instances that own a workspace.
fn retire(tx: &Tx<'_>, workspace: &WorkspaceId) -> Result<Vec<InstanceId>, StoreError> {
    tx.all(
        "UPDATE workspace_instances SET retired_at_ms = $2
         WHERE workspace_id = $1 AND retired_at_ms IS NULL RETURNING id",
        params![workspace.as_str(), now_ms()],
        |row| parsed(row, "id"),
    )
}

pub(super) fn owning(tx: &Tx<'_>, workspace: &WorkspaceId) -> Result<Option<Instance>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM workspace_instances WHERE workspace_id = $1 AND retired_at_ms IS NULL
         ORDER BY epoch DESC LIMIT 1"
    );
    tx.optional(&sql, [workspace.as_str()], instance)
}

/// Whether a link is still the one that counts.
pub(super) fn link_counts(tx: &Tx<'_>, instance: &InstanceId, link_epoch: u64) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM workspace_instances
               WHERE id = $1 AND link_epoch = $2 AND retired_at_ms IS NULL";
    Ok(tx.optional(sql, params![instance.as_str(), signed(link_epoch)?], |_| Ok(()))?.is_some())
}

fn instance(row: &Row<'_>) -> rusqlite::Result<Instance> {
    let telemetry: Option<String> = row.get("telemetry")?;
    Ok(Instance {
        id: parsed(row, "id")?,
        workspace: parsed(row, "workspace_id")?,
        epoch: unsigned(row, "epoch")?,
        public_ip: parsed_optional(row, "public_ip")?,
        tailscale_ip: parsed_optional(row, "tailscale_ip")?,
        door_port: row.get("door_port")?,
        agent_version: row.get("agent_version")?,
        // A box's claim: what this build can't read is as good as none.
        telemetry: telemetry.and_then(|text| serde_json::from_str(&text).ok()),
        certificate_ca: row.get("certificate_ca")?,
    })
}
