//! CAs, who acknowledged them, and which certificates boxes use.

mod planning;

use berth_protocol::ids::{InstanceId, WorkspaceId};
use rusqlite::params;
use serde_json::{Value, json};

use super::audit::{Deed, Outcome, add};
use super::instances::link_counts;
use super::transaction::{Tx, parsed, signed, unsigned};
use super::{Authority, Store, StoreError, now_ms};
pub use planning::{Refusal, Trusted};

/// Everything that the installation trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedSet {
    /// Counts changes of the CAs.
    pub generation: u64,
    /// The CAs, oldest first.
    pub authorities: Vec<Authority>,
}

/// A box that owns a workspace, as far as trust looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustingBox {
    /// The workspace's name.
    pub workspace_name: String,
    /// The instance.
    pub instance: InstanceId,
    /// The CA of the certificate that its link showed last, by fingerprint.
    pub certificate_ca: Option<String>,
    /// Until when that certificate counts.
    pub certificate_until_ms: Option<i64>,
    /// The newest trust generation that it has stored.
    pub acknowledged: u64,
}

/// A CA that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedAuthority {
    /// SHA-256 of its certificate.
    pub fingerprint: String,
    /// Its certificate.
    pub certificate_pem: String,
    /// Its private key, sealed.
    pub key_sealed: Vec<u8>,
}

/// A change of the CAs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustChange {
    /// One more, which does not sign yet.
    Add(SealedAuthority),
    /// The one of this number signs from now on.
    Switch {
        /// Its number.
        to: u64,
        /// Whether boxes may be behind.
        force: bool,
    },
    /// The one of this number is believed no more.
    Remove {
        /// Its number.
        which: u64,
        /// Whether boxes may be cut off.
        force: bool,
    },
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The number of the CA that it was about.
    pub generation: u64,
    /// Names of workspaces whose boxes are left behind or cut off, when it was forced.
    pub boxes: Vec<String>,
}

impl Store {
    /// Everything that the installation trusts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn trusted(&self) -> Result<TrustedSet, StoreError> {
        self.transaction(|tx| Ok(TrustedSet { generation: generation(tx)?, authorities: authorities(tx)? }))
            .await
    }

    /// Every box that owns a workspace, by the workspace's name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn trusting_boxes(&self) -> Result<Vec<TrustingBox>, StoreError> {
        self.transaction(boxes).await
    }

    /// Changes the CAs, and puts that on the record; or says why not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_trust(&self, change: TrustChange) -> Result<Result<Changed, Refusal>, StoreError> {
        self.transaction(move |tx| {
            let known: Vec<Trusted> = authorities(tx)?.iter().map(Authority::trusted).collect();
            let boxes = boxes(tx)?;
            let planned = match &change {
                TrustChange::Add(_) => planning::may_add(&known).map(|()| Vec::new()),
                TrustChange::Switch { to, force } => planning::may_switch(&known, &boxes, *to, *force),
                TrustChange::Remove { which, force } => planning::may_remove(&known, &boxes, *which, *force),
            };
            let boxes = match planned {
                Ok(boxes) => boxes,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let (action, generation) = make(tx, change)?;
            let detail = detail(tx, generation, &known, &boxes)?;
            add(tx, Deed::new(action, Outcome::Done, detail))?;
            Ok(Ok(Changed { generation, boxes }))
        })
        .await
    }

    /// A box has stored whom to believe. Whether its link still counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn acknowledge_trust(
        &self,
        workspace: WorkspaceId,
        instance: InstanceId,
        link_epoch: u64,
        generation: u64,
    ) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            if !link_counts(tx, &instance, link_epoch)? {
                return Ok(false);
            }
            let changed = tx.execute(
                "UPDATE workspace_instances SET trust_generation = $2 WHERE id = $1 AND trust_generation <> $2",
                params![instance.as_str(), signed(generation)?],
            )?;
            if changed > 0 {
                let detail = json!({ "instance": instance, "generation": generation });
                add(tx, Deed::new("trust_acknowledged", Outcome::Done, detail).within(workspace))?;
            }
            Ok(true)
        })
        .await
    }

    /// Puts a renewed certificate on the record, unless the box owns its workspace no more: then it must not have it. Whether
    /// it does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn certificate_renewed(
        &self,
        instance: InstanceId,
        ca: u64,
        until_ms: i64,
    ) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let Some(workspace) = workspace_of(tx, &instance)? else { return Ok(false) };
            let detail = json!({ "instance": instance, "ca": ca, "until_ms": until_ms });
            add(tx, Deed::new("certificate_renewed", Outcome::Done, detail).within(workspace))?;
            Ok(true)
        })
        .await
    }

    /// Whether an instance owns its workspace.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn instance_owns(&self, instance: InstanceId) -> Result<bool, StoreError> {
        self.transaction(move |tx| Ok(workspace_of(tx, &instance)?.is_some())).await
    }
}

