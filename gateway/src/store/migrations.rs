//! Schema versions: forward only, one transaction each.

use rusqlite::Connection;

use super::{StoreError, audit};

/// A step of the schema. Other dialects have files of the same number.
struct Migration {
    number: i64,
    sql: &'static str,
    /// What SQL alone can't do, behind it in the same transaction.
    more: Option<fn(&Connection) -> rusqlite::Result<()>>,
}

impl Migration {
    const fn new(number: i64, sql: &'static str) -> Self {
        Self { number, sql, more: None }
    }

    fn run(&self, connection: &Connection) -> Result<(), StoreError> {
        connection.execute_batch(self.sql)?;
        if let Some(more) = self.more {
            more(connection)?;
        }
        Ok(connection.pragma_update(None, "user_version", self.number)?)
    }
}

const MIGRATIONS: &[Migration] = &[
    Migration::new(1, include_str!("migrations/0001_initial.sqlite.sql")),
    Migration::new(2, include_str!("migrations/0002_audit.sqlite.sql")),
    Migration::new(3, include_str!("migrations/0003_shares.sqlite.sql")),
    Migration::new(4, include_str!("migrations/0004_environments.sqlite.sql")),
    Migration::new(5, include_str!("migrations/0005_previews.sqlite.sql")),
    Migration::new(6, include_str!("migrations/0006_access.sqlite.sql")),
    Migration::new(7, include_str!("migrations/0007_notifications.sqlite.sql")),
    Migration::new(8, include_str!("migrations/0008_backups.sqlite.sql")),
    Migration::new(9, include_str!("migrations/0009_accounts.sqlite.sql")),
    Migration {
        more: Some(audit::chain_earlier),
        ..Migration::new(10, include_str!("migrations/0010_guard.sqlite.sql"))
    },
    Migration::new(11, include_str!("migrations/0011_trust.sqlite.sql")),
    Migration::new(12, include_str!("migrations/0012_issuer.sqlite.sql")),
    Migration::new(13, include_str!("migrations/0013_people.sqlite.sql")),
];

/// The schema version that this build writes.
pub(super) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

