//! Records that are damaged: watched for a while, then ended, with what stood there kept.

use std::time::Duration;

use super::super::backend::{Backend, Balance, Committed, Damaged, Record, Write};
use super::super::{Burial, Result};
use super::tries::Tries;
use crate::clock::{elapsed, whole_micros};
use crate::job::{Code, Count, CreditEntry, JobError, Owner, Timestamp};

pub(super) async fn bury<B: Backend>(
    backend: &B,
    record: &Record,
    now: Timestamp,
    patience: Duration,
) -> Result<Burial> {
    let now = whole_micros(now);
    let mut tries = Tries::default();
    loop {
        let Some(damaged) = backend.damaged(record).await? else {
            return Ok(Burial::NothingToDo);
        };
        if damaged.is_over {
            return Ok(Burial::NothingToDo);
        }
        match damaged.since {
            Some(since) if elapsed(since, now) >= patience => {
                let release = held(backend, &damaged, now).await?;
                let released = release.as_ref().map(|(_, entry)| entry.amount);
                let error = end(now);
                let mut writes = Vec::new();
                if let Record::Job(job) = record {
                    writes.push(Write::Count {
                        job: job.clone(),
                        owner: damaged.owner.clone(),
                        count: Count::of_unreadable(&error, released),
                    });
                }
                writes.push(Write::Bury {
                    damaged,
                    since,
                    now,
                    error,
                    released: release.is_some(),
                });
                writes.extend(release.map(|(owner, entry)| Write::Move {
                    owner,
                    entry,
                    on: Balance::There,
                }));
                if backend.commit(writes).await? == Committed::Done {
                    return Ok(Burial::Done { released });
                }
            }
            Some(since) => return Ok(Burial::Noted { since }),
            None => {
                let writes = vec![Write::Watch { damaged, now }];
                if backend.commit(writes).await? == Committed::Done {
                    return Ok(Burial::Noted { since: now });
                }
            }
        }
        tries.again().await?;
    }
}

/// What the job's entries still hold, and on whose account: the owner that the record names.
async fn held<B: Backend>(
    backend: &B,
    damaged: &Damaged<B::Seen>,
    now: Timestamp,
) -> Result<Option<(Owner, CreditEntry)>> {
    let (Record::Job(id), Some(owner)) = (&damaged.record, &damaged.owner) else {
        return Ok(None);
    };
    let entries = backend.entries_of(owner, id).await?;
    let Some(release) = CreditEntry::release_of(&entries, now) else {
        return Ok(None);
    };
    // Nothing can be given back to an account that is gone.
    let there = backend.account_of(owner).await?.is_some();
    Ok(there.then(|| (owner.clone(), release)))
}

fn end(now: Timestamp) -> JobError {
    JobError {
        code: Code::InvalidJob,
        message: Code::InvalidJob.about().to_owned(),
        party: Code::InvalidJob.party(),
        stage: None,
        attempt: 1,
        at: now,
    }
}
