//! Moves jobs along their road. (Being built.)

use std::sync::Arc;

use crate::job::{JobId, Timestamp};

/// What became of a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visit {
    /// The job was moved as far as it goes for now; it ended, or its next visit is planned.
    Advanced,
    /// Late, duplicate or ended: there was nothing to do.
    NothingToDo,
    /// Too early: the recorded wake-up was planned again.
    Early {
        at: Timestamp,
    },
    /// Somebody else holds the job.
    Held {
        until: Timestamp,
    },
    NotFound,
    /// The service is stopping and takes no more visits.
    Draining,
    /// The ledger or the queue does not answer; bring the task again.
    Unavailable {
        message: String,
    },
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxVisit {
    Delivered,
    /// Delivered or given up before.
    NothingToDo,
    /// Not delivered; the next try is planned.
    Planned {
        at: Timestamp,
    },
    NotFound,
    Draining,
    Unavailable {
        message: String,
    },
}

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Swept {
    pub jobs: u32,
    pub notifications: u32,
}

/// The worker: owns no job, holds leases.
#[derive(Debug)]
pub struct Worker {}

impl Worker {
    /// Visits a job on behalf of a task with wake-up number `seq`. Goes on to its end even if
    /// the caller stops waiting.
    pub async fn visit(self: &Arc<Self>, id: JobId, seq: u64) -> Visit {
        let _ = (id, seq);
        Visit::NotFound
    }

    /// Delivers one notice.
    pub async fn deliver(self: &Arc<Self>, id: String) -> OutboxVisit {
        let _ = id;
        OutboxVisit::NotFound
    }

    /// Plans anew what is overdue: wake-ups and deliveries that were lost.
    pub async fn sweep(self: &Arc<Self>) -> Result<Swept, crate::ledger::LedgerError> {
        Ok(Swept::default())
    }

    /// Whether new visits are taken.
    pub fn is_draining(&self) -> bool {
        false
    }
}
