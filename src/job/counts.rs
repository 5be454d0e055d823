//! What the end of a round adds to the counters: sums over any number of jobs are then read
//! without reading jobs.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Timestamp;
use super::credits::{CreditEntry, Credits, EntryKind};
use super::intent::{Counted, IntentState};
use super::record::{Job, JobError};
use super::status::Status;

/// Whole numbers by name: the status of an end, [`USD_MICROS`], [`CAPTURED`], [`RELEASED`],
/// [`WASTED`], and `failed:{code}:{party}`. A name that is not known is of a newer release.
pub type Sums = BTreeMap<String, u64>;

/// Millionths of a US dollar that the provider takes by its price list.
pub const USD_MICROS: &str = "usd_micros";
/// Credits that owners paid.
pub const CAPTURED: &str = "captured";
/// Credits that were held and given back.
pub const RELEASED: &str = "released";
/// Submissions that were given up and may have been paid for.
pub const WASTED: &str = "wasted";
/// In place of a model, where none was asked.
pub const NO_MODEL: &str = "none";

/// The day of a moment, UTC.
#[must_use]
pub fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// Under which name failures of this sort are counted.
#[must_use]
pub fn failed_by(error: &JobError) -> String {
    let failed = Status::Failed.as_str();
    format!("{failed}:{}:{}", error.code, error.party.as_str())
}

/// What one end adds, on its day, by model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub day: Date,
    pub models: BTreeMap<String, Sums>,
}

impl Count {
    fn on(day: Date) -> Self {
        Self {
            day,
            models: BTreeMap::new(),
        }
    }

    fn add(&mut self, model: &str, name: impl Into<String>, number: u64) {
        if number > 0 {
            let sums = self.models.entry(model.to_owned()).or_default();
            let sum = sums.entry(name.into()).or_default();
            *sum = sum.saturating_add(number);
        }
    }

    /// The end of a job whose document cannot be read, so that nothing else is known of it.
    #[must_use]
    pub fn of_unreadable(error: &JobError, released: Option<Credits>) -> Self {
        let mut count = Self::on(day_of(error.at));
        count.add(NO_MODEL, Status::Failed.as_str(), 1);
        count.add(NO_MODEL, failed_by(error), 1);
        count.add(NO_MODEL, RELEASED, released.map_or(0, |credits| credits.0));
        count
    }
}

impl Job {
    /// The model that was asked last.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        let intended = || self.intents.last().map(|intent| intent.model.as_str());
        self.provider.model.as_deref().or_else(intended)
    }

    /// What the end of this round adds, with the entry that is written along. Notes which of its
    /// decisions to pay were counted: one may turn out to be paid for in a later round only.
    #[must_use]
    pub fn count_end(&mut self, moved: Option<&CreditEntry>, now: Timestamp) -> Count {
        let mut count = Count::on(day_of(self.completed_at.unwrap_or(now)));
        for intent in &mut self.intents {
            match (intent.state, intent.counted) {
                (IntentState::Accepted | IntentState::Failed, None | Some(Counted::Wasted)) => {
                    let usd = intent.terms.and_then(|terms| terms.usd).unwrap_or_default();
                    count.add(&intent.model, USD_MICROS, micros(usd));
                    intent.counted = Some(Counted::Paid);
                }
                (IntentState::Wasted, None) => {
                    count.add(&intent.model, WASTED, 1);
                    intent.counted = Some(Counted::Wasted);
                }
                _ => {}
            }
        }
        let model = self.model().unwrap_or(NO_MODEL).to_owned();
        count.add(&model, self.status.as_str(), 1);
        if let Some(error) = self
            .error
            .as_ref()
            .filter(|_| self.status == Status::Failed)
        {
            count.add(&model, failed_by(error), 1);
        }
        if let Some(entry) = moved {
            let name = match entry.kind {
                EntryKind::Capture | EntryKind::Deduct => CAPTURED,
                EntryKind::Release => RELEASED,
                EntryKind::Hold | EntryKind::Grant => return count,
            };
            count.add(&model, name, entry.amount.0);
        }
        count
    }
}

fn micros(usd: f64) -> u64 {
    (usd * 1e6).round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::super::{DurationMeaning, Party, Terms, failure::Code, testing};
    use super::*;

    fn of(count: &Count, model: &str) -> Vec<(String, u64)> {
        let sums = count.models.get(model).cloned().unwrap_or_default();
        sums.into_iter().collect()
    }

    #[test]
    fn each_payment_and_each_waste_is_counted_once_whatever_round_it_shows_in() {
        let mut job = testing::claimed();
        let mut intent = |id: &str, model: &str, state| {
            let mut intent = testing::intent(id);
            intent.model = model.to_owned();
            intent.state = state;
            intent.terms = Some(Terms {
                revision: 1,
                duration: DurationMeaning::Added,
                usd: Some(0.1),
            });
            job.intents.push(intent);
        };
        intent("1-1", "a", IntentState::Failed);
        intent("1-2", "b", IntentState::Wasted);
        intent("1-3", "b", IntentState::Refused);
        job.status = Status::Failed;
        job.error = Some(JobError {
            code: Code::ProviderFailed,
            message: String::new(),
            party: Party::Provider,
            stage: None,
            attempt: 1,
            at: testing::at(1),
        });
        let entry =
            CreditEntry::for_job(&job.id, 1, EntryKind::Release, Credits(4), testing::at(1));
        let first = job.count_end(Some(&entry), testing::at(1));
        let told = |name: &str, number| (name.to_owned(), number);
        assert_eq!(of(&first, "a"), [told(USD_MICROS, 100_000)]);
        assert_eq!(
            of(&first, "b"),
            [
                told("failed", 1),
                told("failed:provider_failed:provider", 1),
                told(RELEASED, 4),
                told(WASTED, 1)
            ]
        );
        // Another round, in which the wasted submission turns out to have been taken.
        job.intents[1].state = IntentState::Accepted;
        job.status = Status::Completed;
        job.error = None;
        let second = job.count_end(None, testing::at(1));
        assert_eq!(second.models.len(), 1, "{second:?}");
        assert_eq!(
            of(&second, "b"),
            [told("completed", 1), told(USD_MICROS, 100_000)]
        );
        assert!(job.count_end(None, testing::at(1)).models["b"].len() == 1);
    }

    #[test]
    fn a_round_that_asked_no_model_counts_under_none() {
        let mut job = testing::claimed();
        job.status = Status::Cancelled;
        let count = job.count_end(None, testing::at(1));
        assert_eq!(of(&count, NO_MODEL), [("cancelled".to_owned(), 1)]);
        assert_eq!(count.day, day_of(testing::at(1)));
    }
}
