//! Small records that all instances go by, each a JSON text under its name.

use rusqlite::{Connection, OptionalExtension as _, Transaction};
use serde_json::Value;

use super::super::backend::Shared;
use super::super::{LedgerError, Result};

/// `guards/{owner}`, `breakers/{model}`.
fn name(what: &Shared) -> String {
    match what {
        Shared::Guard(owner) => format!("guards/{owner}"),
        Shared::Breaker(model) => format!("breakers/{model}"),
    }
}

/// The record, and its text.
pub(super) fn load(db: &Connection, what: &Shared) -> Result<Option<(Value, String)>> {
    let id = name(what);
    let found: Option<String> = db
        .prepare_cached("SELECT doc FROM shared WHERE name = ?1")?
        .query_row([&id], |row| row.get(0))
        .optional()?;
    let Some(doc) = found else { return Ok(None) };
    let value = serde_json::from_str(&doc).map_err(|error| LedgerError::Malformed {
        id,
        reason: error.to_string(),
    })?;
    Ok(Some((value, doc)))
}

/// Whether the one that was `seen` was there, or none.
pub(super) fn put(
    tx: &Transaction<'_>,
    what: &Shared,
    value: &Value,
    seen: Option<&str>,
) -> Result<bool> {
    let (name, doc) = (name(what), value.to_string());
    let written = match seen {
        Some(seen) => tx
            .prepare_cached("UPDATE shared SET doc = ?2 WHERE name = ?1 AND doc = ?3")?
            .execute([&*name, &doc, seen])?,
        None => tx
            .prepare_cached("INSERT OR IGNORE INTO shared (name, doc) VALUES (?1, ?2)")?
            .execute([&name, &doc])?,
    };
    Ok(written == 1)
}
