//! Links to previews: whoever has one may see the preview for a while.

use std::time::Duration;

use berth_protocol::ids::{PreviewId, PreviewLinkId, UserId};
use rusqlite::{Row, params};

use super::transaction::{parsed, unsigned};
use super::{Store, StoreError, deadline_ms, now_ms};

/// Links that a preview may have at the same time.
const MAX_LINKS: u64 = 64;

const COLUMNS: &str = "id, preview_id, created_by, name, created_at_ms, expires_at_ms, opened, opened_at_ms";

/// A link to a preview. Its code is not stored: it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewLink {
    /// Its identifier.
    pub id: PreviewLinkId,
    /// What may be seen.
    pub preview: PreviewId,
    /// Who made it.
    pub created_by: UserId,
    /// Whom it is for, in its maker's words.
    pub name: String,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it ends.
    pub expires_at_ms: i64,
    /// How often it was opened.
    pub opened: u64,
    /// When it was last opened.
    pub opened_at_ms: Option<i64>,
}

impl Store {
    /// Makes a link to a preview.
    ///
    /// # Errors
    /// [`StoreError::TooManyLinks`] when the preview has as many as it may have.
    pub async fn create_link(
        &self,
        preview: PreviewId,
        user: UserId,
        name: String,
        lifetime: Duration,
    ) -> Result<PreviewLink, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT COUNT(*) AS n FROM preview_links WHERE preview_id = $1 AND expires_at_ms > $2";
            if tx.one(sql, params![preview.as_str(), now_ms()], |row| unsigned(row, "n"))? >= MAX_LINKS {
                return Err(StoreError::TooManyLinks(MAX_LINKS));
            }
            let sql = format!(
                "INSERT INTO preview_links (id, preview_id, created_by, name, created_at_ms, expires_at_ms)
                 VALUES ($1, $2, $3, $4, $5, $6) RETURNING {COLUMNS}"
            );
            let id = PreviewLinkId::random();
            let values =
                params![id.as_str(), preview.as_str(), user.as_str(), name, now_ms(), deadline_ms(lifetime)];
            tx.one(&sql, values, link)
        })
        .await
    }

    /// The links to a preview that have not ended, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn links_of(&self, preview: PreviewId) -> Result<Vec<PreviewLink>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM preview_links WHERE preview_id = $1 AND expires_at_ms > $2
                 ORDER BY created_at_ms, id"
            );
            tx.all(&sql, params![preview.as_str(), now_ms()], link)
        })
        .await
    }

    /// Ends a link to a preview, or all of them, and with them everybody's right that came of them. How many ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_links(
        &self,
        preview: PreviewId,
        one: Option<PreviewLinkId>,
    ) -> Result<usize, StoreError> {
        self.transaction(move |tx| {
            let sql = "DELETE FROM preview_links WHERE preview_id = $1 AND ($2 IS NULL OR id = $2)";
            tx.execute(sql, params![preview.as_str(), one.as_ref().map(PreviewLinkId::as_str)])
        })
        .await
    }

    /// A link that has not ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link(&self, id: PreviewLinkId) -> Result<Option<PreviewLink>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM preview_links WHERE id = $1 AND expires_at_ms > $2");
            tx.optional(&sql, params![id.as_str(), now_ms()], link)
        })
        .await
    }

    /// Counts that a link was opened, if it has not ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_link(&self, id: PreviewLinkId) -> Result<Option<PreviewLink>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!(
                "UPDATE preview_links SET opened = opened + 1, opened_at_ms = $2
                 WHERE id = $1 AND expires_at_ms > $2 RETURNING {COLUMNS}"
            );
            tx.optional(&sql, params![id.as_str(), now_ms()], link)
        })
        .await
    }
}

fn link(row: &Row<'_>) -> rusqlite::Result<PreviewLink> {
    Ok(PreviewLink {
        id: parsed(row, "id")?,
        preview: parsed(row, "preview_id")?,
        created_by: parsed(row, "created_by")?,
        name: row.get("name")?,
        created_at_ms: row.get("created_at_ms")?,
        expires_at_ms: row.get("expires_at_ms")?,
        opened: unsigned(row, "opened")?,
        opened_at_ms: row.get("opened_at_ms")?,
    })
}