impl Authority {
    fn trusted(&self) -> Trusted {
        Trusted { generation: self.generation, fingerprint: self.fingerprint.clone(), signing: self.signing }
    }
}

/// The workspace that an instance owns.
fn workspace_of(tx: &Tx<'_>, instance: &InstanceId) -> Result<Option<WorkspaceId>, StoreError> {
    let sql = "SELECT workspace_id FROM workspace_instances WHERE id = $1 AND retired_at_ms IS NULL";
    tx.optional(sql, [instance.as_str()], |row| parsed(row, "workspace_id"))
}

fn generation(tx: &Tx<'_>) -> Result<u64, StoreError> {
    tx.one("SELECT trust_generation FROM installation", [], |row| unsigned(row, "trust_generation"))
}

fn authorities(tx: &Tx<'_>) -> Result<Vec<Authority>, StoreError> {
    let sql = "SELECT fingerprint, certificate_pem, key_sealed, generation, signing, created_at_ms
               FROM certificate_authorities ORDER BY generation";
    tx.all(sql, [], |row| {
        Ok(Authority {
            fingerprint: row.get("fingerprint")?,
            certificate_pem: row.get("certificate_pem")?,
            key_sealed: row.get("key_sealed")?,
            generation: unsigned(row, "generation")?,
            signing: row.get::<_, i64>("signing")? != 0,
            created_at_ms: row.get("created_at_ms")?,
        })
    })
}

fn boxes(tx: &Tx<'_>) -> Result<Vec<TrustingBox>, StoreError> {
    let sql = "SELECT workspaces.name AS name, i.id AS id, i.certificate_ca AS ca, i.certificate_until_ms AS until_ms,
                   i.trust_generation AS acknowledged
               FROM workspace_instances i JOIN workspaces ON workspaces.id = i.workspace_id
               WHERE i.retired_at_ms IS NULL ORDER BY workspaces.name, i.id";
    tx.all(sql, [], |row| {
        Ok(TrustingBox {
            workspace_name: row.get("name")?,
            instance: parsed(row, "id")?,
            certificate_ca: row.get("ca")?,
            certificate_until_ms: row.get("until_ms")?,
            acknowledged: unsigned(row, "acknowledged")?,
        })
    })
}

/// Makes a change that may be made. The word for the record, and the number of the CA that it was about.
fn make(tx: &Tx<'_>, change: TrustChange) -> Result<(&'static str, u64), StoreError> {
    let next = "UPDATE installation SET trust_generation = trust_generation + 1 RETURNING trust_generation";
    match change {
        TrustChange::Add(SealedAuthority { fingerprint, certificate_pem, key_sealed }) => {
            let generation = tx.one(next, [], |row| unsigned(row, "trust_generation"))?;
            tx.execute(
                "INSERT INTO certificate_authorities
                     (fingerprint, certificate_pem, key_sealed, created_at_ms, generation, signing)
                 VALUES ($1, $2, $3, $4, $5, 0)",
                params![fingerprint, certificate_pem, key_sealed, now_ms(), signed(generation)?],
            )?;
            Ok(("ca_added", generation))
        }
        // Whom to believe stays the same, so it is no new generation.
        TrustChange::Switch { to, .. } => {
            tx.execute("UPDATE certificate_authorities SET signing = 0 WHERE signing = 1", [])?;
            let sql = "UPDATE certificate_authorities SET signing = 1 WHERE generation = $1";
            tx.execute(sql, [signed(to)?])?;
            Ok(("ca_switched", to))
        }
        TrustChange::Remove { which, .. } => {
            let sql = "DELETE FROM certificate_authorities WHERE generation = $1 AND signing = 0";
            tx.execute(sql, [signed(which)?])?;
            tx.one(next, [], |_| Ok(()))?;
            Ok(("ca_removed", which))
        }
    }
}

/// What the record says of a change.
fn detail(tx: &Tx<'_>, changed: u64, before: &[Trusted], boxes: &[String]) -> Result<Value, StoreError> {
    let after: Vec<Trusted> = authorities(tx)?.iter().map(Authority::trusted).collect();
    let about = before.iter().chain(&after).find(|ca| ca.generation == changed);
    let fingerprint = about.map(|ca| ca.fingerprint.as_str());
    let mut detail =
        json!({ "ca": changed, "fingerprint": fingerprint, "trust_generation": generation(tx)? });
    if !boxes.is_empty() {
        detail["left_behind"] = json!(boxes);
    }
    Ok(detail)
}
