//! Where jobs, credits and the outbox are kept.
//!
//! The trait speaks in domain commits: each call is atomic, and says what became of it. There is
//! no generic read-modify-write and no version token: the fence in the [`Claim`] guards owner
//! writes, must-not-exist guards entries, and everything else is an increment.

pub mod backend;
mod error;
pub mod firestore;
pub mod limits;
mod lists;
mod outcomes;
pub mod owned;
pub mod reading;
mod recent;
mod rules;
pub mod sqlite;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use jiff::civil::Date;

use crate::job::breaker::{Breaker, BreakerRules, Clearance, Turned, Verdict};
use crate::job::{
    Account, Change, Claim, CreditEntry, Credits, Job, JobId, Keeping, NewJob, Notice, Owner,
    Progress, Timestamp, notice::DeliveryState,
};

pub use error::{LedgerError, Result};
pub use lists::{
    Callback, Counts, Due, DueCursor, DueNotice, JobQuery, KeptSince, MOST_CALLBACKS, MOST_NOTICES,
    PageToken, Tally,
};
pub use outcomes::{
    Burial, CancelRequest, Claimed, Commit, Created, Deleted, HoldOutcome, Retried, Settled,
    Settlement,
};

/// Keeps jobs, credits and notices. Implementations are tried by one contract suite.
#[async_trait]
pub trait Ledger: Debug + Send + Sync {
    /// Writes a job that is due at once. Asking again is safe, by idempotency key or by id; two
    /// requests with the same id are the same one if owner, parameters, inputs, output, notice
    /// and cost are.
    async fn create(&self, new: NewJob) -> Result<Created>;
    async fn read(&self, id: &JobId) -> Result<Option<Job>>;
    /// A page of jobs, newest first, equal creation times by descending id. Documents that cannot
    /// be read are left out; a page is shorter than its limit only if it is the last one.
    async fn list(&self, query: &JobQuery) -> Result<Vec<Job>>;

    /// Jobs whose id begins so, of one owner or of all, by id: `limit` at most, each read once.
    async fn beginning(
        &self,
        owner: Option<&Owner>,
        beginning: &str,
        limit: u32,
    ) -> Result<Vec<Job>>;

    /// How many there are, counted no further than `most`.
    async fn count(&self, what: Tally, most: u32) -> Result<u32>;

    /// What ended from one day to another, both included: of one owner, or of all. Read from
    /// counters that each settlement raises, not from jobs. What a release before the counters
    /// ended is not in them.
    async fn counts(&self, owner: Option<&Owner>, from: Date, to: Date) -> Result<Counts>;

