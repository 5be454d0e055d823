//! What comes after an end: another round, or none.

use rusqlite::Transaction;

use super::super::{Deleted, Result, Retried};
use super::creation::admit;
use super::rows::{load, store};
use super::{outbox, unreadable};
use crate::clock::whole_micros;
use crate::job::round::NotRetried;
use crate::job::{JobId, Timestamp};

pub(super) fn retry(
    tx: &Transaction<'_>,
    id: &JobId,
    round: u32,
    now: Timestamp,
    deadline_at: Timestamp,
    max_waiting: Option<u32>,
) -> Result<Retried> {
    let Some(mut job) = load(tx, id)? else {
        return Ok(Retried::NotFound);
    };
    if job.round != round {
        return Ok(Retried::Begun(Box::new(job)));
    }
    match job.retry(whole_micros(now), whole_micros(deadline_at)) {
        Ok(()) => {}
        Err(NotRetried::NotEnded) => return Ok(Retried::NotEnded(Box::new(job))),
        Err(NotRetried::Completed) => return Ok(Retried::Completed(Box::new(job))),
    }
    admit(tx, max_waiting)?;
    store(tx, &job)?;
    // Others' column: the request was for the round that is over.
    tx.prepare_cached("UPDATE jobs SET cancel_requested_at = NULL WHERE id = ?1")?
        .execute([id.as_str()])?;
    Ok(Retried::Done(Box::new(job)))
}

pub(super) fn delete(tx: &Transaction<'_>, id: &JobId, round: u32) -> Result<Deleted> {
    let Some(job) = load(tx, id)? else {
        return Ok(Deleted::NotFound);
    };
    if job.round != round || !job.status.is_ended() {
        return Ok(Deleted::NotEnded(Box::new(job)));
    }
    outbox::delete_of_job(tx, id)?;
    unreadable::delete_of_job(tx, id)?;
    for statement in [
        "DELETE FROM callbacks WHERE job = ?1",
        "DELETE FROM idempotency WHERE job = ?1",
        "DELETE FROM jobs WHERE id = ?1",
    ] {
        tx.prepare_cached(statement)?.execute([id.as_str()])?;
    }
    Ok(Deleted::Done)
}
