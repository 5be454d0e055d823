//! What comes after an end: another round, or none.

use super::super::{Deleted, Result, Retried};
use super::documents::new_round;
use super::outbox;
use super::owner::load;
use super::places::CALLBACKS;
use super::store::{Committed, NAME, Scan, Store, Tries};
use super::writes::{Only, delete as removal, delete_named};
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

/// The job, its callbacks and its notices go in one commit. A commit takes 500 writes; both are
/// bounded well below.
pub(super) async fn delete(store: &Store, id: &JobId, round: u32) -> Result<Deleted> {
    let mut tries = Tries::default();
    loop {
        let Some(read) = load(store, id).await? else {
            return Ok(Deleted::NotFound);
        };
        if read.job.round != round || !read.job.status.is_ended() {
            return Ok(Deleted::NotEnded(Box::new(read.job)));
        }
        let callbacks = Scan {
            under: Some(&read.place),
            ..Scan::over(CALLBACKS, NAME)
        };
        let callbacks = store.scan(callbacks, MOST_CALLBACKS, Some).await?;
        let notices = outbox::documents_of(store, id).await?;
        let mut writes = vec![removal(&read.place, Only::If(read.found.version))];
        for found in callbacks.into_iter().chain(notices) {
            writes.push(delete_named(found.name, Only::Always));
        }
        if store.commit(writes).await? == Committed::Done {
            return Ok(Deleted::Done);
        }
        tries.again().await?;
    }
}

/// One an intent; those of many rounds are bounded too.
const MOST_CALLBACKS: usize = 90;
