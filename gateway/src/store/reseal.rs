//! Everything that is stored sealed, and how it is sealed anew. The store itself never opens it.

use rusqlite::params;

use super::{Store, StoreError};
use crate::sealing::{Sealer, SealingError};

/// A column of sealed values: its table, the column that names a row, its own name, and what the purposes of its values
/// begin with. The row's name follows, if `named`.
struct Column {
    table: &'static str,
    key: &'static str,
    sealed: &'static str,
    purpose: &'static str,
    named: bool,
}

const fn column(
    table: &'static str,
    key: &'static str,
    sealed: &'static str,
    purpose: &'static str,
    named: bool,
) -> Column {
    Column { table, key, sealed, purpose, named }
}

/// Every such column; a test compares them with the schema.
const COLUMNS: [Column; 5] = [
    column("certificate_authorities", "fingerprint", "key_sealed", "ca-key", true),
    column("workspace_environments", "workspace_id", "environment_sealed", "environment", true),
    column("workspace_backups", "workspace_id", "backup_sealed", "backup", true),
    column("channels", "id", "target_sealed", "channel", true),
    column("push_keys", "public_key", "private_sealed", "push-key", false),
];

impl Column {
    fn purpose(&self, key: &str) -> String {
        if self.named { format!("{}/{key}", self.purpose) } else { self.purpose.to_owned() }
    }
}

impl Store {
    /// Seals anew what was sealed with another key than the one in use: all of it, or nothing when something can't be
    /// opened. How many values that were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reseal(&self, sealer: Sealer) -> Result<Result<usize, SealingError>, StoreError> {
        self.transaction(move |tx| {
            let mut anew = Vec::new();
            for column in &COLUMNS {
                let Column { table, key, sealed, .. } = column;
                let sql = format!(
                    "SELECT {key} AS key, {sealed} AS sealed FROM {table} WHERE {sealed} IS NOT NULL"
                );
                let rows: Vec<(String, Vec<u8>)> =
                    tx.all(&sql, [], |row| Ok((row.get("key")?, row.get("sealed")?)))?;
                for (key, sealed) in rows {
                    match sealer.reseal(&column.purpose(&key), &sealed) {
                        Ok(None) => {}
                        Ok(Some(sealed)) => anew.push((column, key, sealed)),
                        Err(error) => return Ok(Err(error)),
                    }
                }
            }
            for (Column { table, key, sealed, .. }, row, value) in &anew {
                let sql = format!("UPDATE {table} SET {sealed} = $2 WHERE {key} = $1");
                tx.execute(&sql, params![row, value])?;
            }
            Ok(Ok(anew.len()))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn no_sealed_column_of_the_schema_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("gateway.db")).unwrap();
        let found = store
            .transaction(|tx| {
                let sql = "SELECT m.name AS t, c.name AS c FROM sqlite_master m, pragma_table_info(m.name) c
                           WHERE m.type = 'table' AND c.name LIKE '%sealed%'";
                tx.all(sql, [], |row| Ok((row.get::<_, String>("t")?, row.get::<_, String>("c")?)))
            })
            .await
            .unwrap();
        let known = COLUMNS.iter().map(|column| (column.table.to_owned(), column.sealed.to_owned()));
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), known.collect());
    }
}
