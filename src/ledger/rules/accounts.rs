//! Credits: balances change by increments, each with an entry that must not exist yet.

use super::super::Result;
use super::super::backend::{Backend, Balance, Committed, Write};
use super::tries::Tries;
use crate::clock::whole_micros;
use crate::job::{CreditEntry, Owner, Timestamp};

/// The entry under a name that is free for a job made at `created_at`; `None` if it was written
/// for this very job, and its credits have moved. One that is older than the job is of an
/// earlier job under the same id.
pub(super) async fn fresh<B: Backend>(
    backend: &B,
    owner: &Owner,
    entry: &CreditEntry,
    created_at: Timestamp,
) -> Result<Option<CreditEntry>> {
    match backend.entry_written(owner, &entry.id).await? {
        None => return Ok(Some(entry.clone())),
        Some(at) if at >= created_at => return Ok(None),
        Some(_) => {}
    }
    let entry = entry.clone().of_job_made_anew(created_at);
    let there = backend.entry_written(owner, &entry.id).await?;
    Ok(there.is_none().then_some(entry))
}

pub(super) async fn grant<B: Backend>(
    backend: &B,
    owner: &Owner,
    entry: &CreditEntry,
) -> Result<bool> {
    let mut entry = entry.clone();
    entry.at = whole_micros(entry.at);
    let mut tries = Tries::default();
    loop {
        let write = Write::Move {
            owner: owner.clone(),
            entry: entry.clone(),
            on: Balance::Any,
        };
        if backend.commit(vec![write]).await? == Committed::Done {
            return Ok(true);
        }
        if backend.entry_written(owner, &entry.id).await?.is_some() {
            return Ok(false);
        }
        tries.again().await?;
    }
}
