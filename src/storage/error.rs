//! What can go wrong with objects, by what the caller can do about it.

/// By what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("no such object: {0}")]
    NotFound(String),
    #[error("more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("not a usable object name: {0}")]
    Name(String),
    #[error("the object store fails: {0}")]
    Unavailable(String),
    /// A file or folder of this machine: ours, whatever was to be stored.
    #[error("local file: {0}")]
    File(#[from] std::io::Error),
    /// What was to be stored broke off: whoever sends it knows why.
    #[error("the stream broke off: {0}")]
    Stream(std::io::Error),
    #[error("the work was stopped")]
    Stopped,
}

impl From<std::io::ErrorKind> for StorageError {
    fn from(kind: std::io::ErrorKind) -> Self {
        Self::File(kind.into())
    }
}

impl From<object_store::Error> for StorageError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { path, .. } => Self::NotFound(path),
            object_store::Error::InvalidPath { source } => Self::Name(source.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl StorageError {
    /// What an operator has to mend before anything more can be stored, in words for anybody.
    #[must_use]
    pub fn exhausted(&self) -> Option<&'static str> {
        let Self::File(error) = self else { return None };
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Some("The service has no room to store anything.")
            }
            std::io::ErrorKind::ReadOnlyFilesystem => {
                Some("The service's store cannot be written to.")
            }
            _ if too_many_files(error) => Some("The service has too many files open."),
            _ => None,
        }
    }
}

fn too_many_files(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

pub type Result<T> = std::result::Result<T, StorageError>;

/// Why a block did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadProblem {
    #[error("the object is gone")]
    Gone,
    /// It is not the object that was opened.
    #[error("the object has been replaced while it was read")]
    Changed,
    #[error("the object store fails: {0}")]
    Unavailable(String),
    #[error("reading was stopped")]
    Stopped,
    #[error("reading took longer than it may")]
    Late,
}

impl From<object_store::Error> for ReadProblem {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Gone,
            object_store::Error::Precondition { .. } | object_store::Error::NotModified { .. } => {
                Self::Changed
            }
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<ReadProblem> for std::io::Error {
    fn from(problem: ReadProblem) -> Self {
        let kind = match problem {
            ReadProblem::Gone => std::io::ErrorKind::NotFound,
            ReadProblem::Late => std::io::ErrorKind::TimedOut,
            // Not `Interrupted`: whoever sees that tries again.
            ReadProblem::Stopped | ReadProblem::Changed | ReadProblem::Unavailable(_) => {
                std::io::ErrorKind::Other
            }
        };
        Self::new(kind, problem)
    }
}
