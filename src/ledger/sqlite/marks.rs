//! Marks: rows that are written to see whether anything can be, or that something happened lately.

use rusqlite::{Transaction, params};

use super::super::Result;
use super::rows::micros;
use crate::job::Timestamp;

/// Marks that are listed.
const MOST: u32 = 500;

/// Made where it is missing and no step of the schema: nothing depends on it, so an older program
/// still opens the file.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS marks (
    name TEXT PRIMARY KEY, at INTEGER NOT NULL
) STRICT, WITHOUT ROWID";

pub(super) fn mark(tx: &Transaction<'_>, name: &str, now: Timestamp) -> Result<()> {
    tx.execute_batch(TABLE)?;
    tx.prepare_cached("INSERT OR REPLACE INTO marks (name, at) VALUES (?1, ?2)")?
        .execute(params![name, micros(now)])?;
    Ok(())
}

pub(super) fn unmark(tx: &Transaction<'_>, name: &str) -> Result<()> {
    tx.execute_batch(TABLE)?;
    tx.execute("DELETE FROM marks WHERE name = ?1", [name])?;
    Ok(())
}

/// The newest ones.
pub(super) fn marks(tx: &Transaction<'_>) -> Result<Vec<String>> {
    tx.execute_batch(TABLE)?;
    let mut found = tx.prepare_cached("SELECT name FROM marks ORDER BY at DESC LIMIT ?1")?;
    let names = found.query_map([MOST], |row| row.get(0))?;
    Ok(names.collect::<std::result::Result<_, _>>()?)
}

pub(super) fn unmark_old(tx: &Transaction<'_>, before: Timestamp) -> Result<()> {
    tx.execute_batch(TABLE)?;
    tx.execute("DELETE FROM marks WHERE at <= ?1", [micros(before)])?;
    Ok(())
}