    /// Takes the lease of a job that has not ended and that nobody holds. After
    /// [`LedgerError::Unknown`] the job read again tells: it names this holder, under a fence
    /// above the one seen before. A holder's name must therefore be its own for each visit.
    async fn claim(
        &self,
        id: &JobId,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Claimed>;
    /// Keeps the lease, and writes progress in the same write.
    async fn renew(
        &self,
        id: &JobId,
        claim: &Claim,
        progress: Option<&Progress>,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Commit>;
    /// One owner write. [`Change::Ended`] goes through [`Ledger::settle`] only.
    async fn record(
        &self,
        id: &JobId,
        claim: &Claim,
        change: &Change,
        now: Timestamp,
    ) -> Result<Commit>;
    /// Reserves `amount` for this round, once: a second call for the round finds the entry and
    /// changes nothing. Sets `credits.cost` and `credits.state`.
    async fn hold(
        &self,
        id: &JobId,
        claim: &Claim,
        amount: Credits,
        now: Timestamp,
    ) -> Result<HoldOutcome>;
    /// Ends the round: status, result, credits, entry and notice in one commit. Doing it again
    /// finds the job ended and answers `Lost`.
    async fn settle(
        &self,
        id: &JobId,
        claim: &Claim,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Settled>;

    /// Jobs whose `next_visit_at` is not after `before`, oldest first, behind `after`. Names
    /// documents that cannot be read too, so that somebody comes to [`Ledger::bury`] them. Fewer
    /// than `limit` are the last ones.
    async fn due(
        &self,
        before: Timestamp,
        after: Option<&DueCursor>,
        limit: u32,
    ) -> Result<Vec<Due>>;
    /// Raises the wake-up number of a due job to `seen + 1`, for a fresh task name; `None` if it
    /// has moved on since. The visit is then due at once.
    async fn rewake(&self, id: &JobId, seen: u64, now: Timestamp) -> Result<Option<u64>>;

    /// Raises the wake-up number of a job that is not due yet to `seen + 1`, and leaves its time:
    /// a task that came too early has used up its name. `None` if the job has moved on since.
    async fn replan(&self, id: &JobId, seen: u64) -> Result<Option<u64>>;

    /// Ends a job whose document is damaged and has been so, as it stands now, since another
    /// call `patience` ago or longer: status `failed`, error `invalid_job`, due nowhere. All else
    /// stays, for a person to look at, and what is written over is kept. Credits that an entry
    /// of the job still holds are released, once; nobody is told. A document of a newer revision
    /// is [`LedgerError::Newer`] and left alone.
    async fn bury(&self, id: &JobId, now: Timestamp, patience: Duration) -> Result<Burial>;
    /// The same for a notice: its state is then `undeliverable`, and it is due nowhere.
    async fn bury_notice(&self, id: &str, now: Timestamp, patience: Duration) -> Result<Burial>;

    /// Written by anybody at any time: it never makes an owner's write fail, nor does an
    /// owner's write undo it.
    async fn request_cancel(&self, id: &JobId, now: Timestamp) -> Result<CancelRequest>;
    /// Begins the round after `round`, which failed or was cancelled: see [`Job::retry`]. Doing
    /// it again answers [`Retried::Begun`], so it may be repeated after an unknown outcome.
    async fn retry(
        &self,
        id: &JobId,
        round: u32,
        now: Timestamp,
        deadline_at: Timestamp,
    ) -> Result<Retried>;
    /// Removes the record of a job whose last round, `round`, is over, with its callbacks and
    /// notices. Credit entries stay. Doing it again answers [`Deleted::NotFound`].
    async fn delete(&self, id: &JobId, round: u32) -> Result<Deleted>;
    /// Jobs whose files of that sort have been kept since `before` or longer, longest first, equal
    /// moments by id; of those, the ones behind `after`. Fewer than `limit` are the last ones.
    async fn kept(
        &self,
        what: Keeping,
        before: Timestamp,
        after: Option<&KeptSince>,
        limit: u32,
    ) -> Result<Vec<KeptSince>>;
    /// Notes that such files of that round were deleted; see [`Job::forget`]. `false` if there
    /// was nothing to note.
    async fn forget(&self, id: &JobId, what: Keeping, round: u32, now: Timestamp) -> Result<bool>;

    /// Must not exist yet; `false` if it did.
    async fn record_callback(&self, id: &JobId, callback: &Callback) -> Result<bool>;
    /// The newest [`MOST_CALLBACKS`] of a job, oldest first.
    async fn callbacks(&self, id: &JobId) -> Result<Vec<Callback>>;

    async fn notice(&self, id: &str) -> Result<Option<Notice>>;
    /// The newest [`MOST_NOTICES`] of a job, first round first.
    async fn notices(&self, id: &JobId) -> Result<Vec<Notice>>;
    /// Sends a notice on its way once more, whatever became of it: see [`Notice::replay`].
    /// The notice as it is then; `None` if there is none.
    async fn replay(&self, id: &str, now: Timestamp) -> Result<Option<Notice>>;
    /// Notices that are due, as [`Ledger::due`] names jobs.
    async fn due_notices(
        &self,
        before: Timestamp,
        after: Option<&DueCursor>,
        limit: u32,
    ) -> Result<Vec<DueNotice>>;
    /// Raises the number of a notice's next task from the one that was `seen`: see
    /// [`Notice::replan`]. The notice as it is then; `None` if there was nothing to plan.
    async fn replan_notice(
        &self,
        id: &str,
        seen: u32,
        at: Option<Timestamp>,
    ) -> Result<Option<Notice>>;
    /// Counts one delivery and notes what came of it. `delivered` is final: what a slower twin
    /// of that delivery has to say later changes nothing, nor does an unknown id.
    async fn record_delivery(
        &self,
        id: &str,
        state: DeliveryState,
        next_at: Option<Timestamp>,
        error: Option<&str>,
    ) -> Result<()>;

    async fn account(&self, owner: &Owner) -> Result<Option<Account>>;
    /// Adds credits, opening the account if need be; `false` if that entry was there before.
    async fn grant(&self, owner: &Owner, entry: &CreditEntry) -> Result<bool>;
    /// An account's entries, newest first.
    async fn entries(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>>;

    /// Whether `job` may ask the model, or is the one that tries it again: see
    /// [`Breaker::ask`]. Doing it again gives the same answer.
    async fn ask_model(
        &self,
        model: &str,
        job: &JobId,
        now: Timestamp,
        rules: &BreakerRules,
    ) -> Result<Clearance>;
    /// Counts how a submission of `job` ended: see [`Breaker::note`]. Doing it again counts it
    /// again, which is of no harm.
    async fn note_model(
        &self,
        model: &str,
        job: &JobId,
        verdict: Verdict,
        now: Timestamp,
        rules: &BreakerRules,
    ) -> Result<Option<Turned>>;
    /// What is known of a model; `None` where it never failed.
    async fn breaker(&self, model: &str) -> Result<Option<Breaker>>;

    /// The latest owner write on a job that has not ended, where that can be told: whoever goes
    /// on with those jobs is not to begin before it.
    async fn last_written(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    /// Whether it answers.
    async fn ping(&self) -> Result<()>;
    /// Writes a mark of this name, as an owner's write is written: whether anything can be.
    async fn mark(&self, name: &str, now: Timestamp) -> Result<()>;
    /// Removes a mark; one that is not there is no error.
    async fn unmark(&self, name: &str) -> Result<()>;
    /// Names of marks, a few hundred at most.
    async fn marks(&self) -> Result<Vec<String>>;
    /// Removes marks made at `before` or earlier, a few hundred at most: whoever made them died.
    async fn unmark_old(&self, before: Timestamp) -> Result<()>;
}
