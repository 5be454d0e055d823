//! What comes after an end: another round, less that is kept, or nothing.

use super::super::backend::{Backend, Committed, Write};
use super::super::{Deleted, Result, Retried};
use super::limits;
use super::owner::changed;
use super::tries::Tries;
use crate::clock::whole_micros;
use crate::job::round::NotRetried;
use crate::job::{JobId, Keeping, Timestamp};

pub(super) async fn retry<B: Backend>(
    backend: &B,
    id: &JobId,
    round: u32,
    now: Timestamp,
    deadline_at: Timestamp,
) -> Result<Retried> {
    let mut tries = Tries::default();
    loop {
        let Some(before) = backend.job(id).await? else {
            return Ok(Retried::NotFound);
        };
        let mut job = before.record.clone();
        if job.round != round {
            return Ok(Retried::Begun(job));
        }
        match job.retry(whole_micros(now), whole_micros(deadline_at)) {
            Ok(()) => {}
            Err(NotRetried::NotEnded) => return Ok(Retried::NotEnded(job)),
            Err(NotRetried::Completed) => return Ok(Retried::Completed(job)),
        }
        let after = job.clone();
        let mut writes = vec![Write::NewRound { before, after }];
        writes.extend(limits::admit(backend, &job.owner, now).await?);
        if backend.commit(writes).await? == Committed::Done {
            return Ok(Retried::Done(job));
        }
        tries.again().await?;
    }
}

pub(super) async fn delete<B: Backend>(backend: &B, id: &JobId, round: u32) -> Result<Deleted> {
    let mut tries = Tries::default();
    loop {
        let Some(job) = backend.job(id).await? else {
            return Ok(Deleted::NotFound);
        };
        if job.record.round != round || !job.record.status.is_ended() {
            return Ok(Deleted::NotEnded(job.record));
        }
        if backend.remove(job).await? == Committed::Done {
            return Ok(Deleted::Done);
        }
        tries.again().await?;
    }
}

pub(super) async fn forget<B: Backend>(
    backend: &B,
    id: &JobId,
    what: Keeping,
    round: u32,
    now: Timestamp,
) -> Result<bool> {
    let now = whole_micros(now);
    let mut tries = Tries::default();
    loop {
        let Some(before) = backend.job(id).await? else {
            return Ok(false);
        };
        let mut after = before.record.clone();
        if !after.forget(what, round, now) {
            return Ok(false);
        }
        if changed(backend, before, after).await? {
            return Ok(true);
        }
        tries.again().await?;
    }
}
