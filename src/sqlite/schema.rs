//! Bringing the tables of a file up to date.

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction};

use super::error::DatabaseError;
use super::transaction::{begin, commit};

/// The tables of one adapter, or a part of them: each part of a file has its own version. A
/// program refuses a part that is newer than it knows and does not look at parts it does not
/// know, so tables that an older release may overlook are a part of their own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schema {
    pub(crate) part: &'static str,
    /// Applied in order, each once. Published steps never change.
    pub(crate) steps: &'static [&'static str],
}

/// Turns on the write-ahead log, in which readers and the writer do not block each other. It is
/// a property of the file, so that only the first one to open it really switches.
pub(super) fn write_ahead(connection: &mut Connection) -> Result<(), DatabaseError> {
    let mut tries = 0;
    loop {
        let switched = connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| {
                row.get::<_, String>(0)
            })
            .map(drop);
        match switched {
            Ok(()) => return Ok(()),
            // Several processes opening a new file at once: the switch does not wait by itself.
            // An empty transaction does, and then the other one is through.
            Err(error)
                if tries < 10 && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) =>
            {
                tries += 1;
                commit(begin(connection)?)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// All parts in one transaction: a start waits for the disk once, and a file is never left between
/// two versions.
pub(super) fn migrate(connection: &mut Connection, parts: &[Schema]) -> Result<(), DatabaseError> {
    let transaction = begin(connection)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (
             part TEXT PRIMARY KEY, version INTEGER NOT NULL
         ) STRICT, WITHOUT ROWID",
    )?;
    let mut is_changed = false;
    for part in parts {
        is_changed |= migrate_part(&transaction, *part)?;
    }
    if is_changed {
        return commit(transaction);
    }
    Ok(())
}

/// Whether something was missing.
fn migrate_part(transaction: &Transaction<'_>, schema: Schema) -> Result<bool, DatabaseError> {
    let Schema { part, steps } = schema;
    let found = transaction
        .query_row(
            "SELECT version FROM schema_versions WHERE part = ?1",
            [part],
            |row| row.get::<_, u32>(0),
        )
        .optional()?
        .unwrap_or(0) as usize;
    let Some(missing) = steps.get(found..) else {
        return Err(DatabaseError::Newer {
            part,
            found,
            known: steps.len(),
        });
    };
    for step in missing {
        transaction.execute_batch(step)?;
    }
    if missing.is_empty() {
        return Ok(false);
    }
    transaction.execute(
        "INSERT OR REPLACE INTO schema_versions (part, version) VALUES (?1, ?2)",
        (part, i64::try_from(steps.len()).unwrap_or(i64::MAX)),
    )?;
    Ok(true)
}
