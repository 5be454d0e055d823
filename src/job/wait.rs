//! Why nobody works on a job: as it is noted, and as it is shown.

use std::borrow::Cow;

use super::{Job, Stage, Status, Timestamp, Waiting, WaitsFor};

/// A wait as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait<'a> {
    pub what: WaitsFor,
    pub since: Timestamp,
    /// When somebody looks again; absent where that is as soon as may be.
    pub until: Option<Timestamp>,
    /// The attempt that goes on, or comes next.
    pub attempt: u32,
    pub reason: Cow<'a, str>,
}

impl Job {
    /// What the job waits for at `now`; `None` where it has ended or is worked on.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> Option<Wait<'_>> {
        if self.status.is_ended() {
            return None;
        }
        let is_held = self.lease.is_live(now);
        let is_dead = self.lease.holder.is_some() && !is_held;
        let noted = self
            .waiting
            .filter(|noted| noted.fence == self.lease.fence && !is_dead);
        let (what, since) = match noted {
            Some(noted) => (noted.what, noted.since),
            None if is_held => return None,
            None => self.wait_as_it_stands(),
        };
        let is_for_itself = what != WaitsFor::Worker;
        let reason = match &self.error {
            Some(error) if is_for_itself => Cow::Borrowed(error.message.as_str()),
            _ => Cow::Borrowed(what.about()),
        };
        Some(Wait {
            what,
            since,
            until: self.next_visit_at.filter(|_| is_for_itself && !is_held),
            attempt: self.attempt + u32::from(self.attempt_failed),
            reason,
        })
    }

    /// The same for a record that does not say it: of an earlier release, or one that nobody
    /// waited with.
    fn wait_as_it_stands(&self) -> (WaitsFor, Timestamp) {
        let due = self.next_visit_at.unwrap_or(self.updated_at);
        // A worker that died says nothing any more.
        if self.status == Status::Queued || self.lease.holder.is_some() {
            return (WaitsFor::Worker, due);
        }
        match &self.error {
            Some(error) if self.attempt_failed => (WaitsFor::Attempt, error.at),
            Some(error) => (WaitsFor::of(error.code), error.at),
            None if self.stage == Some(Stage::Generate) => (
                WaitsFor::Provider,
                self.provider.submitted_at.unwrap_or(due),
            ),
            None => (WaitsFor::Worker, due),
        }
    }

    /// Notes that the job waits from `now` on, or goes on waiting for the same.
    pub(super) fn begin_waiting(&mut self, what: WaitsFor, now: Timestamp) {
        let before = self.waiting.filter(|before| before.what == what);
        let since = match (before, what) {
            (Some(before), _) => before.since,
            (None, WaitsFor::Provider) => self.provider.submitted_at.unwrap_or(now),
            (None, _) => now,
        };
        self.waiting = Some(Waiting {
            what,
            since,
            fence: self.lease.fence,
        });
    }

    /// Drops what a release that knows no such record has left behind.
    pub(super) fn drop_void_waiting(&mut self) {
        let fence = self.lease.fence;
        self.waiting = self.waiting.filter(|known| known.fence == fence);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::change::tests::{at, claimed, job};
    use super::super::{Change, Code, JobError, Party};
    use super::*;

    fn error(code: Code, second: i64) -> JobError {
        JobError {
            code,
            message: "why".into(),
            party: Party::Provider,
            stage: Some(Stage::Submit),
            attempt: 1,
            at: at(second),
        }
    }

    fn waited(job: &mut Job, what: WaitsFor, code: Option<Code>, second: i64) {
        let change = Change::Waited {
            until: at(second + 30),
            reason: code.map(|code| error(code, second)),
            what,
        };
        change.apply(job, at(second)).unwrap();
    }

    fn claim(job: &mut Job, second: i64) {
        job.claim("w", at(second), Duration::from_secs(60), false)
            .unwrap();
    }

    #[test]
    fn a_wait_for_the_same_goes_on_and_another_begins_anew() {
        let mut job = claimed();
        assert_eq!(job.wait(at(0)), None, "somebody works on it");
        waited(&mut job, WaitsFor::Account, Some(Code::ProviderBusy), 10);
        let first = job.wait(at(11)).unwrap();
        assert_eq!((first.what, first.since), (WaitsFor::Account, at(10)));
        assert_eq!((first.until, first.attempt), (Some(at(40)), 1));
        assert_eq!(first.reason, "why");

        claim(&mut job, 40);
        waited(&mut job, WaitsFor::Account, Some(Code::ProviderBusy), 41);
        assert_eq!(job.wait(at(42)).unwrap().since, at(10));
        claim(&mut job, 80);
        waited(&mut job, WaitsFor::Operator, None, 81);
        let other = job.wait(at(82)).unwrap();
        assert_eq!((other.what, other.since), (WaitsFor::Operator, at(81)));
        assert_eq!(other.reason, WaitsFor::Operator.about());
    }

    #[test]
    fn a_visit_that_waits_for_a_place_says_so_while_it_does() {
        let mut job = claimed();
        let awaits = |what, job: &mut Job| Change::Awaits(what).apply(job, at(3)).unwrap();
        awaits(Some(WaitsFor::MediaPlace), &mut job);
        let wait = job.wait(at(4)).unwrap();
        assert_eq!((wait.what, wait.since), (WaitsFor::MediaPlace, at(3)));
        assert_eq!(wait.until, None);
        awaits(None, &mut job);
        assert_eq!(job.wait(at(5)), None);
        // It died in it.
        awaits(Some(WaitsFor::MediaPlace), &mut job);
        assert_eq!(job.wait(at(99)).unwrap().what, WaitsFor::Worker);
    }

    #[test]
    fn a_pause_names_the_attempt_that_comes() {
        let mut job = claimed();
        let failed = Change::AttemptFailed {
            error: error(Code::ProviderFailed, 5),
            next_visit: at(9),
        };
        failed.apply(&mut job, at(5)).unwrap();
        let wait = job.wait(at(6)).unwrap();
        assert_eq!((wait.what, wait.since), (WaitsFor::Attempt, at(5)));
        assert_eq!((wait.until, wait.attempt), (Some(at(9)), 2));
    }

    #[test]
    fn a_job_that_nobody_has_come_to_waits_for_a_worker() {
        let mut job = job();
        let wait = job.wait(at(5)).unwrap();
        assert_eq!((wait.what, wait.until), (WaitsFor::Worker, None));
        claim(&mut job, 0);
        assert_eq!(job.wait(at(59)), None);
        // Its worker died.
        let wait = job.wait(at(61)).unwrap();
        assert_eq!((wait.what, wait.since), (WaitsFor::Worker, at(60)));
        let back = Change::GivenBack { next_visit: at(7) };
        let mut job = claimed();
        back.apply(&mut job, at(7)).unwrap();
        assert_eq!(job.wait(at(8)).unwrap().what, WaitsFor::Worker);
    }

    #[test]
    fn records_that_do_not_say_it_are_read_by_how_they_stand() {
        let mut job = claimed();
        waited(&mut job, WaitsFor::Account, Some(Code::ProviderBusy), 10);
        job.waiting = None;
        let wait = job.wait(at(11)).unwrap();
        assert_eq!((wait.what, wait.since), (WaitsFor::Account, at(10)));
        job.error = Some(error(Code::ProviderBalance, 12));
        assert_eq!(job.wait(at(13)).unwrap().what, WaitsFor::Operator);
        job.attempt_failed = true;
        assert_eq!(job.wait(at(13)).unwrap().what, WaitsFor::Attempt);
        (job.error, job.attempt_failed) = (None, false);
        job.stage = Some(Stage::Generate);
        job.provider.submitted_at = Some(at(3));
        let wait = job.wait(at(13)).unwrap();
        assert_eq!((wait.what, wait.since), (WaitsFor::Provider, at(3)));
    }

    #[test]
    fn a_word_that_another_release_left_behind_is_void() {
        let mut job = claimed();
        waited(&mut job, WaitsFor::Operator, None, 10);
        // It claimed and waited in its own way, and kept what it did not know.
        job.lease.fence = job.lease.fence.next();
        job.error = Some(error(Code::ProviderBusy, 20));
        assert_eq!(job.wait(at(21)).unwrap().what, WaitsFor::Account);
        claim(&mut job, 50);
        assert_eq!(job.waiting, None);
    }

    #[test]
    fn a_word_of_a_later_release_is_overlooked() {
        let mut job = claimed();
        waited(&mut job, WaitsFor::Operator, None, 10);
        let mut document = serde_json::to_value(&job).unwrap();
        assert_eq!(document["waiting"]["for"], "operator");
        let again: Job = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(again.waiting, job.waiting);
        document["waiting"]["for"] = "full_moon".into();
        let read: Job = serde_json::from_value(document).unwrap();
        assert_eq!(read.waiting, None);
        assert_eq!(read.wait(at(11)).unwrap().what, WaitsFor::Worker);
    }

    #[test]
    fn every_code_that_makes_a_visit_wait_has_its_word() {
        use strum::IntoEnumIterator as _;
        for code in Code::iter() {
            let waits = matches!(
                code.disposition(),
                super::super::Disposition::Wait | super::super::Disposition::Reconcile
            );
            // Refusals of a request: no job waits with them.
            let is_an_answer = matches!(code, Code::ShuttingDown | Code::OwnerLimit);
            if waits && !is_an_answer {
                assert_ne!(WaitsFor::of(code), WaitsFor::Worker, "{code}");
            }
        }
    }
}
