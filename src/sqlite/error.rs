//! What went wrong with the file.

/// What went wrong, by what is known of the write.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// Nothing was written.
    #[error(transparent)]
    Failed(#[from] rusqlite::Error),
    /// The commit was tried and failed: it may be in the file all the same.
    #[error("the commit failed: {0}")]
    Commit(rusqlite::Error),
    /// The call was begun and never answered.
    #[error("the call did not finish: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
    /// The file that is open is not the one under its name: what is written goes nowhere.
    #[error("the database is gone: {0}")]
    Gone(std::io::Error),
    /// The file was written by a newer version of this program.
    #[error("{part} has schema version {found}; this program knows {known}")]
    Newer {
        part: &'static str,
        found: usize,
        known: usize,
    },
}
