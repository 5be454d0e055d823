//! What the provider said to this process about paid requests, until it is recorded.
//!
//! A visit writes such an answer for as long as the job is its own. Where it cannot, the next
//! visit in this process finds it here, before anything is paid for a second time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::job::JobId;

/// More than visits at once ever are; each is a few hundred bytes.
const MOST: usize = 1_024;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    job: JobId,
    intent: String,
    prediction_id: String,
}

/// Predictions that were accepted and are not recorded yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<VecDeque<Answer>>);

impl Answers {
    pub(super) fn keep(&self, job: &JobId, intent: &str, prediction_id: &str) {
        let answer = Answer {
            job: job.clone(),
            intent: intent.to_owned(),
            prediction_id: prediction_id.to_owned(),
        };
        let mut known = self.lock();
        if known.contains(&answer) {
            return;
        }
        if known.len() >= MOST
            && let Some(oldest) = known.pop_front()
        {
            tracing::error!(
                job = %oldest.job, intent = oldest.intent, prediction_id = oldest.prediction_id,
                "too many answers wait to be recorded; this one is forgotten"
            );
        }
        known.push_back(answer);
    }

    /// The prediction that was accepted for this intent, if it is not recorded yet.
    pub(super) fn find(&self, job: &JobId, intent: &str) -> Option<String> {
        let known = self.lock();
        let found = known
            .iter()
            .find(|answer| answer.job == *job && answer.intent == intent);
        found.map(|answer| answer.prediction_id.clone())
    }

    pub(super) fn recorded(&self, job: &JobId, intent: &str) {
        self.lock()
            .retain(|answer| answer.job != *job || answer.intent != intent);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(n: usize) -> JobId {
        format!("j{n}").parse().unwrap()
    }

    #[test]
    fn an_answer_is_there_until_it_is_recorded() {
        let answers = Answers::default();
        answers.keep(&job(1), "1-1", "p1");
        answers.keep(&job(1), "1-1", "p1");
        answers.keep(&job(1), "1-2", "p2");
        assert_eq!(answers.find(&job(1), "1-1").as_deref(), Some("p1"));
        assert_eq!(answers.find(&job(2), "1-1"), None);
        answers.recorded(&job(1), "1-1");
        assert_eq!(answers.find(&job(1), "1-1"), None);
        assert_eq!(answers.find(&job(1), "1-2").as_deref(), Some("p2"));
    }

    #[test]
    fn their_number_is_bounded() {
        let answers = Answers::default();
        for n in 0..=MOST {
            answers.keep(&job(n), "1-1", "p");
        }
        assert_eq!(answers.lock().len(), MOST);
        assert_eq!(answers.find(&job(0), "1-1"), None, "the oldest goes");
        assert!(answers.find(&job(MOST), "1-1").is_some());
    }
}
