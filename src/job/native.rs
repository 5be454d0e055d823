//! Native work on a job's files, and the deaths in it.
//!
//! A file can make libav end the whole process. So that the file's job pays for that and no other
//! does, the job says, before native work begins, in which process it is. A lease that was never
//! given back, with such a note under its own fence, is a crash of that file; one without, of a
//! process that some job's note names, is a neighbour's death.

use super::{Job, Party, Stage, Timestamp};

impl Job {
    /// The process whose end the dead lease of this job tells of, where no native work of the job
    /// itself explains it. Whether another's does is for the ledger to say.
    #[must_use]
    pub fn died_beside(&self, now: Timestamp) -> Option<&str> {
        let holder = self.lease.holder.as_deref()?;
        if self.lease.is_live(now) || self.is_in_native_work() {
            return None;
        }
        process_of(holder)
    }

    /// Whether native work of the present claim has begun in the worker's process and is not
    /// known to be over.
    #[must_use]
    pub fn is_in_native_work(&self) -> bool {
        let fence = self.lease.fence;
        self.native.as_ref().is_some_and(|work| work.fence == fence)
    }

    /// Whether its media are to be worked on where a crash harms nobody else.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.crashes > 0
    }

    /// Who made the file that a process died of, as far as that is recorded.
    #[must_use]
    pub fn crashed_by(&self) -> Party {
        match (&self.native, self.stage) {
            (Some(work), _) => work.party,
            (None, None | Some(Stage::Submit)) => Party::Caller,
            (None, _) => Party::Provider,
        }
    }

    /// Native work is over, where this claim's was recorded.
    pub(super) fn end_native_work(&mut self) {
        // An older claim's stays: it says what that process died of.
        if self.is_in_native_work() {
            self.native = None;
        }
    }
}

/// The process that a lease's holder names: `{process}-{visit}`.
fn process_of(holder: &str) -> Option<&str> {
    holder.rsplit_once('-').map(|(process, _)| process)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::change::tests::{at, job};
    use super::super::{Change, JobError, NativeWork, Phase, WaitsFor};
    use super::*;
    use crate::job::Code;

    const TTL: Duration = Duration::from_secs(60);

    fn begun(process: &str, job: &Job) -> Change {
        Change::NativeBegun(NativeWork {
            process: process.into(),
            fence: job.lease.fence,
            phase: Phase::Source,
            party: Party::Caller,
        })
    }

    #[test]
    fn a_death_inside_native_work_is_a_crash_and_no_attempt() {
        let mut job = job();
        for crashes in 1..=3 {
            job.claim("w-x-1", at(100 * i64::from(crashes)), TTL, false)
                .unwrap();
            let change = begun("w-x", &job);
            change.apply(&mut job, at(1)).unwrap();
            assert_eq!(job.died_beside(at(9000)), None);
            let mut next = job.clone();
            next.claim("w-y-1", at(1000), TTL, false).unwrap();
            assert_eq!((next.crashes, next.attempt), (crashes, 1));
            assert_eq!(next.crashed_by(), Party::Caller);
            // The same again.
            job.lease.expires_at = Some(at(0));
            job.crashes = crashes;
            job.lease.holder = None;
        }
    }

    #[test]
    fn a_death_after_native_work_was_over_is_an_attempt() {
        let mut job = job();
        job.claim("w-x-1", at(0), TTL, false).unwrap();
        begun("w-x", &job).apply(&mut job, at(1)).unwrap();
        Change::NativeOver.apply(&mut job, at(2)).unwrap();
        assert_eq!(job.died_beside(at(59)), None);
        assert_eq!(job.died_beside(at(60)), Some("w-x"));
        job.claim("w-y-1", at(99), TTL, false).unwrap();
        assert_eq!((job.crashes, job.attempt), (0, 2));
    }

    #[test]
    fn a_neighbours_death_costs_nothing() {
        let mut job = job();
        job.claim("w-x-1", at(0), TTL, false).unwrap();
        job.claim("w-y-1", at(60), TTL, true).unwrap();
        assert_eq!((job.crashes, job.attempt), (0, 1));
    }

    #[test]
    fn a_note_of_an_older_claim_is_kept_and_counts_no_more() {
        let mut job = job();
        job.claim("w-x-1", at(0), TTL, false).unwrap();
        begun("w-x", &job).apply(&mut job, at(1)).unwrap();
        let note = job.native.clone();
        job.claim("w-y-1", at(60), TTL, false).unwrap();
        // Given back in order: it stays, for neighbours that are still to be claimed.
        let left = Change::GivenBack { next_visit: at(61) };
        left.apply(&mut job, at(61)).unwrap();
        assert_eq!((&job.native, job.crashes), (&note, 1));
        job.claim("w-y-2", at(61), TTL, false).unwrap();
        // That one dies with the machine.
        job.claim("w-z-1", at(200), TTL, false).unwrap();
        assert_eq!((job.crashes, job.attempt), (1, 2));
    }

    #[test]
    fn whatever_gives_the_lease_back_ends_native_work() {
        let error = JobError {
            code: Code::Internal,
            message: String::new(),
            party: Party::Service,
            stage: None,
            attempt: 1,
            at: at(1),
        };
        for leave in [
            Change::GivenBack { next_visit: at(9) },
            Change::Waited {
                until: at(9),
                reason: None,
                what: WaitsFor::Account,
            },
            Change::AttemptFailed {
                error,
                next_visit: at(9),
            },
        ] {
            let mut job = job();
            job.claim("w-x-1", at(0), TTL, false).unwrap();
            begun("w-x", &job).apply(&mut job, at(1)).unwrap();
            leave.apply(&mut job, at(2)).unwrap();
            assert_eq!((&job.native, job.crashes), (&None, 0), "{leave:?}");
        }
    }

    #[test]
    fn a_crash_of_the_child_counts_and_may_give_the_lease_back() {
        let mut job = job();
        job.claim("w-x-1", at(0), TTL, false).unwrap();
        let crash = |next_visit| Change::Crashed { next_visit };
        crash(Some(at(9))).apply(&mut job, at(1)).unwrap();
        assert_eq!((job.crashes, job.lease.holder.clone()), (1, None));
        assert_eq!(job.next_visit_at, Some(at(9)));
        job.claim("w-x-2", at(9), TTL, false).unwrap();
        crash(None).apply(&mut job, at(10)).unwrap();
        assert!(job.crashes == 2 && job.lease.holder.is_some());
        assert_eq!((job.attempt, job.error.clone()), (1, None));
    }

    #[test]
    fn documents_without_the_fields_are_read_and_written_without_them() {
        let text = serde_json::to_string(&job()).unwrap();
        assert!(
            !text.contains("crashes") && !text.contains("native"),
            "{text}"
        );
        let read: Job = serde_json::from_str(&text).unwrap();
        assert_eq!((read.crashes, read.native), (0, None));
    }
}
