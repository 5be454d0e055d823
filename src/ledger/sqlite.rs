//! The ledger in one SQLite file: the default, nothing to set up.
//!
//! A job is one row: its document as JSON, which only the holder of the lease writes, and beside
//! it the columns that queries need and the one that others write. Cost of an owner write: one
//! read, and one transaction with one synced append to the write-ahead log.
//!
//! Architecture invariant: nothing outside `ledger::sqlite` knows a table.

mod accounts;
mod commit;
mod counters;
mod creation;
mod marks;
mod outbox;
mod owned;
mod planning;
mod rows;
mod schema;
mod seen;
mod shared;
mod unreadable;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::civil::Date;
use rusqlite::Connection;
use serde_json::Value;

use super::backend::{Backend, Committed, Damaged, KeyRecord, Loaded, Record, Shared, Write};
use super::limits::{OwnerLimit, OwnerLimits};
use super::owned::{Books, OwnerRecords, Part, RawRecord, Removed};
use super::recent::Recent;
use super::{
    Callback, Counts, Due, DueCursor, DueNotice, JobQuery, KeptSince, LedgerError, Result, Tally,
};
use crate::job::{Account, CreditEntry, Job, JobId, Keeping, Notice, Owner, Status, Timestamp};
use crate::sqlite::{Database, DatabaseError, Durability, Room};
pub use seen::Seen;

/// Jobs, credits and notices in a SQLite file. Several processes may open the same one.
#[derive(Debug, Clone)]
pub struct SqliteLedger {
    database: Database,
    recent: Recent<Seen>,
    waiting: Option<Arc<Room>>,
    owners: Arc<OwnerLimits>,
}

impl SqliteLedger {
    /// Opens the file, made if missing, and brings its tables up to date. Blocks for a moment.
    /// SQLite's `file:` addresses work too.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let database = Database::open(path.as_ref(), Durability::PowerLoss, schema::PARTS)?;
        Ok(Self::over(database))
    }

    /// A ledger that goes away with its last handle, for tests and trials.
    pub fn open_in_memory() -> Result<Self> {
        Ok(Self::over(Database::open_in_memory(schema::PARTS)?))
    }

    fn over(database: Database) -> Self {
        Self {
            database,
            recent: Recent::default(),
            waiting: None,
            owners: Arc::default(),
        }
    }

    /// Refuses new jobs with [`LedgerError::Full`] while `jobs` have not ended. Repeated
    /// requests for a job that is there are still answered.
    #[must_use]
    pub fn max_waiting(mut self, jobs: u32) -> Self {
        self.waiting = Some(Arc::new(Room::of(jobs)));
        self
    }

    /// Bounds what each owner may have at once and spend in a day.
    #[must_use]
    pub fn owner_limits(mut self, limits: OwnerLimits) -> Self {
        self.owners = Arc::new(limits);
        self
    }
}

impl From<DatabaseError> for LedgerError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Failed(_) | DatabaseError::Gone(_) | DatabaseError::Newer { .. } => {
                Self::Unavailable(error.to_string())
            }
            DatabaseError::Commit(_) | DatabaseError::Interrupted(_) => {
                Self::Unknown(error.to_string())
            }
        }
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl SqliteLedger {
    async fn reads<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.database.read(read).await
    }
}

#[async_trait]
impl Backend for SqliteLedger {
    type Seen = Seen;

    fn limit_of(&self, owner: &Owner) -> OwnerLimit {
        self.owners.of(owner)
    }

    async fn job(&self, id: &JobId) -> Result<Option<Loaded<Box<Job>, Seen>>> {
        let id = id.clone();
        let found = self.reads(move |db| rows::load(db, &id)).await?;
        Ok(found.map(|(job, seen)| {
            let job = Box::new(job);
            self.recent.keep(Loaded {
                record: job.clone(),
                seen: Seen::Job(seen.clone()),
            });
            Loaded {
                record: job,
                seen: Seen::Job(seen),
            }
        }))
    }

    fn last_seen(&self, id: &JobId) -> Option<Loaded<Box<Job>, Seen>> {
        self.recent.take(id)
    }

