//! Notes what a job does when, along with the changes that are written anyway.
//!
//! There are no more than [`MOST_ENTRIES`], whatever a job goes through: a look that finds the same
//! wait again is none of its own, and what is too much is left out in the middle, where the entry
//! before says so.

use jiff::SignedDuration;

use super::timeline::{MOST_ENTRIES, TimelineEntry};
use super::{Job, Timestamp, WaitsFor};

/// A visit shorter than this that found the job waiting as before, and left it so, was a look.
const LOOK: SignedDuration = SignedDuration::from_secs(5);

impl Job {
    /// Notes what the job does, or waits for, from `now` on, if that is another thing.
    pub(super) fn note_time(&mut self, now: Timestamp) {
        let is_held = self.lease.holder.is_some();
        let ended = self.status.is_ended();
        let fence = self.lease.fence;
        // What a claim before this one noted is over.
        let noted = self.waiting.filter(|noted| noted.fence == fence);
        let waits_for = match noted {
            _ if ended => None,
            Some(noted) => Some(noted.what),
            None if is_held => None,
            None => Some(WaitsFor::Worker),
        };
        self.enter_time(TimelineEntry {
            at: now,
            stage: self.stage.filter(|_| !ended),
            waits_for,
            attempt: self.attempt,
            code: self.error.as_ref().map(|error| error.code),
            shortened: false,
        });
    }

    fn enter_time(&mut self, entry: TimelineEntry) {
        let line = &mut self.timings.timeline;
        // A clock that was set back makes no entry end before it begins.
        let at = line.last().map_or(entry.at, |last| last.at.max(entry.at));
        let entry = TimelineEntry { at, ..entry };
        // What lasted no time was nothing.
        if line.last().is_some_and(|last| last.at == at) {
            line.pop();
        }
        if line.last().is_some_and(|last| last.is_like(&entry)) {
            return;
        }
        if let [.., before, look] = line.as_slice()
            && look.waits_for.is_none()
            && look.stage == entry.stage
            && entry.waits_for.is_some()
            && before.is_like(&entry)
            && at.duration_since(look.at) < LOOK
        {
            line.pop();
            return;
        }
        line.push(entry);
        if line.len() > MOST_ENTRIES {
            let middle = MOST_ENTRIES / 2;
            line.remove(middle);
            line[middle - 1].shortened = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::change::tests::{at, job};
    use super::super::{Change, Code, CreditState, Ending, JobError, Party, Stage, Status};
    use super::*;

    fn claim(job: &mut Job, second: i64) {
        job.claim("w", at(second), Duration::from_secs(60), false)
            .unwrap();
    }

    fn wait(job: &mut Job, what: WaitsFor, second: i64) {
        let change = Change::Waited {
            until: at(second + 30),
            reason: None,
            what,
        };
        change.apply(job, at(second)).unwrap();
    }

    fn told(job: &Job) -> Vec<(i64, Option<Stage>, Option<WaitsFor>, u32)> {
        let line = job.timings.timeline.iter();
        line.map(|entry| {
            let second = entry.at.duration_since(at(0)).as_secs();
            (second, entry.stage, entry.waits_for, entry.attempt)
        })
        .collect()
    }

    #[test]
    fn looks_at_a_wait_are_none_of_their_own_and_attempts_say_why() {
        let mut job = job();
        claim(&mut job, 1);
        for second in [10, 40, 70] {
            wait(&mut job, WaitsFor::Account, second);
            claim(&mut job, second + 29);
        }
        let error = JobError {
            code: Code::ProviderFailed,
            message: "why".into(),
            party: Party::Provider,
            stage: None,
            attempt: 1,
            at: at(110),
        };
        let failed = Change::AttemptFailed {
            error,
            next_visit: at(120),
        };
        failed.apply(&mut job, at(110)).unwrap();
        claim(&mut job, 120);
        let ending = Ending {
            status: Status::Failed,
            error: job.error.clone(),
            credits: CreditState::Released,
            at: at(130),
        };
        Change::Ended(ending).apply(&mut job, at(130)).unwrap();
        let submit = Some(Stage::Submit);
        assert_eq!(
            told(&job),
            [
                (1, submit, None, 1),
                (10, submit, Some(WaitsFor::Account), 1),
                (99, submit, None, 1),
                (110, submit, Some(WaitsFor::Attempt), 1),
                (120, submit, None, 2),
                (130, None, None, 2),
            ]
        );
        assert_eq!(job.timings.timeline[4].code, Some(Code::ProviderFailed));
        // Another round begins anew.
        job.retry(at(200), at(900)).unwrap();
        assert_eq!(told(&job), [(200, submit, Some(WaitsFor::Worker), 1)]);
    }

    #[test]
    fn the_line_is_bounded_and_keeps_both_ends() {
        let mut job = job();
        for round in 0..500 {
            claim(&mut job, round * 100);
            let what = [WaitsFor::Account, WaitsFor::Outage][round as usize % 2];
            wait(&mut job, what, round * 100 + 50);
        }
        let line = &job.timings.timeline;
        assert_eq!(line.len(), MOST_ENTRIES);
        assert!(line.windows(2).all(|pair| pair[0].at < pair[1].at));
        assert_eq!((line[0].at, line[47].at), (at(0), at(49_950)));
        let shortened = line.iter().filter(|entry| entry.shortened).count();
        assert!(shortened == 1 && line[MOST_ENTRIES / 2 - 1].shortened);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let mut value = serde_json::to_value(job()).unwrap();
        value["timings"]["timeline"] = serde_json::json!([
            {"at": "2026-11-27T20:00:00Z", "attempt": 1, "waits_for": "a later word"},
            {"at": "2026-11-27T20:00:00Z", "attempt": 1, "stage": "submit"},
            7,
        ]);
        let read: Job = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(read.timings.timeline.len(), 1);
        value["timings"]["timeline"] = 7.into();
        let read: Job = serde_json::from_value(value).unwrap();
        assert!(read.timings.timeline.is_empty());
    }
}
