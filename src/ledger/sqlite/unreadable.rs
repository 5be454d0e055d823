//! Records that cannot be read: watched for a while, then ended, with what stood there kept.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde_json::{Map, Value, json};
use strum::IntoEnumIterator as _;

use super::super::{Burial, LedgerError, Result, reading};
use super::rows::{load, micros, moment};
use super::{accounts, outbox};
use crate::clock::{elapsed, whole_micros};
use crate::job::notification::DeliveryState;
use crate::job::{
    Code, CreditEntry, CreditState, Credits, JobError, JobId, Owner, Status, Timestamp,
};

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

pub(super) fn bury(
    tx: &Transaction<'_>,
    id: &JobId,
    now: Timestamp,
    patience: Duration,
) -> Result<Burial> {
    let now = whole_micros(now);
    match load(tx, id) {
        Ok(_) => return Ok(Burial::NothingToDo),
        Err(LedgerError::Malformed { .. }) => {}
        Err(error) => return Err(error),
    }
    let found = tx
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
        return Ok(Burial::NothingToDo);
    };
    if Status::iter().any(|known| known.is_ended() && known.as_str() == status) {
        return Ok(Burial::NothingToDo);
    }
    let record = job(id);
    if let Watched::Since(since) = watch(tx, &record, &doc, now, patience)? {
        return Ok(Burial::Noted { since });
    }
    // The column was written with the job, whatever became of the document.
    let released = match owner.parse() {
        Ok(owner) => release(tx, id, &owner, now)?,
        Err(_) => None,
    };
    let buried = Value::Object(buried(&doc, released, now));
    tx.prepare_cached("UPDATE jobs SET status = ?2, next_visit_at = NULL, doc = ?3 WHERE id = ?1")?
        .execute(params![
            id.as_str(),
            Status::Failed.as_str(),
            buried.to_string()
        ])?;
    Ok(Burial::Done { released })
}

pub(super) fn bury_notice(
    tx: &Transaction<'_>,
    id: &str,
    now: Timestamp,
    patience: Duration,
) -> Result<Burial> {
    let now = whole_micros(now);
    match outbox::load(tx, id) {
        Ok(_) => return Ok(Burial::NothingToDo),
        Err(LedgerError::Malformed { .. }) => {}
        Err(error) => return Err(error),
    }
    let found = tx
        .prepare_cached("SELECT CAST(doc AS BLOB), state FROM outbox WHERE id = ?1")?
        .query_row([id], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let Some((doc, state)) = found else {
        return Ok(Burial::NothingToDo);
    };
    if reading::is_final(&state) {
        return Ok(Burial::NothingToDo);
    }
    if let Watched::Since(since) = watch(tx, &notice(id), &doc, now, patience)? {
        return Ok(Burial::Noted { since });
    }
    tx.prepare_cached("UPDATE outbox SET state = ?2, next_at = NULL WHERE id = ?1")?
        .execute([id, DeliveryState::Undeliverable.into()])?;
    Ok(Burial::Done { released: None })
}

enum Watched {
    /// Not for long enough.
    Since(Timestamp),
    /// For long enough: it is to be buried, and its document is kept.
    Enough,
}

/// Notes the document as it stands, or finds it noted. One that has changed begins anew.
fn watch(
    tx: &Transaction<'_>,
    record: &str,
    doc: &[u8],
    now: Timestamp,
    patience: Duration,
) -> Result<Watched> {
    let noted = tx
        .prepare_cached(
            "SELECT since FROM unreadable WHERE record = ?1 AND doc = ?2 AND buried_at IS NULL",
        )?
        .query_row(params![record, doc], |row: &Row<'_>| row.get(0))
        .optional()?
        .map(moment);
    let Some(since) = noted else {
        forget(tx, record)?;
        tx.prepare_cached(
            "INSERT OR REPLACE INTO unreadable (record, since, doc) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![record, micros(now), doc])?;
        return Ok(Watched::Since(now));
    };
    if elapsed(since, now) < patience {
        return Ok(Watched::Since(since));
    }
    tx.prepare_cached(
        "UPDATE unreadable SET buried_at = ?2 WHERE record = ?1 AND buried_at IS NULL",
    )?
    .execute(params![record, micros(now)])?;
    Ok(Watched::Enough)
}

/// Gives back what the job's entries still hold.
fn release(
    tx: &Transaction<'_>,
    id: &JobId,
    owner: &Owner,
    now: Timestamp,
) -> Result<Option<Credits>> {
    let Some(entry) = CreditEntry::release_of(&accounts::of_job(tx, owner, id)?, now) else {
        return Ok(None);
    };
    accounts::add(tx, owner, &entry)?;
    Ok(Some(entry.amount))
}

/// The document with the end of a failed job written into it. What is not a JSON object at all
/// is kept as the text `unreadable`.
fn buried(doc: &[u8], released: Option<Credits>, now: Timestamp) -> Map<String, Value> {
    let mut fields = match serde_json::from_slice(doc) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::from_iter([(
            "unreadable".to_owned(),
            Value::String(String::from_utf8_lossy(doc).into_owned()),
        )]),
    };
    let error = JobError {
        code: Code::InvalidJob,
        message: Code::InvalidJob.about().to_owned(),
        party: Code::InvalidJob.party(),
        stage: None,
        attempt: 1,
        at: now,
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
    if released.is_some()
        && let Some(Value::Object(credits)) = fields.get_mut("credits")
    {
        credits.insert("state".into(), json!(CreditState::Released));
    }
    fields
}
