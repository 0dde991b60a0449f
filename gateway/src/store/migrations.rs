//! Schema versions: forward only, one transaction each.

use rusqlite::Connection;

use super::StoreError;

/// A step of the schema. Other dialects have files of the same number.
struct Migration {
    number: i64,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, sql: include_str!("migrations/0001_initial.sqlite.sql") },
    Migration { number: 2, sql: include_str!("migrations/0002_audit.sqlite.sql") },
    Migration { number: 3, sql: include_str!("migrations/0003_shares.sqlite.sql") },
    Migration { number: 4, sql: include_str!("migrations/0004_environments.sqlite.sql") },
    Migration { number: 5, sql: include_str!("migrations/0005_previews.sqlite.sql") },
    Migration { number: 8, sql: include_str!("migrations/0008_backups.sqlite.sql") },
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
        transaction.execute_batch(migration.sql)?;
        transaction.pragma_update(None, "user_version", migration.number)?;
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
                connection.execute_batch(migration.sql).unwrap();
                connection.pragma_update(None, "user_version", migration.number).unwrap();
            }
            migrate(&mut connection).unwrap();
            let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
            assert_eq!(version, newest());
        }
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
