//! The states of rows, by which a write knows that nobody wrote in between.

use crate::job::Account;

/// What was read of a row. Its contents are compared: rows have no version of their own.
#[derive(Debug)]
pub enum Seen {
    Job(JobSeen),
    Notice(String),
    Account(Account),
    Shared(String),
    /// A key's record is never replaced: it goes with its job.
    Key,
    /// A document that cannot be read.
    Damaged(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSeen {
    pub(super) doc: String,
    /// A column of its own, which others write.
    pub(super) cancel_requested: bool,
}
