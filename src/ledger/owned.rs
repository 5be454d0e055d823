//! What is kept under one owner's name, record by record and as it stands, for whoever hands it
//! over or removes it: what cannot be read as a job is somebody's all the same.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use super::Result;
use crate::job::{JobId, Owner};

/// Records of one page, and of one removal: what Firestore takes in one commit, with room for
/// what goes along.
pub const MOST_RECORDS: u32 = 400;

/// A record under the name that `docs/firestore-schema.md` gives it, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RawRecord {
    pub name: String,
    pub content: Value,
}

/// What of an owner is no job's own, in the order in which it can be removed: an account goes
/// after its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Part {
    /// Notices, those of jobs that are gone too.
    Notices,
    /// Requests that were made under an idempotency key.
    Keys,
    /// Movements of credits.
    Entries,
    /// Sums of what ended, a record for each day.
    Counters,
    /// The balance, and what makes creations notice each other.
    Account,
}

/// What a removal did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    pub records: u64,
    /// Records that hold what is somebody else's too, and stay.
    pub left: Vec<String>,
}

/// What was removed, summed up under nobody's name: `accounts` and `entries` by number, and
/// credits by the kind of their entries.
pub type Books = BTreeMap<String, u64>;

/// A ledger seen by owner.
#[async_trait]
pub trait OwnerRecords: Debug + Send + Sync {
    /// The owner's jobs, whether they can be read or not, by id, behind `after`.
    async fn job_ids(&self, owner: &Owner, after: Option<&JobId>, limit: u32)
    -> Result<Vec<JobId>>;
    /// A job's record and all that goes with it: callbacks, notices, what was kept of damage.
    async fn of_job(&self, job: &JobId) -> Result<Vec<RawRecord>>;
    /// Removes the same of a job that cannot be read; `false` where it can be. One of a newer
    /// release is [`LedgerError::Newer`](super::LedgerError::Newer).
    async fn remove_damaged(&self, job: &JobId) -> Result<bool>;

    /// A page of what is no job's own, by name, behind the record of the name `after`.
    async fn of_owner(
        &self,
        owner: &Owner,
        part: Part,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RawRecord>>;
    /// Removes the first records of it, [`MOST_RECORDS`] at most, and sums up what moved credits,
    /// in one commit. There are no more once it removed none.
    async fn remove(&self, owner: &Owner, part: Part) -> Result<Removed>;

    async fn books(&self) -> Result<Books>;
    /// Makes sure that what was removed can be read nowhere in the database's own files.
    async fn scrub(&self) -> Result<()>;
}
