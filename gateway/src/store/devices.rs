//! Browsers in which users are signed in, as their users see them.

use std::time::Duration;

use berth_protocol::ids::{DeviceId, UserId};
use rusqlite::{Row, params};

use super::transaction::{Tx, parsed};
use super::users::NewSignIn;
use super::{BrowserSession, Store, StoreError, deadline_ms, now_ms};
use crate::auth::{BROWSER_SESSION, LONGEST_SIGN_IN};

/// How exactly the last use is remembered. Each time would be a write to the disk for each request.
const USE_PRECISION: Duration = Duration::from_secs(10 * 60);

/// Leaves programs' tokens out: they are sign-ins, too, and no browsers.
const NO_TOKEN: &str = "browser_sessions.bearer = 0 AND NOT EXISTS (SELECT 1 FROM api_tokens
                                     WHERE api_tokens.token_hash = browser_sessions.token_hash)";

/// A browser in which a user is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its identifier.
    pub id: DeviceId,
    /// The sign-in.
    pub sign_in: BrowserSession,
    /// What it runs on, in our words.
    pub device: String,
    /// When it was signed in.
    pub created_at_ms: i64,
    /// When it was last used, roughly.
    pub used_at_ms: i64,
    /// When it is signed out, if it is not used.
    pub expires_at_ms: i64,
}

impl Store {
    /// The browsers in which a user is signed in, the one that was used last first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn devices_of(&self, user: UserId) -> Result<Vec<Device>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!(
                "SELECT id, token_hash, device, created_at_ms, used_at_ms, expires_at_ms FROM browser_sessions
                 WHERE user_id = $1 AND expires_at_ms > $2 AND {NO_TOKEN}
                 ORDER BY COALESCE(used_at_ms, created_at_ms) DESC, created_at_ms DESC, id"
            );
            tx.all(&sql, params![user.as_str(), now_ms()], device)
        })
        .await
    }

    /// Signs a user out in one browser, or in all but one. What has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_devices(
        &self,
        user: UserId,
        which: EndDevices,
    ) -> Result<Vec<BrowserSession>, StoreError> {
        self.transaction(move |tx| end(tx, &user, &which)).await
    }

    /// A user has proved again who they are, in a browser that was signed in already. An older proof changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prove(&self, sign_in: BrowserSession, proved_at_ms: i64) -> Result<(), StoreError> {
        self.transaction(move |tx| {
            let sql =
                "UPDATE browser_sessions SET proved_at_ms = $2 WHERE token_hash = $1 AND proved_at_ms < $2";
            tx.execute(sql, params![sign_in.0, proved_at_ms]).map(drop)
        })
        .await
    }
}

/// Where a user is signed out.
#[derive(Debug, Clone)]
pub enum EndDevices {
    /// In this browser.
    One(DeviceId),
    /// Everywhere but here.
    AllBut(BrowserSession),
}

pub(super) fn end(tx: &Tx<'_>, user: &UserId, which: &EndDevices) -> Result<Vec<BrowserSession>, StoreError> {
    let (sql, which) = match which {
        EndDevices::One(id) => ("id = $2", id.as_str()),
        EndDevices::AllBut(sign_in) => ("token_hash <> $2", sign_in.0.as_str()),
    };
    let sql = format!(
        "DELETE FROM browser_sessions WHERE user_id = $1 AND {sql} AND {NO_TOKEN} RETURNING token_hash"
    );
    tx.all(&sql, params![user.as_str(), which], |row| Ok(BrowserSession(row.get("token_hash")?)))
}

/// Begins a sign-in. `false`: the user is blocked.
pub(super) fn begin(tx: &Tx<'_>, user: &UserId, new: &NewSignIn) -> Result<bool, StoreError> {
    let sign_in = BrowserSession::of_token(&new.token);
    let begun = tx.execute(
        "INSERT INTO browser_sessions
             (token_hash, user_id, id, device, created_at_ms, used_at_ms, proved_at_ms, expires_at_ms, ends_at_ms)
         SELECT $1, id, $3, $4, $5, $5, $6, $7, $8 FROM users WHERE id = $2 AND blocked_at_ms IS NULL",
        params![
            sign_in.0,
            user.as_str(),
            DeviceId::random().as_str(),
            new.device,
            now_ms(),
            new.proved_at_ms,
            deadline_ms(new.idle.min(new.longest)),
            deadline_ms(new.longest)
        ],
    )?;
    Ok(begun > 0)
}

/// When a browser was signed in, when it was used, and when its time is up.
pub(super) struct Times {
    pub(super) created_at_ms: i64,
    pub(super) used_at_ms: Option<i64>,
    pub(super) expires_at_ms: i64,
    pub(super) ends_at_ms: Option<i64>,
}

impl Times {
    /// What they become when the browser is used now. `None`: that was noted lately.
    fn used(&self, now_ms: i64) -> Option<(i64, i64)> {
        if self.used_at_ms.is_some_and(|before| before > now_ms - millis(USE_PRECISION)) {
            return None;
        }
        let most = self.ends_at_ms.unwrap_or(self.created_at_ms + millis(LONGEST_SIGN_IN));
        Some((now_ms, self.expires_at_ms.max(most.min(now_ms + millis(BROWSER_SESSION)))))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A browser was used: its time begins anew, up to the bound.
pub(super) fn used(tx: &Tx<'_>, sign_in: &BrowserSession, times: &Times) -> Result<(), StoreError> {
    if let Some((used_at_ms, expires_at_ms)) = times.used(now_ms()) {
        tx.execute(
            "UPDATE browser_sessions SET used_at_ms = $2, expires_at_ms = $3 WHERE token_hash = $1",
            params![sign_in.0, used_at_ms, expires_at_ms],
        )?;
    }
    Ok(())
}

fn device(row: &Row<'_>) -> rusqlite::Result<Device> {
    let created_at_ms = row.get("created_at_ms")?;
    Ok(Device {
        id: parsed(row, "id")?,
        sign_in: BrowserSession(row.get("token_hash")?),
        device: row.get::<_, Option<String>>("device")?.unwrap_or_else(|| "a browser".to_owned()),
        created_at_ms,
        used_at_ms: row.get::<_, Option<i64>>("used_at_ms")?.unwrap_or(created_at_ms),
        expires_at_ms: row.get("expires_at_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600 * 1000;

    #[test]
    fn a_browser_that_is_used_stays_signed_in_up_to_a_bound() {
        let times = |created_at_ms, used_at_ms, expires_at_ms| Times {
            created_at_ms,
            used_at_ms,
            expires_at_ms,
            ends_at_ms: None,
        };
        assert_eq!(times(0, Some(9 * DAY), 30 * DAY).used(10 * DAY), Some((10 * DAY, 40 * DAY)));
        assert_eq!(times(0, Some(10 * DAY), 40 * DAY).used(10 * DAY + 1), None, "not at each request");
        assert_eq!(times(0, Some(159 * DAY), 180 * DAY).used(170 * DAY), Some((170 * DAY, 180 * DAY)));
        assert_eq!(times(0, None, 30 * DAY).used(DAY), Some((DAY, 31 * DAY)), "of an older version");
        let bounded = Times { ends_at_ms: Some(7 * DAY), ..times(0, Some(0), 7 * DAY) };
        assert_eq!(bounded.used(DAY), Some((DAY, 7 * DAY)), "it has a bound of its own");
    }
}
