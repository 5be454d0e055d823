//! The ledger in one SQLite file: the default, nothing to set up.
//!
//! A job is one row: its document as JSON, which only the holder of the lease writes, and beside
//! it the columns that queries need and the one that others write. Cost of an owner write: one
//! transaction with one synced append to the write-ahead log.
//!
//! Architecture invariant: nothing outside `ledger::sqlite` knows a table.

mod accounts;
mod creation;
mod marks;
mod outbox;
mod owner;
mod planning;
mod retention;
mod rounds;
mod rows;
mod schema;
mod unreadable;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Burial, Callback, CancelRequest, Claimed, Commit, Created, Deleted, Due, DueNotice, DuePlace,
    Held, JobQuery, KeptSince, Ledger, LedgerError, Result, Retried, Settled, Settlement, Tally,
};
use crate::job::{
    Account, Change, Claim, CreditEntry, Credits, Job, JobId, Keeping, NewJob, Notification, Owner,
    Progress, Timestamp, notification::DeliveryState,
};
use crate::sqlite::{Database, DatabaseError, Durability};

/// Jobs, credits and notices in a SQLite file. Several processes may open the same one.
#[derive(Debug, Clone)]
pub struct SqliteLedger {
    database: Database,
    max_waiting: Option<u32>,
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
            max_waiting: None,
        }
    }

    /// Refuses new jobs with [`LedgerError::Full`] while `jobs` have not ended. Repeated
    /// requests for a job that is there are still answered.
    #[must_use]
    pub fn max_waiting(mut self, jobs: u32) -> Self {
        self.max_waiting = Some(jobs);
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

#[async_trait]
impl Ledger for SqliteLedger {
    async fn create(&self, new: NewJob) -> Result<Created> {
        let max_waiting = self.max_waiting;
        self.database
            .write(move |tx| creation::create(tx, new, max_waiting))
            .await
    }

    async fn read(&self, id: &JobId) -> Result<Option<Job>> {
        let id = id.clone();
        self.database.read(move |db| rows::load(db, &id)).await
    }

    async fn list(&self, query: &JobQuery) -> Result<Vec<Job>> {
        let query = query.clone();
        self.database
            .read(move |db| planning::list(db, &query))
            .await
    }

    async fn count(&self, what: Tally, most: u32) -> Result<u32> {
        self.database
            .read(move |db| planning::count(db, what, most))
            .await
    }

    async fn claim(
        &self,
        id: &JobId,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Claimed> {
        let (id, holder) = (id.clone(), holder.to_owned());
        self.database
            .write(move |tx| owner::claim(tx, &id, &holder, now, ttl))
            .await
    }

    async fn renew(
        &self,
        id: &JobId,
        claim: &Claim,
        progress: Option<&Progress>,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Commit> {
        let (id, claim, progress) = (id.clone(), claim.clone(), progress.cloned());
        self.database
            .write(move |tx| owner::renew(tx, &id, &claim, progress.as_ref(), now, ttl))
            .await
    }

    async fn record(
        &self,
        id: &JobId,
        claim: &Claim,
        change: &Change,
        now: Timestamp,
    ) -> Result<Commit> {
        let (id, claim, change) = (id.clone(), claim.clone(), change.clone());
        self.database
            .write(move |tx| owner::record(tx, &id, &claim, &change, now))
            .await
    }

    async fn hold(
        &self,
        id: &JobId,
        claim: &Claim,
        amount: Credits,
        now: Timestamp,
    ) -> Result<Held> {
        let (id, claim) = (id.clone(), claim.clone());
        self.database
            .write(move |tx| owner::hold(tx, &id, &claim, amount, now))
            .await
    }

    async fn settle(
        &self,
        id: &JobId,
        claim: &Claim,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Settled> {
        let (id, claim, settlement) = (id.clone(), claim.clone(), settlement.clone());
        self.database
            .write(move |tx| owner::settle(tx, &id, &claim, &settlement, now))
            .await
    }

    async fn due(
        &self,
        before: Timestamp,
        after: Option<&DuePlace>,
        limit: u32,
    ) -> Result<Vec<Due>> {
        let after = after.cloned();
        self.database
            .read(move |db| planning::due(db, before, after.as_ref(), limit))
            .await
    }

    async fn rewake(&self, id: &JobId, seen: u64, now: Timestamp) -> Result<Option<u64>> {
        let id = id.clone();
        self.database
            .write(move |tx| planning::rewake(tx, &id, seen, now))
            .await
    }

    async fn replan(&self, id: &JobId, seen: u64) -> Result<Option<u64>> {
        let id = id.clone();
        self.database
            .write(move |tx| planning::replan(tx, &id, seen))
            .await
    }

    async fn bury(&self, id: &JobId, now: Timestamp, patience: Duration) -> Result<Burial> {
        let id = id.clone();
        self.database
            .write(move |tx| unreadable::bury(tx, &id, now, patience))
            .await
    }

    async fn bury_notice(&self, id: &str, now: Timestamp, patience: Duration) -> Result<Burial> {
        let id = id.to_owned();
        self.database
            .write(move |tx| unreadable::bury_notice(tx, &id, now, patience))
            .await
    }

    async fn request_cancel(&self, id: &JobId, now: Timestamp) -> Result<CancelRequest> {
        let id = id.clone();
        self.database
            .write(move |tx| creation::request_cancel(tx, &id, now))
            .await
    }

    async fn retry(
        &self,
        id: &JobId,
        round: u32,
        now: Timestamp,
        deadline_at: Timestamp,
    ) -> Result<Retried> {
        let (id, max_waiting) = (id.clone(), self.max_waiting);
        self.database
            .write(move |tx| rounds::retry(tx, &id, round, now, deadline_at, max_waiting))
            .await
    }

    async fn delete(&self, id: &JobId, round: u32) -> Result<Deleted> {
        let id = id.clone();
        self.database
            .write(move |tx| rounds::delete(tx, &id, round))
            .await
    }

    async fn kept(
        &self,
        what: Keeping,
        before: Timestamp,
        after: Option<&KeptSince>,
        limit: u32,
    ) -> Result<Vec<KeptSince>> {
        let after = after.cloned();
        self.database
            .read(move |db| retention::kept(db, what, before, after.as_ref(), limit))
            .await
    }

    async fn forget(&self, id: &JobId, what: Keeping, round: u32, now: Timestamp) -> Result<bool> {
        let id = id.clone();
        self.database
            .write(move |tx| retention::forget(tx, &id, what, round, now))
            .await
    }

    async fn record_callback(&self, id: &JobId, callback: &Callback) -> Result<bool> {
        let (id, callback) = (id.clone(), callback.clone());
        self.database
            .write(move |tx| creation::record_callback(tx, &id, &callback))
            .await
    }

    async fn callbacks(&self, id: &JobId) -> Result<Vec<Callback>> {
        let id = id.clone();
        self.database
            .read(move |db| creation::callbacks(db, &id))
            .await
    }

    async fn notification(&self, id: &str) -> Result<Option<Notification>> {
        let id = id.to_owned();
        self.database.read(move |db| outbox::load(db, &id)).await
    }

    async fn notifications(&self, id: &JobId) -> Result<Vec<Notification>> {
        let id = id.clone();
        self.database.read(move |db| outbox::of_job(db, &id)).await
    }

    async fn replay(&self, id: &str, now: Timestamp) -> Result<Option<Notification>> {
        let id = id.to_owned();
        self.database
            .write(move |tx| outbox::replay(tx, &id, now))
            .await
    }

    async fn due_notifications(
        &self,
        before: Timestamp,
        after: Option<&DuePlace>,
        limit: u32,
    ) -> Result<Vec<DueNotice>> {
        let after = after.cloned();
        self.database
            .read(move |db| outbox::due(db, before, after.as_ref(), limit))
            .await
    }

    async fn replan_notice(
        &self,
        id: &str,
        seen: u32,
        at: Option<Timestamp>,
    ) -> Result<Option<Notification>> {
        let id = id.to_owned();
        self.database
            .write(move |tx| outbox::replan(tx, &id, seen, at))
            .await
    }

    async fn record_delivery(
        &self,
        id: &str,
        state: DeliveryState,
        next_at: Option<Timestamp>,
        error: Option<&str>,
    ) -> Result<()> {
        let (id, error) = (id.to_owned(), error.map(str::to_owned));
        self.database
            .write(move |tx| outbox::record_delivery(tx, &id, state, next_at, error))
            .await
    }

    async fn account(&self, owner: &Owner) -> Result<Option<Account>> {
        let owner = owner.clone();
        self.database
            .read(move |db| accounts::load(db, &owner))
            .await
    }

    async fn grant(&self, owner: &Owner, entry: &CreditEntry) -> Result<bool> {
        let (owner, entry) = (owner.clone(), entry.clone());
        self.database
            .write(move |tx| accounts::grant(tx, &owner, &entry))
            .await
    }

    async fn entries(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> {
        let owner = owner.clone();
        self.database
            .read(move |db| accounts::entries(db, &owner, limit))
            .await
    }

    async fn mark(&self, name: &str, now: Timestamp) -> Result<()> {
        let name = name.to_owned();
        self.database
            .write(move |tx| marks::mark(tx, &name, now))
            .await
    }

    async fn unmark(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.database
            .write(move |tx| marks::unmark(tx, &name))
            .await
    }

    async fn marks(&self) -> Result<Vec<String>> {
        self.database.write(marks::marks).await
    }

    async fn unmark_old(&self, before: Timestamp) -> Result<()> {
        self.database
            .write(move |tx| marks::unmark_old(tx, before))
            .await
    }

    async fn last_written(&self) -> Result<Option<Timestamp>> {
        self.database.read(planning::last_written).await
    }

    async fn ping(&self) -> Result<()> {
        self.database
            .read(|db| {
                // Reads the file, which a constant would not.
                db.prepare_cached("SELECT 1 FROM jobs LIMIT 1")?
                    .exists([])?;
                Ok(())
            })
            .await
    }
}
