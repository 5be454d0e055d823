//! Notices that wait for their delivery.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::super::rules::outbox::keep_newest;
use super::super::{DueCursor, DueNotice, LedgerError, MOST_NOTICES, Result, reading};
use super::rows::{bounds, micros, moment, parsed};
use crate::job::{JobId, Notice, Timestamp};

/// The notice, and its document.
pub(super) fn load(db: &Connection, id: &str) -> Result<Option<(Notice, String)>> {
    let doc = db
        .prepare_cached("SELECT doc FROM outbox WHERE id = ?1")?
        .query_row([id], |row| row.get::<_, String>(0))
        .optional()?;
    let Some(doc) = doc else { return Ok(None) };
    Ok(Some((notice(id, &doc)?, doc)))
}

fn notice(id: &str, doc: &str) -> Result<Notice> {
    let notice: Notice = parsed(id, doc)?;
    match reading::newer(id, notice.schema_version) {
        Some(newer) => Err(newer),
        None => Ok(notice),
    }
}

pub(super) fn due(
    db: &Connection,
    before: Timestamp,
    after: Option<&DueCursor>,
    limit: u32,
) -> Result<Vec<DueNotice>> {
    // From the columns, as jobs.
    let mut query = db.prepare_cached(
        "SELECT id, next_at FROM outbox WHERE next_at IS NOT NULL AND next_at <= ?1
           AND (next_at, id) > (?2, ?3)
         ORDER BY next_at, id LIMIT ?4",
    )?;
    let (before, at, id) = bounds(before, after);
    let found = query
        .query_map((before, at, id, limit), |row| {
            Ok(DueNotice {
                id: row.get(0)?,
                at: moment(row.get(1)?),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(found)
}

/// Whether there is a notice of that id, readable or not.
pub(super) fn has(db: &Connection, id: &str) -> Result<bool> {
    Ok(db
        .prepare_cached("SELECT 1 FROM outbox WHERE id = ?1")?
        .exists([id])?)
}

pub(super) fn insert(tx: &Transaction<'_>, notice: &Notice) -> Result<()> {
    tx.prepare_cached("INSERT INTO outbox (id, state, next_at, doc) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            notice.id,
            <&'static str>::from(notice.state),
            notice.next_at.map(micros),
            document(notice)?,
        ])?;
    Ok(())
}

/// Writes the notice over the one whose document is `seen`; whether that is still there.
pub(super) fn store(tx: &Transaction<'_>, notice: &Notice, seen: &str) -> Result<bool> {
    let written = tx
        .prepare_cached(
            "UPDATE outbox SET state = ?2, next_at = ?3, doc = ?4 WHERE id = ?1 AND doc = ?5",
        )?
        .execute(params![
            notice.id,
            <&'static str>::from(notice.state),
            notice.next_at.map(micros),
            document(notice)?,
            seen,
        ])?;
    Ok(written == 1)
}

/// Every id of a job's notices lies between these two: ids of jobs hold neither ':' nor ';'.
fn span(job: &JobId) -> (String, String) {
    (format!("{job}:"), format!("{job};"))
}

pub(super) fn of_job(db: &Connection, job: &JobId) -> Result<Vec<Notice>> {
    let (from, to) = span(job);
    let mut query =
        db.prepare_cached("SELECT id, doc FROM outbox WHERE id > ?1 AND id < ?2 ORDER BY id")?;
    let mut rows = query.query([from, to])?;
    let mut found: Vec<Notice> = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, doc): (String, String) = (row.get(0)?, row.get(1)?);
        match notice(&id, &doc) {
            Ok(notice) => found.push(notice),
            Err(error) => tracing::warn!(notification = id, %error, "a notice is not listed"),
        }
        // Ids are not in the order of rounds; memory stays bounded all the same.
        if found.len() >= 2 * MOST_NOTICES {
            keep_newest(&mut found);
        }
    }
    Ok(found)
}

pub(super) fn delete_of_job(tx: &Transaction<'_>, job: &JobId) -> Result<()> {
    let (from, to) = span(job);
    tx.prepare_cached("DELETE FROM outbox WHERE id > ?1 AND id < ?2")?
        .execute([from, to])?;
    Ok(())
}

fn document(notice: &Notice) -> Result<String> {
    serde_json::to_string(notice).map_err(|error| unreadable(&notice.id, &error))
}

fn unreadable(id: &str, error: &serde_json::Error) -> LedgerError {
    LedgerError::Malformed {
        id: id.to_owned(),
        reason: error.to_string(),
    }
}