/// Brings the schema to [`newest`].
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let current: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if current > newest() {
        return Err(StoreError::Newer { found: current, known: newest() });
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.number > current) {
        let transaction = connection.transaction()?;
        migration.run(&transaction)?;
        transaction.commit()?;
        tracing::info!(schema = migration.number, "store migrated");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_by_one() {
        assert_eq!(MIGRATIONS.first().map(|migration| migration.number), Some(1));
        assert!(MIGRATIONS.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
    }

    #[test]
    fn every_earlier_version_reaches_the_newest() {
        for start in 0..=newest() {
            let mut connection = Connection::open_in_memory().unwrap();
            for migration in MIGRATIONS.iter().filter(|migration| migration.number <= start) {
                migration.run(&connection).unwrap();
            }
            migrate(&mut connection).unwrap();
            let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
            assert_eq!(version, newest());
        }
    }

    #[test]
    fn whoever_was_let_in_to_a_preview_before_links_still_is() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        for migration in &MIGRATIONS[..5] {
            migration.run(&connection).unwrap();
        }
        let rows = "INSERT INTO users (id, name, created_at_ms) VALUES ('u', 'owner', 1);
            INSERT INTO workspaces (id, owner_user_id, name, change_seq, created_at_ms)
                VALUES ('w', 'u', 'main', 1, 1);
            INSERT INTO browser_sessions (token_hash, user_id, created_at_ms, expires_at_ms) VALUES ('b', 'u', 1, 2);
            INSERT INTO previews (id, workspace_id, port, visibility, mode, created_at_ms)
                VALUES ('p', 'w', 3000, 'private', 'standard', 1);
            INSERT INTO preview_grants (token_hash, preview_id, browser_session, expires_at_ms)
                VALUES ('g', 'p', 'b', 2);";
        connection.execute_batch(rows).unwrap();
        migrate(&mut connection).unwrap();
        let sql = "SELECT COUNT(*) FROM preview_grants WHERE token_hash = 'g' AND browser_session = 'b'";
        let kept =
            |connection: &Connection| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(kept(&connection), 1);
        connection.execute("DELETE FROM browser_sessions", []).unwrap();
        assert_eq!(kept(&connection), 0, "signing out takes it back");
    }

    #[test]
    fn what_was_stored_by_any_earlier_version_is_there_afterwards() {
        for start in 1..newest() {
            let mut connection = Connection::open_in_memory().unwrap();
            connection.pragma_update(None, "foreign_keys", true).unwrap();
            for migration in MIGRATIONS.iter().filter(|migration| migration.number <= start) {
                migration.run(&connection).unwrap();
            }
            connection
                .execute_batch(
                    "INSERT INTO users (id, name, created_at_ms) VALUES ('u', 'owner', 1);
                     INSERT INTO workspaces (id, owner_user_id, name, change_seq, created_at_ms)
                         VALUES ('w', 'u', 'main', 7, 1);
                     INSERT INTO sessions (id, workspace_id, name, template, state, attachments, created_at_ms,
                         change_seq, desired_seq) VALUES ('s', 'w', 'a', 'default', 'running', 0, 1, 7, 7);",
                )
                .unwrap();
            migrate(&mut connection).unwrap();
            let sql = "SELECT users.inbox_seq, workspaces.change_seq, sessions.attention FROM workspace_users
                       JOIN users ON users.id = workspace_users.user_id
                       JOIN workspaces ON workspaces.id = workspace_users.workspace_id
                       JOIN sessions ON sessions.workspace_id = workspaces.id";
            let found: (i64, i64, Option<String>) =
                connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
            assert_eq!(found, (0, 7, None), "from version {start}");
        }
    }

    #[test]
    fn what_was_on_the_record_before_the_chain_is_chained() {
        let mut connection = Connection::open_in_memory().unwrap();
        for migration in &MIGRATIONS[..8] {
            migration.run(&connection).unwrap();
        }
        for number in 1..=3 {
            let sql = "INSERT INTO audit (at_ms, workspace_id, user_id, request_id, action, detail)
                       VALUES (?1, 'w', 'u', 'r', 'exec_started', '{}')";
            connection.execute(sql, [number]).unwrap();
        }
        migrate(&mut connection).unwrap();
        let mut statement = connection.prepare("SELECT seq, at_ms, hash FROM audit ORDER BY seq").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let rows: Vec<(i64, i64, String)> = rows.collect::<Result<_, _>>().unwrap();
        let numbers: Vec<_> = rows.iter().map(|(seq, at_ms, _)| (*seq, *at_ms)).collect();
        assert_eq!(numbers, [(1, 1), (2, 2), (3, 3)]);
        let head = "SELECT hash FROM audit_head WHERE seq = 3";
        let head: String = connection.query_row(head, [], |row| row.get(0)).unwrap();
        assert_eq!(rows[2].2, head);
        for sql in ["UPDATE audit SET action = 'x'", "DELETE FROM audit"] {
            connection.execute(sql, []).unwrap_err();
        }
    }

    #[test]
    fn the_one_ca_of_before_signs_and_is_that_of_every_box() {
        let mut connection = Connection::open_in_memory().unwrap();
        for migration in &MIGRATIONS[..10] {
            migration.run(&connection).unwrap();
        }
        let rows =
            "INSERT INTO certificate_authorities (fingerprint, certificate_pem, key_sealed, created_at_ms)
                VALUES ('f', 'c', x'00', 1);
            INSERT INTO users (id, name, created_at_ms) VALUES ('u', 'owner', 1);
            INSERT INTO workspaces (id, owner_user_id, name, change_seq, created_at_ms)
                VALUES ('w', 'u', 'main', 1, 1);
            INSERT INTO workspace_instances (id, workspace_id, epoch, link_epoch, enrolled_at_ms)
                VALUES ('i', 'w', 1, 1, 1);";
        connection.execute_batch(rows).unwrap();
        migrate(&mut connection).unwrap();
        let sql = "SELECT generation, signing, certificate_ca, trust_generation FROM certificate_authorities
                   JOIN workspace_instances ON certificate_ca = fingerprint";
        let found: (i64, i64, String, i64) = connection
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .unwrap();
        assert_eq!(found, (1, 1, "f".to_owned(), 0));
    }

    #[test]
    fn browsers_of_before_the_issuer_are_browsers_and_stay_as_long() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        for migration in &MIGRATIONS[..11] {
            migration.run(&connection).unwrap();
        }
        let rows = "INSERT INTO users (id, name, created_at_ms) VALUES ('u', 'owner', 1);
            INSERT INTO browser_sessions (token_hash, user_id, id, created_at_ms, expires_at_ms)
                VALUES ('b', 'u', 'd', 1, 2);
            INSERT INTO api_tokens (id, user_id, name, scopes, token_hash, created_at_ms, expires_at_ms)
                VALUES ('t', 'u', 'ci', 'all', 'b', 1, 2);";
        connection.execute_batch(rows).unwrap();
        migrate(&mut connection).unwrap();
        let sql = "SELECT bearer, ends_at_ms FROM browser_sessions
                   JOIN api_tokens ON api_tokens.token_hash = browser_sessions.token_hash";
        let found: (i64, Option<i64>) =
            connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(found, (0, None));
        for name in ["issuer_subjects", "issuer_flows"] {
            assert!(connection.table_exists(None, name).unwrap(), "{name} is missing");
        }
    }

    #[test]
    fn an_invite_of_before_leads_where_it_led() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        for migration in &MIGRATIONS[..12] {
            migration.run(&connection).unwrap();
        }
        let rows = "INSERT INTO users (id, name, created_at_ms) VALUES ('u', 'owner', 1);
            INSERT INTO workspaces (id, owner_user_id, name, change_seq, created_at_ms)
                VALUES ('w', 'u', 'main', 1, 1);
            INSERT INTO invites (id, code_hash, uses_left, workspace_id, role, created_at_ms, expires_at_ms)
                VALUES ('i', 'h', 2, 'w', 'viewer', 3, 4), ('j', 'k', 1, NULL, NULL, 5, 6);";
        connection.execute_batch(rows).unwrap();
        migrate(&mut connection).unwrap();
        let sql =
            "SELECT uses_left, workspace_id, role, expires_at_ms, organization_id, created_by FROM invites
                   WHERE code_hash = 'h'";
        let found: (i64, String, String, i64, Option<String>, Option<String>) = connection
            .query_row(sql, [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            })
            .unwrap();
        assert_eq!(found, (2, "w".into(), "viewer".into(), 4, None, None));
        connection.execute("DELETE FROM workspaces", []).unwrap();
        let left: i64 = connection.query_row("SELECT COUNT(*) FROM invites", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 1, "it went with its workspace, and the one that leads nowhere stays");
    }

    #[test]
    fn the_first_version_has_a_table_for_everything_that_was_designed() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(MIGRATIONS[0].sql).unwrap();
        let tables = [
            "users",
            "organizations",
            "workspaces",
            "workspace_volumes",
            "workspace_instances",
            "sessions",
            "previews",
            "notifications",
            "events",
            "leases",
        ];
        for table in tables {
            assert!(connection.table_exists(None, table).unwrap(), "{table} is missing");
        }
        // The addresses by which a restarted gateway finds its boxes.
        for column in ["epoch", "public_ip", "tailscale_ip"] {
            assert!(
                connection.column_exists(None, "workspace_instances", column).unwrap(),
                "{column} is missing"
            );
        }
    }

    #[test]
    fn a_newer_schema_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", newest() + 1).unwrap();
        assert!(matches!(migrate(&mut connection), Err(StoreError::Newer { .. })));
    }
}
