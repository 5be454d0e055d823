//! Who holds jobs now, and until when.
//!
//! A job that is held is due when its lease ends, so the jobs that are due first are looked at.
//! Leases that have run out come first among them.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::words::{self, Moment};
use crate::clock::elapsed;
use crate::http::{HttpState, Problem};
use crate::job::{Job, Timestamp};
use crate::ledger::{Due, LedgerError};

/// Jobs that are due first: each is read twice, once by when it is due.
const LOOKED_AT: u32 = 40;
/// Reads at once.
const AT_ONCE: usize = 8;

pub(super) struct Leases {
    pub(super) held: Vec<Lease>,
    pub(super) overdue: usize,
    /// Whether there may be more.
    pub(super) is_cut: bool,
    pub(super) looked_at: usize,
}

pub(super) struct Lease {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) owner: String,
    /// What is being done.
    pub(super) doing: &'static str,
    /// The process, and whether it is this one.
    pub(super) worker: String,
    pub(super) is_here: bool,
    pub(super) until: Moment,
    /// Since when it should have been given back or kept; empty where it lasts.
    pub(super) overdue: String,
}

pub(super) async fn now(state: &HttpState) -> Result<Leases, Problem> {
    let now = state.clock.now();
    let due = state.ledger.due(Timestamp::MAX, None, LOOKED_AT).await?;
    let read = |due: Due| async move { state.ledger.read(&due.id).await };
    let looked_at = due.len();
    let jobs: Vec<Option<Job>> = stream::iter(due.into_iter().map(read))
        .buffered(AT_ONCE)
        // One that cannot be read says nothing of its lease.
        .map(|read| match read {
            Err(LedgerError::Malformed { .. } | LedgerError::Newer { .. }) => Ok(None),
            read => read,
        })
        .try_collect()
        .await?;
    let here = state.worker.name();
    let held: Vec<Lease> = jobs
        .iter()
        .flatten()
        .filter_map(|job| lease(job, here, now))
        .collect();
    Ok(Leases {
        overdue: held.iter().filter(|it| !it.overdue.is_empty()).count(),
        held,
        is_cut: looked_at >= LOOKED_AT as usize,
        looked_at,
    })
}

/// Nothing where nobody holds the job.
fn lease(job: &Job, here: &str, now: Timestamp) -> Option<Lease> {
    let holder = job.lease.holder.as_deref()?;
    let until = job.lease.expires_at?;
    // Behind the name of its process stands the number of the visit.
    let worker = holder.rsplit_once('-').map_or(holder, |(worker, _)| worker);
    let overdue = match job.lease.is_live(now) {
        true => String::new(),
        false => words::span(elapsed(until, now)),
    };
    Some(Lease {
        id: job.id.to_string(),
        kind: words::kind(job.params.kind()),
        owner: job.owner.to_string(),
        doing: job.stage.map_or("", words::stage),
        worker: worker.to_owned(),
        is_here: worker == here,
        until: Moment::new(until, now),
        overdue,
    })
}
