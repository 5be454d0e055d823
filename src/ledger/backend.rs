//! What a database has to do for the rules: read records, list them, and commit writes of which
//! all happen or none.
//!
//! A read gives the state of a record along with it, and a write may ask for that state: it then
//! fails once anybody wrote in between, and the rule decides anew on what is there now. No lock
//! is held between the two.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::civil::Date;
use serde_json::Value;

use super::limits::OwnerLimit;
use super::{Callback, Counts, Due, DueCursor, DueNotice, JobQuery, KeptSince, Result, Tally};
use crate::job::{
    Account, Count, CreditEntry, Idempotency, Job, JobError, JobId, Keeping, Notice, Owner, Status,
    Timestamp,
};

/// A record as it was read, and the state it was in.
#[derive(Debug)]
pub struct Loaded<T, S> {
    pub record: T,
    pub seen: S,
}

/// What stands under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    pub request_sha256: String,
    /// Absent where the record names none.
    pub job: Option<JobId>,
}

/// A small record that all instances go by, one JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shared {
    /// Makes the creations of one owner notice each other.
    Guard(Owner),
    /// How the provider does with a model.
    Breaker(String),
}

/// A record that may turn out to be unreadable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    Job(JobId),
    Notice(String),
}

/// A record that is damaged.
#[derive(Debug)]
pub struct Damaged<S> {
    pub record: Record,
    /// Whose it is, if that much can be read. Of jobs only.
    pub owner: Option<Owner>,
    /// It says that it has ended.
    pub is_over: bool,
    /// Since when it has been noted as it is now.
    pub since: Option<Timestamp>,
    pub seen: S,
}

/// What must be true of an account that credits move on.
#[derive(Debug)]
pub enum Balance<S> {
    /// It is opened if it is missing.
    Any,
    /// It is there.
    There,
    /// It is as it was read.
    As(S),
}

/// One write of a commit. Moments are whole microseconds.
#[derive(Debug)]
pub enum Write<S> {
    /// A job under an id that must be free.
    CreateJob(Box<Job>),
    /// What the holder of the lease may write, and of that only what differs. Fields of others
    /// stay as they are.
    ChangeJob {
        before: Loaded<Box<Job>, S>,
        after: Box<Job>,
    },
    /// The same for another round: its deadline too, and the request to cancel the last one goes.
    NewRound {
        before: Loaded<Box<Job>, S>,
        after: Box<Job>,
    },
    /// Somebody wants the job to end.
    AskToCancel { job: JobId, seen: S, now: Timestamp },
    /// The key stands for that job: in place of a record that was read, or where there is none.
    Remember {
        owner: Owner,
        key: Idempotency,
        job: JobId,
        /// When the job was made.
        created_at: Timestamp,
        instead_of: Option<S>,
    },
    /// A callback that must not be there yet.
    CreateCallback { job: JobId, callback: Callback },
    /// A notice that must not be there yet.
    CreateNotice(Box<Notice>),
    ChangeNotice {
        before: Loaded<Box<Notice>, S>,
        after: Box<Notice>,
    },
    /// Moves what the entry says. Its name must be free.
    Move {
        owner: Owner,
        entry: CreditEntry,
        on: Balance<S>,
    },
    /// Puts a shared record in place of the one that was read, or where there is none.
    Share {
        what: Shared,
        value: Value,
        instead_of: Option<S>,
    },
    /// Adds what the end of a job's round counts for, to the sums of all and of its owner, where
    /// that is known. It asks for nothing: sums grow wherever they stand.
    Count {
        job: JobId,
        owner: Option<Owner>,
        count: Count,
    },
    /// Notes since when a record has been damaged as it is.
    Watch { damaged: Damaged<S>, now: Timestamp },
    /// Ends a damaged record; what that is written over is kept.
    Bury {
        damaged: Damaged<S>,
        since: Timestamp,
        now: Timestamp,
        /// Of a job: what it failed with.
        error: JobError,
        /// Credits that it held go back in the same commit.
        released: bool,
    },
}

/// What became of a commit that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    Done,
    /// Something was not as a write asks for: nothing was written.
    Conflict,
}

/// A database that keeps jobs, accounts and notices. Whoever has one has a [`Ledger`]: the rules
/// are written once, above this.
///
/// [`Ledger`]: super::Ledger
#[async_trait]
pub trait Backend: Debug + Send + Sync {
    /// Stands for the very state of a record.
    type Seen: Debug + Send + Sync;

