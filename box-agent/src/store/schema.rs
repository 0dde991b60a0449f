//! Opens the database and brings it to the version of this build. Versions only go forward.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, Transaction};

use super::StoreError;

/// Each entry leads from its index to the next version. Entries are appended, never changed.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE outbox (
        -- Order of arrival, over all streams.
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        stream   TEXT    NOT NULL,
        seq      INTEGER NOT NULL,
        -- More than seq where a row stands for a range of dropped events.
        last_seq INTEGER NOT NULL,
        -- NULL where the events were dropped.
        kind     TEXT,
        instance TEXT    NOT NULL,
        at_ms    INTEGER NOT NULL,
        payload  TEXT    NOT NULL,
        UNIQUE (stream, seq)
    ) STRICT;
    CREATE TABLE desired (
        only     INTEGER PRIMARY KEY CHECK (only = 1),
        snapshot TEXT NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE backup_runs (
        run    INTEGER PRIMARY KEY AUTOINCREMENT,
        -- JSON, without the number.
        detail TEXT    NOT NULL,
        ended  INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE backup_notes (
        name  TEXT PRIMARY KEY,
        -- JSON.
        value TEXT NOT NULL
    ) STRICT;
",
    "
    -- What the user was told of a pane and was not taken back: one for each pane at most.
    CREATE TABLE attention (
        -- The tmux server that the pane is of, and tmux's number of it.
        server       TEXT    NOT NULL,
        pane         INTEGER NOT NULL,
        notification TEXT    NOT NULL,
        -- What its question is known by, also where it can't be answered.
        fingerprint  TEXT,
        PRIMARY KEY (server, pane)
    ) STRICT;
    -- What hooks of coding agents have said. Each has an id of its own, and counts once.
    CREATE TABLE hooks (
        id    TEXT    PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        pane  INTEGER NOT NULL,
        said  TEXT    NOT NULL,
        -- 1 until what came of it is stored.
        open  INTEGER NOT NULL
    ) STRICT;
",
];

/// Opens the file, checks it and migrates it.
///
/// # Errors
/// [`StoreError`].
pub fn open(path: &Path) -> Result<Connection, StoreError> {
    let explain = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::Damaged { path: path.to_owned(), source: Some(error) }
        }
        _ => StoreError::Failed { path: path.to_owned(), source: error },
    };
    let mut connection = Connection::open(path).map_err(explain)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(explain)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(explain)?;
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(explain)?;
    if verdict != "ok" {
        return Err(StoreError::Damaged { path: path.to_owned(), source: None });
    }
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(explain)?;
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    migrate(&mut connection, found).map_err(explain)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    for (version, sql) in (1_i64..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Writes what is there already: whether anything can be written.
pub(super) fn rewrite_version(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.pragma_update(None, "user_version", MIGRATIONS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_made_once_and_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.db");
        for _ in 0..2 {
            let connection = open(&path).unwrap();
            let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
            assert_eq!(version, i64::try_from(MIGRATIONS.len()).unwrap());
        }
    }

    #[test]
    fn damage_and_a_newer_version_are_told_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.db");
        std::fs::write(&path, "this is not a database, and it is long enough to be looked at as one")
            .unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("agent.db is damaged: move it away"), "{error}");
        std::fs::remove_file(&path).unwrap();
        open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(open(&path), Err(StoreError::Newer { found: 99, .. })));
    }

    #[test]
    fn the_version_is_written_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.db");
        let mut connection = open(&path).unwrap();
        let log = || std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
        let before = log();
        let transaction = connection.transaction().unwrap();
        rewrite_version(&transaction).unwrap();
        transaction.commit().unwrap();
        assert!(log() > before, "something was written");
        drop(connection);
        open(&path).unwrap();
    }

    #[test]
    fn one_damaged_page_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.db");
        let connection = open(&path).unwrap();
        let number = |sql| connection.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
        let page = number("SELECT rootpage FROM sqlite_schema WHERE name = 'desired'");
        let place = (page - 1) * number("PRAGMA page_size");
        connection.close().unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[b'x'; 64], place).unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { source: None, .. }), "{error:?}");
    }
}
