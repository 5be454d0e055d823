//! What others write: new jobs, cancellations, callbacks.

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::super::{Callback, CancelRequest, Created, LedgerError, MOST_CALLBACKS, Result};
use super::rows::{insert, load, micros, moment};
use crate::clock::whole_micros;
use crate::job::{Idempotency, Job, JobId, NewJob, Timestamp};

pub(super) fn create(
    tx: &Transaction<'_>,
    mut new: NewJob,
    max_waiting: Option<u32>,
) -> Result<Created> {
    if let Some(asked) = &new.idempotency {
        let known = tx
            .prepare_cached(
                "SELECT request_sha256, job FROM idempotency WHERE owner = ?1 AND key = ?2",
            )?
            .query_row([new.owner.as_str(), &asked.key], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        if let Some((request_sha256, job)) = known {
            if request_sha256 != asked.request_sha256 {
                return Ok(Created::KeyReused);
            }
            let id = job.parse().map_err(|error| LedgerError::Malformed {
                id: job,
                reason: format!("{error}"),
            })?;
            // The reference keeps the job in place as long as its key.
            if let Some(job) = load(tx, &id)? {
                return Ok(Created::Existing(Box::new(job)));
            }
        }
    }
    if let Some(job) = load(tx, &new.id)? {
        return Ok(if new.asks_for(&job) {
            remember(tx, new.idempotency.as_ref(), &job)?;
            Created::Existing(Box::new(job))
        } else {
            Created::IdTaken
        });
    }
    admit(tx, max_waiting)?;
    new.created_at = whole_micros(new.created_at);
    new.deadline_at = whole_micros(new.deadline_at);
    let idempotency = new.idempotency.take();
    let job = new.into_job();
    insert(tx, &job)?;
    remember(tx, idempotency.as_ref(), &job)?;
    Ok(Created::New(Box::new(job)))
}

fn remember(tx: &Transaction<'_>, key: Option<&Idempotency>, job: &Job) -> Result<()> {
    if let Some(Idempotency {
        key,
        request_sha256,
    }) = key
    {
        tx.prepare_cached(
            "INSERT INTO idempotency (owner, key, request_sha256, job) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute([job.owner.as_str(), key, request_sha256, job.id.as_str()])?;
    }
    Ok(())
}

/// Refuses one more job that has not ended where there are as many as may be.
pub(super) fn admit(tx: &Transaction<'_>, max_waiting: Option<u32>) -> Result<()> {
    if let Some(max) = max_waiting {
        let waiting = waiting(tx, max)?;
        if waiting >= max {
            return Err(LedgerError::Full { waiting });
        }
    }
    Ok(())
}

/// How many jobs have not ended, counted up to `max`.
fn waiting(tx: &Transaction<'_>, max: u32) -> Result<u32> {
    let counted = tx
        .prepare_cached(
            "SELECT count(*) FROM
                 (SELECT 1 FROM jobs WHERE next_visit_at IS NOT NULL LIMIT ?1)",
        )?
        .query_row([max], |row| row.get(0))?;
    Ok(counted)
}

pub(super) fn request_cancel(
    tx: &Transaction<'_>,
    id: &JobId,
    now: Timestamp,
) -> Result<CancelRequest> {
    let Some(mut job) = load(tx, id)? else {
        return Ok(CancelRequest::NotFound);
    };
    if job.status.is_ended() {
        return Ok(CancelRequest::Ended(Box::new(job)));
    }
    if !job.cancel_requested {
        tx.prepare_cached("UPDATE jobs SET cancel_requested_at = ?2 WHERE id = ?1")?
            .execute((id.as_str(), micros(now)))?;
        job.cancel_requested = true;
    }
    Ok(CancelRequest::Noted(Box::new(job)))
}

pub(super) fn record_callback(
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