    async fn notice(&self, id: &str) -> Result<Option<Loaded<Box<Notice>, Seen>>> {
        let id = id.to_owned();
        let found = self.reads(move |db| outbox::load(db, &id)).await?;
        Ok(found.map(|(notice, doc)| Loaded {
            record: Box::new(notice),
            seen: Seen::Notice(doc),
        }))
    }

    async fn account_of(&self, owner: &Owner) -> Result<Option<Loaded<Account, Seen>>> {
        let owner = owner.clone();
        let found = self.reads(move |db| accounts::load(db, &owner)).await?;
        Ok(found.map(|record| Loaded {
            record,
            seen: Seen::Account(record),
        }))
    }

    async fn key(&self, owner: &Owner, key: &str) -> Result<Option<Loaded<KeyRecord, Seen>>> {
        let (owner, key) = (owner.clone(), key.to_owned());
        let found = self
            .reads(move |db| creation::key(db, &owner, &key))
            .await?;
        Ok(found.map(|record| Loaded {
            record,
            seen: Seen::Key,
        }))
    }

    async fn shared(&self, what: &Shared) -> Result<Option<Loaded<Value, Seen>>> {
        let what = what.clone();
        let found = self.reads(move |db| shared::load(db, &what)).await?;
        Ok(found.map(|(record, doc)| Loaded {
            record,
            seen: Seen::Shared(doc),
        }))
    }

    async fn has_callback(&self, job: &JobId, intent: &str) -> Result<bool> {
        let (job, intent) = (job.clone(), intent.to_owned());
        self.reads(move |db| creation::has_callback(db, &job, &intent))
            .await
    }

    async fn entry_written(&self, owner: &Owner, entry: &str) -> Result<Option<Timestamp>> {
        let (owner, entry) = (owner.clone(), entry.to_owned());
        self.reads(move |db| accounts::written(db, &owner, &entry))
            .await
    }

    async fn damaged(&self, record: &Record) -> Result<Option<Damaged<Seen>>> {
        let record = record.clone();
        self.reads(move |db| match &record {
            Record::Job(id) => unreadable::damaged_job(db, id),
            Record::Notice(id) => unreadable::damaged_notice(db, id),
        })
        .await
    }

    async fn commit(&self, writes: Vec<Write<Seen>>) -> Result<Committed> {
        let waiting = self.waiting.clone();
        let ended = self
            .database
            .write(move |tx| commit::all(tx, writes, waiting.as_deref()))
            .await;
        let ended = ended.map(|changed| changed.map(|job| self.recent.keep(job)));
        commit::outcome(ended)
    }

