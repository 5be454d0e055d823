//! Jobs as this process read or wrote them last.
//!
//! A visit makes a dozen owner writes, and each needs the document as it is. Nobody else writes to
//! it in nearly all of them, so the last write's own outcome is what the next one would read. Where
//! that is not so, the write's precondition fails and the document is read: what is remembered can
//! be old, and is never believed without proof.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::backend::Loaded;
use crate::job::{Job, JobId};

/// More than an instance has visits and requests under way; with the largest jobs some MB.
const MOST: usize = 64;

/// Clones share what they remember. `S` stands for the state of a job's record.
#[derive(Debug)]
pub(super) struct Recent<S>(Arc<Mutex<VecDeque<Remembered<S>>>>);

type Known<S> = Loaded<Box<Job>, S>;

/// The newest revision that was seen of a job, and the job, unless it was taken.
#[derive(Debug)]
struct Remembered<S> {
    id: JobId,
    revision: u64,
    job: Option<Known<S>>,
}

impl<S> Default for Recent<S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<S> Clone for Recent<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Recent<S> {
    /// In place of what was known of it before, unless that is newer: an answer to a read can be
    /// overtaken by a write.
    pub(super) fn keep(&self, job: Known<S>) {
        let (id, revision) = (job.record.id.clone(), job.record.revision);
        let mut jobs = self.jobs();
        if let Some(place) = jobs.iter().position(|known| known.id == id) {
            if jobs[place].revision > revision {
                return;
            }
            jobs.remove(place);
        }
        if jobs.len() >= MOST {
            jobs.pop_front();
        }
        let job = Some(job);
        jobs.push_back(Remembered { id, revision, job });
    }

    /// Once: whoever is refused with it reads.
    pub(super) fn take(&self, id: &JobId) -> Option<Known<S>> {
        let mut jobs = self.jobs();
        jobs.iter_mut().find(|known| known.id == *id)?.job.take()
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, VecDeque<Remembered<S>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::testing::job;

    fn known(revision: u64) -> Loaded<Box<Job>, u64> {
        let mut record = Box::new(job());
        record.revision = revision;
        Loaded {
            record,
            seen: revision,
        }
    }

    #[test]
    fn what_is_remembered_of_a_job_never_becomes_older() {
        let recent = Recent::default();
        let id = job().id;
        assert!(recent.take(&id).is_none());
        recent.keep(known(2));
        recent.keep(known(1));
        assert_eq!(recent.take(&id).map(|known| known.seen), Some(2));
        // It was taken, and a write made something newer of it.
        assert!(recent.take(&id).is_none());
        recent.keep(known(3));
        assert_eq!(recent.take(&id).map(|known| known.seen), Some(3));
        recent.keep(known(2));
        assert!(recent.take(&id).is_none(), "an answer that was overtaken");
    }
}
