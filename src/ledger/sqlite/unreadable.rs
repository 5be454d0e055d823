//! Records that cannot be read, and what is kept of them.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde_json::{Map, Value, json};
use strum::IntoEnumIterator as _;

use super::super::backend::{Damaged, Record};
use super::super::{LedgerError, Result, reading};
use super::outbox;
use super::rows::{load, micros, moment};
use super::seen::Seen;
use crate::job::notice::DeliveryState;
use crate::job::{CreditState, JobError, JobId, Status, Timestamp};

/// The name of a job's record in the table.
pub(super) fn job(id: &JobId) -> String {
    format!("jobs/{id}")
}

fn notice(id: &str) -> String {
    format!("outbox/{id}")
}

/// Watches a record no more: it can be read.
pub(super) fn forget(tx: &Transaction<'_>, record: &str) -> Result<()> {
    tx.prepare_cached("DELETE FROM unreadable WHERE record = ?1 AND buried_at IS NULL")?
        .execute([record])?;
    Ok(())
}

/// All that was kept of a job that is deleted, and of its notices.
pub(super) fn delete_of_job(tx: &Transaction<'_>, id: &JobId) -> Result<()> {
    tx.prepare_cached("DELETE FROM unreadable WHERE record = ?1 OR (record > ?2 AND record < ?3)")?
        .execute([
            job(id),
            // Ids of jobs hold neither ':' nor ';'.
            notice(&format!("{id}:")),
            notice(&format!("{id};")),
        ])?;
    Ok(())
}

/// A damaged job: its document as it stands.
pub(super) fn damaged_job(db: &Connection, id: &JobId) -> Result<Option<Damaged<Seen>>> {
    match load(db, id) {
        Ok(_) => return Ok(None),
        Err(LedgerError::Malformed { .. }) => {}
        Err(error) => return Err(error),
    }
    let found = db
        .prepare_cached("SELECT CAST(doc AS BLOB), status, owner FROM jobs WHERE id = ?1")?
        .query_row([id.as_str()], |row| {
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
            ))
        })
        .optional()?;
    let Some((doc, status, owner)) = found else {
        return Ok(None);
    };
    Ok(Some(Damaged {
        record: Record::Job(id.clone()),
        // The column was written with the job, whatever became of the document.
        owner: owner.parse().ok(),
        is_over: Status::iter().any(|known| known.is_ended() && known.as_str() == status),
        since: since(db, &job(id), &doc)?,
        seen: Seen::Damaged(doc),
    }))
}

pub(super) fn damaged_notice(db: &Connection, id: &str) -> Result<Option<Damaged<Seen>>> {
    match outbox::load(db, id) {
        Ok(_) => return Ok(None),
        Err(LedgerError::Malformed { .. }) => {}
        Err(error) => return Err(error),
    }
    let found = db
        .prepare_cached("SELECT CAST(doc AS BLOB), state FROM outbox WHERE id = ?1")?
        .query_row([id], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let Some((doc, state)) = found else {
        return Ok(None);
    };
    Ok(Some(Damaged {
        record: Record::Notice(id.to_owned()),
        owner: None,
        is_over: reading::is_final(&state),
        since: since(db, &notice(id), &doc)?,
        seen: Seen::Damaged(doc),
    }))
}

/// Since when the document has been noted as it stands.
fn since(db: &Connection, record: &str, doc: &[u8]) -> Result<Option<Timestamp>> {
    let noted: Option<i64> = db
        .prepare_cached(
            "SELECT since FROM unreadable WHERE record = ?1 AND doc = ?2 AND buried_at IS NULL",
        )?
        .query_row(params![record, doc], |row| row.get(0))
        .optional()?;
    Ok(noted.map(moment))
}

fn name(record: &Record) -> String {
    match record {
        Record::Job(id) => job(id),
        Record::Notice(id) => notice(id),
    }
}

/// Whether the document still stands as it was seen.
fn stands(tx: &Transaction<'_>, record: &Record, doc: &[u8]) -> Result<bool> {
    let (query, id) = match record {
        Record::Job(id) => (
            "SELECT 1 FROM jobs WHERE id = ?1 AND CAST(doc AS BLOB) = ?2",
            id.as_str(),
        ),
        Record::Notice(id) => (
            "SELECT 1 FROM outbox WHERE id = ?1 AND CAST(doc AS BLOB) = ?2",
            id.as_str(),
        ),
    };
    Ok(tx.prepare_cached(query)?.exists(params![id, doc])?)
}

/// Notes the document as it stands; whether it still does. One that has changed begins anew.
pub(super) fn watch(
    tx: &Transaction<'_>,
    record: &Record,
    doc: &[u8],
    now: Timestamp,
) -> Result<bool> {
    if !stands(tx, record, doc)? {
        return Ok(false);
    }
    let name = name(record);
    forget(tx, &name)?;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO unreadable (record, since, doc) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![name, micros(now), doc])?;
    Ok(true)
}

/// Ends the record and keeps its document; whether it still stood as it was seen.
pub(super) fn bury(
    tx: &Transaction<'_>,
    record: &Record,
    doc: &[u8],
    now: Timestamp,
    error: &JobError,
    released: bool,
) -> Result<bool> {
    if !stands(tx, record, doc)? {
        return Ok(false);
    }
    tx.prepare_cached(
        "UPDATE unreadable SET buried_at = ?2 WHERE record = ?1 AND buried_at IS NULL",
    )?
    .execute(params![name(record), micros(now)])?;
    match record {
        Record::Job(id) => {
            let buried = Value::Object(buried(doc, error, released, now));
            tx.prepare_cached(
                "UPDATE jobs SET status = ?2, next_visit_at = NULL, doc = ?3 WHERE id = ?1",
            )?
            .execute(params![
                id.as_str(),
                Status::Failed.as_str(),
                buried.to_string()
            ])?;
        }
        Record::Notice(id) => {
            tx.prepare_cached("UPDATE outbox SET state = ?2, next_at = NULL WHERE id = ?1")?
                .execute([id.as_str(), DeliveryState::Undeliverable.into()])?;
        }
    }
    Ok(true)
}

/// The document with the end of a failed job written into it. What is not a JSON object at all
/// is kept as the text `unreadable`.
fn buried(doc: &[u8], error: &JobError, released: bool, now: Timestamp) -> Map<String, Value> {
    let mut fields = match serde_json::from_slice(doc) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::from_iter([(
            "unreadable".to_owned(),
            Value::String(String::from_utf8_lossy(doc).into_owned()),
        )]),
    };
    fields.insert("status".into(), json!(Status::Failed));
    fields.insert("error".into(), json!(error));
    fields.insert("completed_at".into(), json!(now));
    fields.insert("updated_at".into(), json!(now));
    fields.remove("next_visit_at");
    if let Some(Value::Object(lease)) = fields.get_mut("lease") {
        lease.remove("holder");
        lease.remove("expires_at");
    }
    // Mended by hand, the job must not move them a second time.
    if released && let Some(Value::Object(credits)) = fields.get_mut("credits") {
        credits.insert("state".into(), json!(CreditState::Released));
    }
    fields
}
