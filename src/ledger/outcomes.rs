//! What became of a call that writes.

use crate::job::{Claim, CreditEntry, Credits, Ending, Job, Notice, Timestamp};

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
    Leased { until: Timestamp },
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
pub enum HoldOutcome {
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
        notice: Box<Notice>,
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
