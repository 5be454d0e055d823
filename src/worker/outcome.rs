//! What became of a visit, for whoever asked for it.

use crate::job::Timestamp;

/// And what to do with the task that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visit {
    /// The job was moved as far as it goes for now; it ended, or its next visit is planned.
    Advanced,
    /// Late, duplicate or ended: there was nothing to do.
    NothingToDo,
    /// Too early: the recorded wake-up was planned again, under a fresh number.
    Early {
        at: Timestamp,
    },
    /// Somebody else holds the job.
    Leased {
        until: Timestamp,
    },
    NotFound,
    /// The owner holds as many places as one may, or all are taken: bring the task again. No
    /// claim was made.
    Busy,
    /// The job is of a newer release, whose workers go on with it; bring the task again.
    LeftAlone,
    /// The service is stopping and takes no more visits.
    Draining,
    /// The ledger or the queue does not answer; bring the task again.
    Unavailable {
        message: String,
    },
}

impl Visit {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Advanced => "advanced",
            Self::NothingToDo => "nothing_to_do",
            Self::Early { .. } => "early",
            Self::Leased { .. } => "held",
            Self::NotFound => "not_found",
            Self::Busy => "busy",
            Self::LeftAlone => "left_alone",
            Self::Draining => "draining",
            Self::Unavailable { .. } => "unavailable",
        }
    }
}
