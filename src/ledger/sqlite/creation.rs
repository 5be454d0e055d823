//! Keys that stand for requests, and callbacks.

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::super::backend::KeyRecord;
use super::super::{Callback, LedgerError, MOST_CALLBACKS, Result};
use super::rows::{micros, moment};
use crate::job::{Idempotency, JobId, Owner};
use crate::sqlite::Room;

pub(super) fn key(db: &Connection, owner: &Owner, key: &str) -> Result<Option<KeyRecord>> {
    let known = db
        .prepare_cached(
            "SELECT request_sha256, job FROM idempotency WHERE owner = ?1 AND key = ?2",
        )?
        .query_row([owner.as_str(), key], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let Some((request_sha256, job)) = known else {
        return Ok(None);
    };
    let job = job.parse().map_err(|error| LedgerError::Malformed {
        id: job,
        reason: format!("{error}"),
    })?;
    Ok(Some(KeyRecord {
        request_sha256,
        job: Some(job),
    }))
}

/// Whether the key was free. A key goes with its job: there is none of a job that is gone.
pub(super) fn remember(
    tx: &Transaction<'_>,
    owner: &Owner,
    asked: &Idempotency,
    job: &JobId,
) -> Result<bool> {
    let written = tx
        .prepare_cached(
            "INSERT OR IGNORE INTO idempotency (owner, key, request_sha256, job)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute([
            owner.as_str(),
            &asked.key,
            &asked.request_sha256,
            job.as_str(),
        ])?;
    Ok(written == 1)
}

/// Fails where more jobs have not ended than may wait, the one just written included.
pub(super) fn admit(tx: &Transaction<'_>, waiting: Option<&Room>) -> Result<()> {
    let Some(room) = waiting else {
        return Ok(());
    };
    let fits = room.admits(|most| {
        tx.prepare_cached(
            "SELECT count(*) FROM
                 (SELECT 1 FROM jobs WHERE next_visit_at IS NOT NULL LIMIT ?1)",
        )?
        .query_row([most.saturating_add(1)], |row| row.get(0))
        .map(|there: u32| there.saturating_sub(1))
    })?;
    if fits {
        return Ok(());
    }
    let waiting = room.most();
    Err(LedgerError::Full { waiting })
}

pub(super) fn insert_callback(
    tx: &Transaction<'_>,
    id: &JobId,
    callback: &Callback,
) -> Result<bool> {
    let written = tx
        .prepare_cached(
            "INSERT OR IGNORE INTO callbacks (job, intent, prediction_id, received_at)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((
            id.as_str(),
            &callback.intent,
            &callback.prediction_id,
            micros(callback.received_at),
        ))?;
    Ok(written == 1)
}

pub(super) fn has_callback(db: &Connection, id: &JobId, intent: &str) -> Result<bool> {
    Ok(db
        .prepare_cached("SELECT 1 FROM callbacks WHERE job = ?1 AND intent = ?2")?
        .exists([id.as_str(), intent])?)
}

pub(super) fn callbacks(db: &Connection, id: &JobId) -> Result<Vec<Callback>> {
    let found = db
        .prepare_cached(
            "SELECT intent, prediction_id, received_at FROM
                 (SELECT * FROM callbacks WHERE job = ?1
                  ORDER BY received_at DESC, intent DESC LIMIT ?2)
             ORDER BY received_at, intent",
        )?
        .query_map((id.as_str(), MOST_CALLBACKS as u32), |row| {
            Ok(Callback {
                intent: row.get(0)?,
                prediction_id: row.get(1)?,
                received_at: moment(row.get(2)?),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(found)
}
