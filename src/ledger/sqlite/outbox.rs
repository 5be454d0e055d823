//! Notices that wait for their delivery.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::super::{LedgerError, Result};
use super::rows::micros;
use crate::clock::whole_micros;
use crate::job::{JobId, Notification, Timestamp, notification::DeliveryState};

pub(super) fn load(db: &Connection, id: &str) -> Result<Option<Notification>> {
    let doc = db
        .prepare_cached("SELECT doc FROM outbox WHERE id = ?1")?
        .query_row([id], |row| row.get::<_, String>(0))
        .optional()?;
    doc.map(|doc| serde_json::from_str(&doc).map_err(|error| unreadable(id, &error)))
        .transpose()
}

/// Writes the notice, once: one that is there already stays, and is given back.
pub(super) fn create(tx: &Transaction<'_>, notice: Notification) -> Result<Notification> {
    if let Some(there) = load(tx, &notice.id)? {
        return Ok(there);
    }
    tx.prepare_cached("INSERT INTO outbox (id, state, next_at, doc) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            notice.id,
            <&'static str>::from(notice.state),
            notice.next_at.map(micros),
            document(&notice)?,
        ])?;
    Ok(notice)
}

pub(super) fn due(db: &Connection, before: Timestamp, limit: u32) -> Result<Vec<Notification>> {
    let mut query = db.prepare_cached(
        "SELECT id, doc FROM outbox WHERE next_at IS NOT NULL AND next_at <= ?1
         ORDER BY next_at, id",
    )?;
    let mut rows = query.query([micros(before)])?;
    let mut found = Vec::new();
    while found.len() < limit as usize {
        let Some(row) = rows.next()? else { break };
        let (id, doc): (String, String) = (row.get(0)?, row.get(1)?);
        match serde_json::from_str(&doc) {
            Ok(notice) => found.push(notice),
            // One bad notice must not keep the others from being delivered.
            Err(error) => tracing::error!(notification = id, %error, "a notice cannot be read"),
        }
    }
    Ok(found)
}

pub(super) fn record_delivery(
    tx: &Transaction<'_>,
    id: &str,
    state: DeliveryState,
    next_at: Option<Timestamp>,
    error: Option<String>,
) -> Result<()> {
    let Some(mut notice) = load(tx, id)? else {
        return Ok(());
    };
    if notice.state == DeliveryState::Delivered {
        return Ok(());
    }
    notice.state = state;
    notice.deliveries = notice.deliveries.saturating_add(1);
    notice.next_at = next_at
        .filter(|_| state == DeliveryState::Pending)
        .map(whole_micros);
    notice.last_error = error;
    store(tx, &notice)
}

fn store(tx: &Transaction<'_>, notice: &Notification) -> Result<()> {
    tx.prepare_cached("UPDATE outbox SET state = ?2, next_at = ?3, doc = ?4 WHERE id = ?1")?
        .execute(params![
            notice.id,
            <&'static str>::from(notice.state),
            notice.next_at.map(micros),
            document(notice)?,
        ])?;
    Ok(())
}

pub(super) fn replay(
    tx: &Transaction<'_>,
    id: &str,
    now: Timestamp,
) -> Result<Option<Notification>> {
    let Some(mut notice) = load(tx, id)? else {
        return Ok(None);
    };
    notice.replay(whole_micros(now));
    store(tx, &notice)?;
    Ok(Some(notice))
}

/// Every id of a job's notices lies between these two: ids of jobs hold neither ':' nor ';'.
fn span(job: &JobId) -> (String, String) {
    (format!("{job}:"), format!("{job};"))
}

pub(super) fn of_job(db: &Connection, job: &JobId) -> Result<Vec<Notification>> {
    let (from, to) = span(job);
    let mut query =
        db.prepare_cached("SELECT id, doc FROM outbox WHERE id > ?1 AND id < ?2 ORDER BY id")?;
    let mut rows = query.query([from, to])?;
    let mut found: Vec<Notification> = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, doc): (String, String) = (row.get(0)?, row.get(1)?);
        match serde_json::from_str(&doc) {
            Ok(notice) => found.push(notice),
            Err(error) => tracing::error!(notification = id, %error, "a notice cannot be read"),
        }
    }
    found.sort_by_key(Notification::round);
    Ok(found)
}

pub(super) fn delete_of_job(tx: &Transaction<'_>, job: &JobId) -> Result<()> {
    let (from, to) = span(job);
    tx.prepare_cached("DELETE FROM outbox WHERE id > ?1 AND id < ?2")?
        .execute([from, to])?;
    Ok(())
}

fn document(notice: &Notification) -> Result<String> {
    serde_json::to_string(notice).map_err(|error| unreadable(&notice.id, &error))
}

fn unreadable(id: &str, error: &serde_json::Error) -> LedgerError {
    LedgerError::Malformed {
        id: id.to_owned(),
        reason: error.to_string(),
    }
}
