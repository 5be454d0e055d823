//! What others write: new jobs, cancellations, callbacks.

use super::super::backend::{Backend, Committed, Loaded, Write};
use super::super::{Callback, CancelRequest, Created, LedgerError, Result};
use super::limits;
use super::tries::Tries;
use crate::clock::whole_micros;
use crate::job::{Idempotency, Job, JobId, NewJob, Timestamp};

pub(super) async fn create<B: Backend>(backend: &B, mut new: NewJob) -> Result<Created> {
    new.created_at = whole_micros(new.created_at);
    new.deadline_at = whole_micros(new.deadline_at);
    let mut tries = Tries::default();
    // The key's record of a job that is gone: it is replaced.
    let mut stale = None;
    loop {
        let job = Box::new(new.clone().into_job());
        let mut writes = vec![Write::CreateJob(job.clone())];
        writes.extend(remember(new.idempotency.as_ref(), &job, stale.take()));
        match limits::admit(backend, &job.owner, job.created_at).await {
            Ok(guard) => writes.extend(guard),
            // Whoever asks again for a job that is there is answered all the same.
            Err(refused) => {
                return match known(backend, &new).await? {
                    Known::As(created) => Ok(created),
                    Known::Stale(_) | Known::Not => Err(refused),
                };
            }
        }
        // Most requests are new: the answer to this commit says so without a read before it.
        if backend.commit(writes).await? == Committed::Done {
            return Ok(Created::New(job));
        }
        match known(backend, &new).await? {
            Known::As(created) => return Ok(created),
            Known::Stale(record) => stale = Some(record),
            Known::Not => {}
        }
        tries.again().await?;
    }
}

enum Known<S> {
    As(Created),
    /// The key's record names a job that is gone.
    Stale(S),
    Not,
}

/// What is there of the request, by its key and by its id.
async fn known<B: Backend>(backend: &B, new: &NewJob) -> Result<Known<B::Seen>> {
    let mut stale = None;
    if let Some(asked) = &new.idempotency
        && let Some(Loaded { record, seen }) = backend.key(&new.owner, &asked.key).await?
    {
        if record.request_sha256 != asked.request_sha256 {
            return Ok(Known::As(Created::KeyReused));
        }
        let Some(id) = record.job else {
            return Err(LedgerError::Malformed {
                id: asked.key.clone(),
                reason: "the record of this key names no job".into(),
            });
        };
        match backend.job(&id).await? {
            Some(there) => return Ok(Known::As(Created::Existing(there.record))),
            None => stale = Some(seen),
        }
    }
    let Some(there) = backend.job(&new.id).await? else {
        return Ok(stale.map_or(Known::Not, Known::Stale));
    };
    let job = there.record;
    if !new.asks_for(&job) {
        return Ok(Known::As(Created::IdTaken));
    }
    if let Some(write) = remember(new.idempotency.as_ref(), &job, stale) {
        // Somebody else's record of that key, made this moment, is looked at like any other.
        if backend.commit(vec![write]).await? == Committed::Conflict {
            return Ok(Known::Not);
        }
    }
    Ok(Known::As(Created::Existing(job)))
}

/// The record that makes the key stand for this request.
fn remember<S>(key: Option<&Idempotency>, job: &Job, instead_of: Option<S>) -> Option<Write<S>> {
    Some(Write::Remember {
        owner: job.owner.clone(),
        key: key?.clone(),
        job: job.id.clone(),
        created_at: job.created_at,
        instead_of,
    })
}

pub(super) async fn request_cancel<B: Backend>(
    backend: &B,
    id: &JobId,
    now: Timestamp,
) -> Result<CancelRequest> {
    let mut tries = Tries::default();
    loop {
        let Some(Loaded { record, seen }) = backend.job(id).await? else {
            return Ok(CancelRequest::NotFound);
        };
        let mut job = record;
        if job.status.is_ended() {
            return Ok(CancelRequest::Ended(job));
        }
        if job.cancel_requested {
            return Ok(CancelRequest::Noted(job));
        }
        // Compared, so that a request never lands on a round that ended in between and then
        // cancels the next one.
        let write = Write::AskToCancel {
            job: id.clone(),
            seen,
            now: whole_micros(now),
        };
        if backend.commit(vec![write]).await? == Committed::Done {
            job.cancel_requested = true;
            return Ok(CancelRequest::Noted(job));
        }
        tries.again().await?;
    }
}

pub(super) async fn record_callback<B: Backend>(
    backend: &B,
    id: &JobId,
    callback: &Callback,
) -> Result<bool> {
    let mut tries = Tries::default();
    loop {
        let write = Write::CreateCallback {
            job: id.clone(),
            callback: callback.clone(),
        };
        if backend.commit(vec![write]).await? == Committed::Done {
            return Ok(true);
        }
        if backend.has_callback(id, &callback.intent).await? {
            return Ok(false);
        }
        tries.again().await?;
    }
}