    async fn remove(&self, job: Loaded<Box<Job>, Seen>) -> Result<Committed> {
        let ended = self.database.write(move |tx| commit::remove(tx, &job));
        commit::outcome(ended.await)
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>> {
        let query = query.clone();
        self.reads(move |db| planning::list(db, &query)).await
    }

    async fn jobs_beginning(
        &self,
        owner: Option<&Owner>,
        beginning: &str,
        limit: u32,
    ) -> Result<Vec<Job>> {
        let (owner, beginning) = (owner.cloned(), beginning.to_owned());
        self.reads(move |db| planning::beginning(db, owner.as_ref(), &beginning, limit))
            .await
    }

    async fn tally(&self, what: Tally, most: u32) -> Result<u32> {
        self.reads(move |db| planning::count(db, what, most)).await
    }

    async fn counts_of(&self, owner: Option<&Owner>, from: Date, to: Date) -> Result<Counts> {
        let owner = owner.cloned();
        self.reads(move |db| counters::read(db, owner.as_ref(), from, to))
            .await
    }

    async fn jobs_due(
        &self,
        before: Timestamp,
        after: Option<&DueCursor>,
        limit: u32,
    ) -> Result<Vec<Due>> {
        let after = after.cloned();
        self.reads(move |db| planning::due(db, before, after.as_ref(), limit))
            .await
    }

    async fn notices_due(
        &self,
        before: Timestamp,
        after: Option<&DueCursor>,
        limit: u32,
    ) -> Result<Vec<DueNotice>> {
        let after = after.cloned();
        self.reads(move |db| outbox::due(db, before, after.as_ref(), limit))
            .await
    }

    async fn jobs_kept(
        &self,
        what: Keeping,
        before: Timestamp,
        after: Option<&KeptSince>,
        limit: u32,
    ) -> Result<Vec<KeptSince>> {
        let after = after.cloned();
        self.reads(move |db| planning::kept(db, what, before, after.as_ref(), limit))
            .await
    }

    async fn notices_of(&self, job: &JobId) -> Result<Vec<Notice>> {
        let job = job.clone();
        self.reads(move |db| outbox::of_job(db, &job)).await
    }

    async fn callbacks_of(&self, job: &JobId) -> Result<Vec<Callback>> {
        let job = job.clone();
        self.reads(move |db| creation::callbacks(db, &job)).await
    }

    async fn entries_on(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> {
        let owner = owner.clone();
        self.reads(move |db| accounts::entries(db, &owner, limit))
            .await
    }

    async fn entries_of(&self, owner: &Owner, job: &JobId) -> Result<Vec<CreditEntry>> {
        let (owner, job) = (owner.clone(), job.clone());
        self.reads(move |db| accounts::of_job(db, &owner, &job))
            .await
    }

    async fn entries_since(
        &self,
        owner: &Owner,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<CreditEntry>> {
        let owner = owner.clone();
        self.reads(move |db| accounts::since(db, &owner, since, limit))
            .await
    }

    async fn jobs_of(&self, owner: &Owner, statuses: &[Status], most: u32) -> Result<u32> {
        let (owner, statuses) = (owner.clone(), statuses.to_vec());
        self.reads(move |db| planning::jobs_of(db, &owner, &statuses, most))
            .await
    }

    async fn did_native_work(&self, process: &str, now: Timestamp) -> Result<bool> {
        let process = process.to_owned();
        self.reads(move |db| planning::did_native_work(db, &process, now))
            .await
    }

    async fn newest_write(&self) -> Result<Option<Timestamp>> {
        self.reads(planning::last_written).await
    }

    async fn write_mark(&self, name: &str, now: Timestamp) -> Result<()> {
        let name = name.to_owned();
        self.database
            .write(move |tx| marks::mark(tx, &name, now))
            .await
    }

    async fn remove_mark(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.database
            .write(move |tx| marks::unmark(tx, &name))
            .await
    }

    async fn mark_names(&self) -> Result<Vec<String>> {
        self.database.write(marks::marks).await
    }

    async fn remove_marks(&self, before: Timestamp) -> Result<()> {
        self.database
            .write(move |tx| marks::unmark_old(tx, before))
            .await
    }

    async fn answers(&self) -> Result<()> {
        self.reads(|db| {
            // Reads the file, which a constant would not.
            db.prepare_cached("SELECT 1 FROM jobs LIMIT 1")?
                .exists([])?;
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl OwnerRecords for SqliteLedger {
    async fn job_ids(
        &self,
        owner: &Owner,
        after: Option<&JobId>,
        limit: u32,
    ) -> Result<Vec<JobId>> {
        let (owner, after) = (owner.clone(), after.cloned());
        self.reads(move |db| owned::job_ids(db, &owner, after.as_ref(), limit))
            .await
    }

    async fn of_job(&self, job: &JobId) -> Result<Vec<RawRecord>> {
        let job = job.clone();
        self.reads(move |db| owned::of_job(db, &job)).await
    }

    async fn remove_damaged(&self, job: &JobId) -> Result<bool> {
        let job = job.clone();
        let removal = self
            .database
            .write(move |tx| owned::remove_damaged(tx, &job));
        removal.await
    }

    async fn of_owner(
        &self,
        owner: &Owner,
        part: Part,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RawRecord>> {
        let (owner, after) = (owner.clone(), after.map(str::to_owned));
        self.reads(move |db| owned::of_owner(db, &owner, part, after.as_deref(), limit))
            .await
    }

    async fn remove(&self, owner: &Owner, part: Part) -> Result<Removed> {
        let owner = owner.clone();
        self.database
            .write(move |tx| owned::remove(tx, &owner, part))
            .await
    }

    async fn books(&self) -> Result<Books> {
        self.reads(owned::books).await
    }

    async fn scrub(&self) -> Result<()> {
        Ok(self.database.scrub().await?)
    }
}
