//! Who was let in to which preview: single-use codes, and what they were exchanged for.

use std::collections::HashSet;
use std::time::Duration;

use berth_protocol::ids::{PreviewId, PreviewLinkId, UserId};
use data_encoding::HEXLOWER;
use rusqlite::params;

use super::previews::find;
use super::transaction::{Tx, parsed_optional, unsigned};
use super::{
    BrowserSession, MemberRole, Preview, Store, StoreError, Visibility, deadline_ms, digest, hash, now_ms,
};

/// A browser's right to see a preview, by the hash of its cookie.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant([u8; 32]);

impl Grant {
    /// The right of whoever holds this cookie.
    #[must_use]
    pub fn of_token(token: &str) -> Self {
        Self(digest(token))
    }
}

/// A right to see a preview that holds, and whose it is: nobody's if it was given by a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The right.
    pub grant: Grant,
    /// The user of the browser.
    pub user: Option<UserId>,
}

/// By which right a browser asks to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entrant {
    /// It is signed in at the console.
    SignedIn(BrowserSession),
    /// It has opened a link.
    Linked(PreviewLinkId),
}

/// By which right somebody sees a preview.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// As everybody may, since it is public.
    Anybody,
    /// As a browser that was let in on the preview's host.
    Granted(Grant),
    /// As a browser that is signed in at the console.
    SignedIn(BrowserSession),
}

/// Browsers that one link may let in at the same time.
const MAX_LINKED: u64 = 1000;

/// A right to a preview that is used at this moment.
pub type Seen = (PreviewId, Viewer);

impl Store {
    /// Remembers a code that lets a browser in to a preview, once: the one that has `nonce` from its host.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_preview_code(
        &self,
        code: &str,
        preview: PreviewId,
        nonce_hash: String,
        entrant: Entrant,
        lifetime: Duration,
    ) -> Result<(), StoreError> {
        let code_hash = hash(code);
        self.transaction(move |tx| {
            let (browser, link) = match &entrant {
                Entrant::SignedIn(browser) => (Some(&browser.0), None),
                Entrant::Linked(link) => (None, Some(link.as_str())),
            };
            tx.execute(
                "INSERT INTO preview_codes
                     (code_hash, preview_id, nonce_hash, browser_session, link_id, expires_at_ms)
                 VALUES ($1, $2, $3, $4, $5, $6)",
                params![code_hash, preview.as_str(), nonce_hash, browser, link, deadline_ms(lifetime)],
            )?;
            Ok(())
        })
        .await
    }

    /// Takes a code and lets in the browser that will hold `token`. `false`: the code is unknown, used, late, for
    /// another preview or another browser; in each case it is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enter_preview(
        &self,
        code: &str,
        preview: PreviewId,
        nonce: &str,
        token: &str,
    ) -> Result<bool, StoreError> {
        let (code_hash, nonce_hash, token_hash) = (hash(code), Self::nonce_hash(nonce), hash(token));
        self.transaction(move |tx| {
            let taken = tx.optional(
                "DELETE FROM preview_codes WHERE code_hash = $1
                 RETURNING preview_id, nonce_hash, browser_session, link_id, expires_at_ms",
                [code_hash],
                |row| {
                    let fits = row.get::<_, String>("preview_id")? == preview.as_str()
                        && row.get::<_, String>("nonce_hash")? == nonce_hash
                        && row.get::<_, i64>("expires_at_ms")? > now_ms();
                    let browser = row.get::<_, Option<String>>("browser_session")?;
                    Ok(fits.then_some((browser, row.get::<_, Option<String>>("link_id")?)))
                },
            )?;
            let entered = match taken.flatten() {
                Some((Some(browser), _)) => tx.execute(
                    "INSERT INTO preview_grants (token_hash, preview_id, browser_session, expires_at_ms)
                     SELECT $1, $2, token_hash, expires_at_ms FROM browser_sessions
                     WHERE token_hash = $3 AND expires_at_ms > $4",
                    params![token_hash, preview.as_str(), browser, now_ms()],
                )?,
                Some((None, Some(link))) if has_room(tx, &link)? => tx.execute(
                    "INSERT INTO preview_grants (token_hash, preview_id, link_id, expires_at_ms)
                     SELECT $1, $2, id, expires_at_ms FROM preview_links
                     WHERE id = $3 AND preview_id = $2 AND expires_at_ms > $4",
                    params![token_hash, preview.as_str(), link, now_ms()],
                )?,
                _ => 0,
            };
            Ok(entered > 0)
        })
        .await
    }

    /// What may be told of a nonce.
    #[must_use]
    pub fn nonce_hash(nonce: &str) -> String {
        hash(nonce)
    }

    /// A preview, and the right that a browser says it has, if it holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn preview_access(
        &self,
        id: PreviewId,
        grant: Option<Grant>,
    ) -> Result<Option<(Preview, Option<Granted>)>, StoreError> {
        self.transaction(move |tx| {
            let Some(preview) = find(tx, &id)? else { return Ok(None) };
            let granted = match grant {
                Some(grant) => granted(tx, &id, &grant)?.map(|user| Granted { grant, user }),
                None => None,
            };
            Ok(Some((preview, granted)))
        })
        .await
    }

    /// Which of the rights that are used have ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ended_views(&self, seen: HashSet<Seen>) -> Result<HashSet<Seen>, StoreError> {
        self.transaction(move |tx| {
            let mut ended = HashSet::new();
            for one in seen {
                let holds = match &one.1 {
                    Viewer::Anybody => {
                        find(tx, &one.0)?.is_some_and(|preview| preview.visibility == Visibility::Public)
                    }
                    Viewer::Granted(grant) => granted(tx, &one.0, grant)?.is_some(),
                    Viewer::SignedIn(browser) => is_members(tx, &one.0, browser)?,
                };
                if !holds {
                    ended.insert(one);
                }
            }
            Ok(ended)
        })
        .await
    }
}

