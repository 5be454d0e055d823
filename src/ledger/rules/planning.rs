//! Fresh numbers for wake-ups. None of these is an owner's write: the revision stays, and so does
//! the lease of somebody who died.

use super::super::Result;
use super::super::backend::Backend;
use super::owner::changed;
use super::tries::Tries;
use crate::clock::whole_micros;
use crate::job::{Job, JobId, Timestamp};

pub(super) async fn rewake<B: Backend>(
    backend: &B,
    id: &JobId,
    seen: u64,
    now: Timestamp,
) -> Result<Option<u64>> {
    let now = whole_micros(now);
    renumber(backend, id, seen, |job| {
        if job.next_visit_at.is_none_or(|at| at > now) {
            return false;
        }
        job.wake.at = Some(now);
        job.next_visit_at = Some(now);
        true
    })
    .await
}

pub(super) async fn replan<B: Backend>(backend: &B, id: &JobId, seen: u64) -> Result<Option<u64>> {
    renumber(backend, id, seen, |job| job.next_visit_at.is_some()).await
}

/// Raises the number of a job that still has the one seen, where `plan` finds something to plan.
async fn renumber<B: Backend>(
    backend: &B,
    id: &JobId,
    seen: u64,
    plan: impl Fn(&mut Job) -> bool + Send,
) -> Result<Option<u64>> {
    let mut tries = Tries::default();
    loop {
        let Some(before) = backend.job(id).await? else {
            return Ok(None);
        };
        let mut after = before.record.clone();
        if after.wake.seq != seen || !plan(&mut after) {
            return Ok(None);
        }
        after.wake.seq = seen.saturating_add(1);
        let seq = after.wake.seq;
        if changed(backend, before, after).await? {
            return Ok(Some(seq));
        }
        tries.again().await?;
    }
}
