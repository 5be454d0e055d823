//! What a ledger fails with.

use super::limits;

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
