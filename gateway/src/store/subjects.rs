//! Users as an issuer of identities knows them, sign-ins that were begun there, and tokens of its that programs say.

use std::time::Duration;

use berth_protocol::ids::UserId;
use rusqlite::params;

use super::transaction::Tx;
use super::{
    BrowserSession, CurrentUser, MemberRole, Store, StoreError, deadline_ms, hash, now_ms, organizations,
    users,
};
use crate::auth::{LONGEST_NAME, new_secret};

/// Accounts whose names are one with a number behind it.
const MOST_NAMESAKES: u32 = 100;

/// Somebody, as an issuer knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its identifier.
    pub issuer: String,
    /// Its word for them.
    pub subject: String,
}

/// Somebody who was never here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    /// The name that they get, with a number behind it when somebody has it.
    pub name: String,
    /// The organisation that they become a member of, and their role there.
    pub organization: Option<(String, MemberRole)>,
}

impl Store {
    /// Who somebody is whom an issuer knows, and whether they are blocked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user_of_subject(&self, subject: Subject) -> Result<Option<(CurrentUser, bool)>, StoreError> {
        self.transaction(move |tx| find(tx, &subject)).await
    }

    /// Makes an account for somebody whom an issuer knows, unless somebody was faster. Who they are, and whether they are
    /// new.
    ///
    /// # Errors
    /// [`StoreError::NoSuchOrganization`].
    pub async fn add_user_of_subject(
        &self,
        subject: Subject,
        newcomer: Newcomer,
    ) -> Result<(CurrentUser, bool), StoreError> {
        self.transaction(move |tx| {
            if let Some((user, _)) = find(tx, &subject)? {
                return Ok((user, false));
            }
            // First the owner, who has a name, too.
            users::owner(tx)?;
            let user = users::add(tx, free_name(tx, &newcomer.name)?)?;
            if let Some((organization, role)) = newcomer.organization {
                let organization = organizations::find_named(tx, organization)?;
                organizations::put_member(tx, &organization, &user.id, role)?;
            }
            link(tx, &subject, &user.id)?;
            Ok((user, true))
        })
        .await
    }

    /// Says that somebody whom an issuer knows is this user. `false`: they were already.
    ///
    /// # Errors
    /// [`StoreError::NoSuchUser`], [`StoreError::SubjectTaken`].
    pub async fn link_subject(&self, name: String, subject: Subject) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let user = users::named(tx, &name)?.ok_or(StoreError::NoSuchUser(name))?;
            match find(tx, &subject)? {
                Some((known, _)) if known.id == user.id => Ok(false),
                Some(_) => Err(StoreError::SubjectTaken(subject.subject)),
                None => link(tx, &subject, &user.id).map(|()| true),
            }
        })
        .await
    }

    /// Forgets who a user is to issuers, and signs them out everywhere. How many there were.
    ///
    /// # Errors
    /// [`StoreError::NoSuchUser`].
    pub async fn unlink_subjects(&self, name: String) -> Result<usize, StoreError> {
        self.transaction(move |tx| {
            let user = users::named(tx, &name)?.ok_or(StoreError::NoSuchUser(name))?;
            let forgotten =
                tx.execute("DELETE FROM issuer_subjects WHERE user_id = $1", [user.id.as_str()])?;
            users::sign_out_everywhere(tx, &user.id)?;
            Ok(forgotten)
        })
        .await
    }

    /// Remembers a sign-in that a browser begins at the issuer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_issuer_flow(&self, ticket: &str, lifetime: Duration) -> Result<(), StoreError> {
        let ticket_hash = hash(ticket);
        self.transaction(move |tx| {
            tx.execute(
                "INSERT INTO issuer_flows (ticket_hash, expires_at_ms) VALUES ($1, $2)",
                params![ticket_hash, deadline_ms(lifetime)],
            )?;
            Ok(())
        })
        .await
    }

    /// Takes a sign-in that was begun at the issuer, once. `false`: it is unknown, taken or too old.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_issuer_flow(&self, ticket: &str) -> Result<bool, StoreError> {
        let ticket_hash = hash(ticket);
        self.transaction(move |tx| {
            let sql = "DELETE FROM issuer_flows WHERE ticket_hash = $1 RETURNING expires_at_ms";
            let taken = tx.optional(sql, [ticket_hash], |row| row.get::<_, i64>("expires_at_ms"))?;
            Ok(taken.is_some_and(|expires_at_ms| expires_at_ms > now_ms()))
        })
        .await
    }

    /// The sign-in of a program that says a token of the issuer's. What it is given hangs on that, and ends with the token.
    /// `None`: the user is blocked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hold_bearer(
        &self,
        user: UserId,
        token: &str,
        expires_at_ms: i64,
    ) -> Result<Option<BrowserSession>, StoreError> {
        let sign_in = BrowserSession::of_token(token);
        self.transaction(move |tx| {
            tx.execute(
                "INSERT INTO browser_sessions (token_hash, user_id, created_at_ms, expires_at_ms, bearer)
                 SELECT $1, id, $3, $4, 1 FROM users WHERE id = $2 AND blocked_at_ms IS NULL
                 ON CONFLICT (token_hash) DO NOTHING",
                params![sign_in.0, user.as_str(), now_ms(), expires_at_ms],
            )?;
            let sql = "SELECT 1 FROM browser_sessions WHERE token_hash = $1 AND user_id = $2 AND bearer = 1";
            let held = tx.optional(sql, params![sign_in.0, user.as_str()], |_| Ok(()))?;
            Ok(held.map(|()| sign_in))
        })
        .await
    }
}

fn find(tx: &Tx<'_>, subject: &Subject) -> Result<Option<(CurrentUser, bool)>, StoreError> {
    let sql = "SELECT users.id, users.name, users.blocked_at_ms IS NOT NULL AS blocked FROM issuer_subjects
               JOIN users ON users.id = issuer_subjects.user_id WHERE issuer = $1 AND subject = $2";
    tx.optional(sql, params![subject.issuer, subject.subject], |row| {
        Ok((users::user(row)?, row.get("blocked")?))
    })
}

fn link(tx: &Tx<'_>, subject: &Subject, user: &UserId) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO issuer_subjects (issuer, subject, user_id, created_at_ms) VALUES ($1, $2, $3, $4)",
        params![subject.issuer, subject.subject, user.as_str(), now_ms()],
    )?;
    Ok(())
}

/// A name that nobody has.
fn free_name(tx: &Tx<'_>, wish: &str) -> Result<String, StoreError> {
    let with = |ending: &str| {
        let begin: String = wish.chars().take(LONGEST_NAME - ending.len()).collect();
        begin + ending
    };
    for number in 1..=MOST_NAMESAKES {
        let name = if number == 1 { wish.to_owned() } else { with(&format!("-{number}")) };
        if users::named(tx, &name)?.is_none() {
            return Ok(name);
        }
    }
    let random: String =
        new_secret().to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    Ok(with(&format!("-{random}")))
}
