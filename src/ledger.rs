//! Where jobs, credits and the outbox are kept.
//!
//! The trait speaks in domain commits: each call is atomic, and says what became of it. There is
//! no generic read-modify-write and no version token: the fence in the [`Claim`] guards owner
//! writes, must-not-exist guards entries, and everything else is an increment.

pub mod backend;
pub mod firestore;
pub mod limits;
pub mod reading;
mod recent;
mod rules;
pub mod sqlite;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::job::breaker::{Admission, Breaker, BreakerRules, Turned, Verdict};
use crate::job::{
    Account, Change, Claim, CreditEntry, Credits, Ending, Job, JobId, Keeping, Kind, NewJob,
    Notification, Owner, Progress, Status, Timestamp, notification::DeliveryState,
};

/// By what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Nothing was written; trying again later may help.
    #[error("the ledger does not answer: {0}")]
    Unavailable(String),
    /// A commit was sent and its answer never came: re-read before anything else.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
    /// The stored document is damaged: it is no job, or no notice.
    #[error("{id} cannot be read: {reason}")]
    Malformed { id: String, reason: String },
    /// The stored document may be of a newer revision of this program: it says so, or holds a
    /// word that is in no list of ours. It is left alone.
    #[error("{id} is not for this revision: {reason}")]
    Newer { id: String, reason: String },
    /// The change does not fit the job: a defect of ours.
    #[error(transparent)]
    Illegal(#[from] crate::job::IllegalChange),
    /// As many jobs as are allowed have not ended yet: nothing was created.
    #[error("{waiting} jobs are waiting already")]
    Full { waiting: u32 },
    /// The owner has as much as is allowed: nothing was created.
    #[error(transparent)]
    Limited(#[from] limits::Limited),
}

pub type Result<T> = std::result::Result<T, LedgerError>;

/// What became of a creation.
#[derive(Debug, Clone, PartialEq)]
pub enum Created {
    New(Box<Job>),
    /// The same idempotency key with the same request, or the same id: the job that is there.
    Existing(Box<Job>),
    /// The idempotency key stands for another request.
    KeyReused,
    /// The id is taken by another request.
    IdTaken,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claimed {
    Taken { claim: Claim, job: Box<Job> },
    Held { until: Timestamp },
    Ended,
    NotFound,
}

/// What became of an owner write.
#[derive(Debug, Clone, PartialEq)]
pub enum Commit {
    /// Written; the job as it is now, foreign fields included.
    Done(Box<Job>),
    /// Another claim has been made since: stop at once.
    Lost,
}

/// What became of a hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    Done(Box<Job>),
    Insufficient {
        available: i64,
    },
    /// There is no such account.
    NoAccount,
    /// The owner may spend no more than that in a day.
    OverADay {
        most: u64,
    },
    Lost,
}

/// The atomic end of a round.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    pub ending: Ending,
    /// The entry that must not exist yet, if credits move.
    pub entry: Option<CreditEntry>,
    /// Where the terminal notice goes; it is built from the settled job inside the commit.
    pub channel: crate::job::Channel,
}

/// What became of a settlement.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// Written; the terminal notice is in the outbox.
    Done {
        job: Box<Job>,
        notification: Box<Notification>,
    },
    Lost,
    /// The account to move credits on does not exist: nothing was written.
    NoAccount,
}

/// A cancellation as asked for by a caller.
#[derive(Debug, Clone, PartialEq)]
pub enum CancelRequest {
    /// Noted (or noted before): the worker ends the job.
    Noted(Box<Job>),
    /// The round is over already.
    Ended(Box<Job>),
    NotFound,
}

/// What became of asking for another round.
#[derive(Debug, Clone, PartialEq)]
pub enum Retried {
    /// The next round has begun and is due at once.
    Done(Box<Job>),
    /// The round asked about is not the job's last one any more: somebody was first, or this
    /// very call was, with its answer lost. The job as it is now.
    Begun(Box<Job>),
    /// The round is not over.
    NotEnded(Box<Job>),
    /// It has a result.
    Completed(Box<Job>),
    NotFound,
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq)]
pub enum Deleted {
    /// Nothing is left of it but the account's history.
    Done,
    /// It runs, perhaps in another round than the one asked about.
    NotEnded(Box<Job>),
    NotFound,
}

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

/// A place in the list of what is due: a listing goes on behind it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DuePlace {
    pub at: Timestamp,
    pub id: String,
}

impl From<&Due> for DuePlace {
    fn from(due: &Due) -> Self {
        Self {
            at: due.at,
            id: due.id.to_string(),
        }
    }
}

impl From<&DueNotice> for DuePlace {
    fn from(due: &DueNotice) -> Self {
        Self {
            at: due.at,
            id: due.id.clone(),
        }
    }
}

/// What became of a record that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Burial {
    /// It is noted since when it has been like this; that is not long enough yet.
    Noted { since: Timestamp },
    /// It has ended. `released`: the credits that an entry of the job still held.
    Done { released: Option<Credits> },
    /// It is unknown, over, or can be read.
    NothingToDo,
}

/// A job whose files are kept, and since when: a place in the list of them.
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
    /// Made at this moment or later.
    pub created_after: Option<Timestamp>,
    /// Made before this moment.
    pub created_before: Option<Timestamp>,
    /// 1 to 100.
    pub limit: u32,
    /// Where the page before ended.
    pub after: Option<PageToken>,
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

/// A place in the list: creation time and id of the last job seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken {
    pub created_at: Timestamp,
    pub id: JobId,
}

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

    /// How many there are, counted no further than `most`.
    async fn count(&self, what: Tally, most: u32) -> Result<u32>;

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
    ) -> Result<Held>;
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
        after: Option<&DuePlace>,
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

    async fn notification(&self, id: &str) -> Result<Option<Notification>>;
    /// The newest [`MOST_NOTICES`] of a job, first round first.
    async fn notifications(&self, id: &JobId) -> Result<Vec<Notification>>;
    /// Sends a notice on its way once more, whatever became of it: see [`Notification::replay`].
    /// The notice as it is then; `None` if there is none.
    async fn replay(&self, id: &str, now: Timestamp) -> Result<Option<Notification>>;
    /// Notices that are due, as [`Ledger::due`] names jobs.
    async fn due_notifications(
        &self,
        before: Timestamp,
        after: Option<&DuePlace>,
        limit: u32,
    ) -> Result<Vec<DueNotice>>;
    /// Raises the number of a notice's next task from the one that was `seen`: see
    /// [`Notification::replan`]. The notice as it is then; `None` if there was nothing to plan.
    async fn replan_notice(
        &self,
        id: &str,
        seen: u32,
        at: Option<Timestamp>,
    ) -> Result<Option<Notification>>;
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
    /// [`Breaker::admit`]. Doing it again gives the same answer.
    async fn ask_model(
        &self,
        model: &str,
        job: &JobId,
        now: Timestamp,
        rules: &BreakerRules,
    ) -> Result<Admission>;
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