    /// What bounds an owner here.
    fn limit_of(&self, owner: &Owner) -> OwnerLimit;

    async fn job(&self, id: &JobId) -> Result<Option<Loaded<Box<Job>, Self::Seen>>>;
    /// A job as this process read or wrote it last, where that is remembered; once, and somebody
    /// may have written since. For a decision that is written: the write tells.
    fn last_seen(&self, _id: &JobId) -> Option<Loaded<Box<Job>, Self::Seen>> {
        None
    }
    async fn notice(&self, id: &str) -> Result<Option<Loaded<Box<Notice>, Self::Seen>>>;
    async fn account_of(&self, owner: &Owner) -> Result<Option<Loaded<Account, Self::Seen>>>;
    async fn key(&self, owner: &Owner, key: &str) -> Result<Option<Loaded<KeyRecord, Self::Seen>>>;
    async fn shared(&self, what: &Shared) -> Result<Option<Loaded<Value, Self::Seen>>>;
    async fn has_callback(&self, job: &JobId, intent: &str) -> Result<bool>;
    /// When the entry of that name was written. One that cannot be read is as new as can be.
    async fn entry_written(&self, owner: &Owner, entry: &str) -> Result<Option<Timestamp>>;
    /// The record, if it is there and damaged. One of a newer revision is
    /// [`LedgerError::Newer`](super::LedgerError::Newer).
    async fn damaged(&self, record: &Record) -> Result<Option<Damaged<Self::Seen>>>;

    /// All of the writes or none.
    async fn commit(&self, writes: Vec<Write<Self::Seen>>) -> Result<Committed>;
    /// Removes a job that is still as it was read, with its callbacks, its notices, and what was
    /// kept of damaged ones.
    async fn remove(&self, job: Loaded<Box<Job>, Self::Seen>) -> Result<Committed>;

    // What is listed, each in the order and within the bounds that the ledger names.
    async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>>;
    async fn jobs_beginning(
        &self,
        owner: Option<&Owner>,
        beginning: &str,
        limit: u32,
    ) -> Result<Vec<Job>>;
    async fn tally(&self, what: Tally, most: u32) -> Result<u32>;
    async fn counts_of(&self, owner: Option<&Owner>, from: Date, to: Date) -> Result<Counts>;
    async fn jobs_due(
        &self,
        before: Timestamp,
        after: Option<&DueCursor>,
        limit: u32,
    ) -> Result<Vec<Due>>;
    async fn notices_due(
        &self,
        before: Timestamp,
        after: Option<&DueCursor>,
        limit: u32,
    ) -> Result<Vec<DueNotice>>;
    async fn jobs_kept(
        &self,
        what: Keeping,
        before: Timestamp,
        after: Option<&KeptSince>,
        limit: u32,
    ) -> Result<Vec<KeptSince>>;
    /// Of a job, in no order; unreadable ones are left out, and so are the oldest of too many.
    async fn notices_of(&self, job: &JobId) -> Result<Vec<Notice>>;
    async fn callbacks_of(&self, job: &JobId) -> Result<Vec<Callback>>;
    async fn entries_on(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>>;
    /// All of a job's rounds on that account, oldest first.
    async fn entries_of(&self, owner: &Owner, job: &JobId) -> Result<Vec<CreditEntry>>;
    /// Those of the last moments, from `since` on, oldest first.
    async fn entries_since(
        &self,
        owner: &Owner,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<CreditEntry>>;
    /// How many jobs of an owner are of one of these, counted no further than `most`.
    async fn jobs_of(&self, owner: &Owner, statuses: &[Status], most: u32) -> Result<u32>;
    /// Whether some job's native work was, or is, in this process: what else it held when it
    /// ended did not end it. Asked after a death only.
    async fn did_native_work(&self, process: &str, now: Timestamp) -> Result<bool>;
    /// The latest owner write on a job that has not ended, where that can be told.
    async fn newest_write(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    async fn write_mark(&self, name: &str, now: Timestamp) -> Result<()>;
    async fn remove_mark(&self, name: &str) -> Result<()>;
    async fn mark_names(&self) -> Result<Vec<String>>;
    async fn remove_marks(&self, before: Timestamp) -> Result<()>;
    async fn answers(&self) -> Result<()>;
}
