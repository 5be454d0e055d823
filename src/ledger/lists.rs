//! What is listed and counted, and places in lists.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::job::{Code, Job, JobId, Kind, Owner, Status, Sums, Timestamp};

/// A job that somebody has to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub id: JobId,
    pub seq: u64,
    /// Since when.
    pub at: Timestamp,
}

/// A notice that somebody has to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueNotice {
    pub id: String,
    /// Since when.
    pub at: Timestamp,
}

/// A cursor in the list of what is due: a listing goes on behind it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueCursor {
    pub at: Timestamp,
    pub id: String,
}

impl From<&Due> for DueCursor {
    fn from(due: &Due) -> Self {
        Self {
            at: due.at,
            id: due.id.to_string(),
        }
    }
}

impl From<&DueNotice> for DueCursor {
    fn from(due: &DueNotice) -> Self {
        Self {
            at: due.at,
            id: due.id.clone(),
        }
    }
}

/// A job whose files are kept, and since when: a cursor in the list of them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeptSince {
    pub since: Timestamp,
    pub id: JobId,
}

/// What the provider's callback said. A hint, and for an unknown outcome the only proof.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Callback {
    pub intent: String,
    pub prediction_id: String,
    pub received_at: Timestamp,
}

/// One an intent, and a job remembers far fewer: those of its present intents are among these.
pub const MOST_CALLBACKS: usize = 90;
/// One a round. More of them are older than anybody asks for.
pub const MOST_NOTICES: usize = 400;

/// Which jobs to list. Newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobQuery {
    pub owner: Option<Owner>,
    pub status: Option<Status>,
    pub kind: Option<Kind>,
    /// With this tag among its tags.
    pub tag: Option<String>,
    /// Whose submission this model took last.
    pub model: Option<String>,
    /// Whose last error is of this code.
    pub code: Option<Code>,
    /// Made at this moment or later.
    pub created_after: Option<Timestamp>,
    /// Made before this moment.
    pub created_before: Option<Timestamp>,
    /// 1 to 100.
    pub limit: u32,
    /// Where the page before ended.
    pub after: Option<PageToken>,
}

impl JobQuery {
    /// Whether a list of these may show the job, at whatever place.
    #[must_use]
    pub fn admits(&self, job: &Job) -> bool {
        let code = job.error.as_ref().map(|error| error.code);
        self.owner.as_ref().is_none_or(|owner| job.owner == *owner)
            && self.status.is_none_or(|status| job.status == status)
            && self.kind.is_none_or(|kind| job.params.kind() == kind)
            && self.tag.as_ref().is_none_or(|tag| job.tags.contains(tag))
            && (self.model.is_none() || job.provider.model == self.model)
            && (self.code.is_none() || code == self.code)
            && self.created_after.is_none_or(|from| job.created_at >= from)
            && self.created_before.is_none_or(|to| job.created_at < to)
    }
}

/// What can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Tally {
    /// Jobs that nobody has begun.
    Queued,
    /// Jobs that were begun and have not ended.
    Processing,
    /// Of those, the ones whose prediction was made and is not known to have ended.
    Generating,
    /// Notices still to be delivered.
    NoticesPending,
    /// Notices that were given up.
    NoticesUndeliverable,
}

/// A cursor in the list: creation time and id of the last job seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken {
    pub created_at: Timestamp,
    pub id: JobId,
}

/// What the counters say of some days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The first day that anything was counted on; absent where nothing was yet.
    pub since: Option<Date>,
    /// By day and model. Days on which nothing ended are missing.
    pub days: BTreeMap<(Date, String), Sums>,
}

impl Counts {
    pub(super) fn add(&mut self, day: Date, model: &str, name: String, number: u64) {
        let sums = self.days.entry((day, model.to_owned())).or_default();
        let sum = sums.entry(name).or_default();
        *sum = sum.saturating_add(number);
    }
}
