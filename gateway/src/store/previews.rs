//! Previews: ports that are published, and who may see them.

use std::{fmt, str};

use berth_protocol::ids::{PreviewId, WorkspaceId};
use rusqlite::{Row, params};

use super::transaction::{Tx, parsed, unsigned};
use super::{Store, StoreError, now_ms};
use crate::preview::Mode;

/// Previews that a workspace may have.
const MAX_PREVIEWS: u64 = 100;

/// Columns of a preview. Whether its links have ended is left to the reader.
const COLUMNS: &str = "id, workspace_id, port, visibility, mode, created_at_ms,
     (SELECT MAX(expires_at_ms) FROM preview_links WHERE preview_id = previews.id) AS link_until_ms";

/// Who may see a preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Who may use the workspace.
    Private,
    /// Everybody who has the address.
    Public,
}

/// A text that is not a visibility.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a visibility: expected private or public")]
pub struct InvalidVisibility;

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private",
            Self::Public => "public",
        })
    }
}

impl str::FromStr for Visibility {
    type Err = InvalidVisibility;

    fn from_str(text: &str) -> Result<Self, InvalidVisibility> {
        match text {
            "private" => Ok(Self::Private),
            "public" => Ok(Self::Public),
            _ => Err(InvalidVisibility),
        }
    }
}

/// A preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Its identifier.
    pub id: PreviewId,
    /// The workspace whose box it leads to.
    pub workspace: WorkspaceId,
    /// The loopback port there.
    pub port: u16,
    /// Who may see it.
    pub visibility: Visibility,
    /// How the dev server is spoken to.
    pub mode: Mode,
    /// When it was made.
    pub created_at_ms: i64,
    /// When the last of its links ends, or has ended.
    pub link_until_ms: Option<i64>,
}

impl Store {
    /// Publishes a port.
    ///
    /// # Errors
    /// [`StoreError::PreviewExists`] when it is published already, [`StoreError::TooManyPreviews`].
    pub async fn create_preview(&self, workspace: WorkspaceId, port: u16) -> Result<Preview, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT COUNT(*) AS n FROM previews WHERE workspace_id = $1";
            if tx.one(sql, [workspace.as_str()], |row| unsigned(row, "n"))? >= MAX_PREVIEWS {
                return Err(StoreError::TooManyPreviews(MAX_PREVIEWS));
            }
            let sql = "INSERT INTO previews (id, workspace_id, port, visibility, mode, created_at_ms)
                       VALUES ($1, $2, $3, $4, $5, $6)";
            let (private, standard) = (Visibility::Private.to_string(), Mode::Standard.to_string());
            let id = PreviewId::random();
            let values = params![id.as_str(), workspace.as_str(), port, private, standard, now_ms()];
            tx.execute(sql, values)
                .map_err(|error| if error.is_conflict() { StoreError::PreviewExists(port) } else { error })?;
            tx.one(&by_id(), [id.as_str()], preview)
        })
        .await
    }

    /// The previews of a workspace, by port.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn previews_of(&self, workspace: WorkspaceId) -> Result<Vec<Preview>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM previews WHERE workspace_id = $1 ORDER BY port");
            tx.all(&sql, [workspace.as_str()], preview)
        })
        .await
    }

    /// A preview.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn preview(&self, id: PreviewId) -> Result<Option<Preview>, StoreError> {
        self.transaction(move |tx| find(tx, &id)).await
    }

    /// Changes who may see a preview of a workspace, and how its dev server is spoken to. One that becomes private has
    /// no links any more. `None`: there is no such preview.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_preview(
        &self,
        workspace: WorkspaceId,
        id: PreviewId,
        visibility: Option<Visibility>,
        mode: Option<Mode>,
    ) -> Result<Option<Preview>, StoreError> {
        self.transaction(move |tx| {
            let sql = "UPDATE previews SET visibility = COALESCE($3, visibility), mode = COALESCE($4, mode)
                       WHERE id = $1 AND workspace_id = $2";
            let (shown, mode) =
                (visibility.map(|visibility| visibility.to_string()), mode.map(|mode| mode.to_string()));
            if tx.execute(sql, params![id.as_str(), workspace.as_str(), shown, mode])? == 0 {
                return Ok(None);
            }
            if visibility == Some(Visibility::Private) {
                tx.execute("DELETE FROM preview_links WHERE preview_id = $1", [id.as_str()])?;
            }
            find(tx, &id)
        })
        .await
    }

    /// Deletes a preview of a workspace, and with it every right to see it. `false`: there is no such preview.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_preview(&self, workspace: WorkspaceId, id: PreviewId) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let sql = "DELETE FROM previews WHERE id = $1 AND workspace_id = $2";
            Ok(tx.execute(sql, params![id.as_str(), workspace.as_str()])? > 0)
        })
        .await
    }
}

pub(super) fn find(tx: &Tx<'_>, id: &PreviewId) -> Result<Option<Preview>, StoreError> {
    tx.optional(&by_id(), [id.as_str()], preview)
}

fn by_id() -> String {
    format!("SELECT {COLUMNS} FROM previews WHERE id = $1")
}

fn preview(row: &Row<'_>) -> rusqlite::Result<Preview> {
    Ok(Preview {
        id: parsed(row, "id")?,
        workspace: parsed(row, "workspace_id")?,
        port: row.get("port")?,
        visibility: parsed(row, "visibility")?,
        mode: parsed(row, "mode")?,
        created_at_ms: row.get("created_at_ms")?,
        link_until_ms: row.get("link_until_ms")?,
    })
}
