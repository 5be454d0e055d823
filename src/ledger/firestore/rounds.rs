//! What comes after an end: another round, or none.

use gcloud_sdk::google::firestore::v1::Write;

use super::super::{Deleted, Result, Retried};
use super::documents::new_round;
use super::owner::load;
use super::paths::{CALLBACKS, JOBS, OUTBOX};
use super::store::{Committed, NAME, Scan, Store, Tries};
use super::writes::{Only, delete as removal, delete_named};
use super::{outbox, unreadable};
use crate::clock::whole_micros;
use crate::job::round::NotRetried;
use crate::job::{JobId, Timestamp};

pub(super) async fn retry(
    store: &Store,
    id: &JobId,
    round: u32,
    now: Timestamp,
    deadline_at: Timestamp,
) -> Result<Retried> {
    let mut tries = Tries::default();
    loop {
        let Some(read) = load(store, id).await? else {
            return Ok(Retried::NotFound);
        };
        let mut job = read.job.clone();
        if job.round != round {
            return Ok(Retried::Begun(Box::new(job)));
        }
        match job.retry(whole_micros(now), whole_micros(deadline_at)) {
            Ok(()) => {}
            Err(NotRetried::NotEnded) => return Ok(Retried::NotEnded(Box::new(job))),
            Err(NotRetried::Completed) => return Ok(Retried::Completed(Box::new(job))),
        }
        let write = new_round(&read.place, &read.found, &read.job, &job)?;
        if store.commit(vec![write]).await? == Committed::Done {
            return Ok(Retried::Done(Box::new(job)));
        }
        tries.again().await?;
    }
}

/// The job, its callbacks and its notices go in one commit, which takes 500 writes. Where there
/// are more, the first ones go before: the job is still there, and a deletion that breaks off is
/// repeated.
pub(super) async fn delete(store: &Store, id: &JobId, round: u32) -> Result<Deleted> {
    let mut tries = Tries::default();
    'again: loop {
        let Some(read) = load(store, id).await? else {
            return Ok(Deleted::NotFound);
        };
        if read.job.round != round || !read.job.status.is_ended() {
            return Ok(Deleted::NotEnded(Box::new(read.job)));
        }
        let callbacks = Scan {
            under: Some(&read.place),
            fields: Some(&["intent"]),
            ..Scan::over(CALLBACKS, NAME)
        };
        let callbacks = store.scan(callbacks, usize::MAX, |found| Some(found.name));
        let notices = outbox::documents_of(store, id, |found| Some((found.id, found.name)));
        let (callbacks, notices) = tokio::try_join!(callbacks, notices)?;
        let mut others: Vec<Write> = callbacks
            .into_iter()
            .map(|name| delete_named(name, Only::Always))
            .collect();
        for (notice, name) in notices {
            others.push(unreadable::removal(store, OUTBOX, &notice));
            others.push(delete_named(name, Only::Always));
        }
        while others.len() > WITH_THE_JOB {
            let first = others.drain(..WITH_THE_JOB).collect();
            if store.commit(first).await? == Committed::Conflict {
                tries.again().await?;
                continue 'again;
            }
        }
        let mut writes = vec![
            removal(&read.place, Only::If(read.found.version)),
            unreadable::removal(store, JOBS, id.as_str()),
        ];
        writes.append(&mut others);
        if store.commit(writes).await? == Committed::Done {
            return Ok(Deleted::Done);
        }
        tries.again().await?;
    }
}

/// Writes beside the job's own in one commit.
const WITH_THE_JOB: usize = 400;