fn has_room(tx: &Tx<'_>, link: &str) -> Result<bool, StoreError> {
    let sql = "SELECT COUNT(*) AS n FROM preview_grants WHERE link_id = $1";
    Ok(tx.one(sql, [link], |row| unsigned(row, "n"))? < MAX_LINKED)
}

/// Whose a right is, if it holds: the browser is signed in, and its user may use the workspace; or the link has not
/// ended, and whoever made it still may give it.
fn granted(tx: &Tx<'_>, preview: &PreviewId, grant: &Grant) -> Result<Option<Option<UserId>>, StoreError> {
    tx.optional(
        "SELECT browser_sessions.user_id AS user_id FROM preview_grants
         JOIN previews ON previews.id = preview_grants.preview_id
         LEFT JOIN browser_sessions ON browser_sessions.token_hash = preview_grants.browser_session
             AND browser_sessions.expires_at_ms > $3
             AND EXISTS (SELECT 1 FROM workspace_users
                         WHERE workspace_users.workspace_id = previews.workspace_id
                             AND workspace_users.user_id = browser_sessions.user_id)
         LEFT JOIN preview_links ON preview_links.id = preview_grants.link_id
             AND preview_links.preview_id = previews.id AND preview_links.expires_at_ms > $3
             AND EXISTS (SELECT 1 FROM workspace_users
                         WHERE workspace_users.workspace_id = previews.workspace_id
                             AND workspace_users.user_id = preview_links.created_by
                             AND workspace_users.rank >= $4)
         WHERE preview_grants.token_hash = $1 AND preview_grants.preview_id = $2
             AND preview_grants.expires_at_ms > $3
             AND (browser_sessions.token_hash IS NOT NULL OR preview_links.id IS NOT NULL)",
        params![HEXLOWER.encode(&grant.0), preview.as_str(), now_ms(), MemberRole::Editor.rank()],
        |row| parsed_optional(row, "user_id"),
    )
}

/// Whether a preview is of a workspace that the user of a signed-in browser may use.
fn is_members(tx: &Tx<'_>, preview: &PreviewId, browser: &BrowserSession) -> Result<bool, StoreError> {
    let found = tx.optional(
        "SELECT 1 FROM previews
         JOIN workspace_users ON workspace_users.workspace_id = previews.workspace_id
         JOIN browser_sessions ON browser_sessions.user_id = workspace_users.user_id
         WHERE previews.id = $1 AND browser_sessions.token_hash = $2 AND browser_sessions.expires_at_ms > $3",
        params![preview.as_str(), browser.0, now_ms()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}
