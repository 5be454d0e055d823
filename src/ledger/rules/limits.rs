//! Who may have one more job, and spend more.
//!
//! Jobs are counted by what is there, so that each end gives its place back, whoever made it. Two
//! creations that count at once would both fit: each writes the owner's guard in its commit, on
//! the condition that it is as it was before counting, so that one of them counts anew.

use serde_json::json;

use super::super::backend::{Backend, Shared, Write};
use super::super::limits::DAY;
use super::super::{LedgerError, Result};
use crate::job::{Owner, Status, Timestamp};

/// Entries of one owner's day that are summed. Of more nobody can say that they fit.
const MOST_ENTRIES: u32 = 100_000;

/// The write that belongs into the commit of one more job; none where nothing bounds its owner's
/// jobs.
pub(super) async fn admit<B: Backend>(
    backend: &B,
    owner: &Owner,
    now: Timestamp,
) -> Result<Option<Write<B::Seen>>> {
    spend(backend, owner, 0, now).await?;
    let limit = backend.limit_of(owner);
    if limit.jobs.is_none() && limit.waiting.is_none() {
        return Ok(None);
    }
    let what = Shared::Guard(owner.clone());
    let guard = backend.shared(&what).await?;
    if let Some(most) = limit.jobs {
        // Counted at one moment: a job that is begun meanwhile counts once.
        let open = [Status::Queued, Status::Processing];
        let open = backend.jobs_of(owner, &open, most).await?;
        limit.one_more_job(owner, open)?;
    }
    if let Some(most) = limit.waiting {
        let waiting = backend.jobs_of(owner, &[Status::Queued], most).await?;
        limit.one_more_waits(owner, waiting)?;
    }
    let made = guard
        .as_ref()
        .and_then(|guard| guard.record["jobs_made"].as_u64());
    Ok(Some(Write::Share {
        what,
        value: json!({"jobs_made": made.unwrap_or_default().saturating_add(1)}),
        instead_of: guard.map(|guard| guard.seen),
    }))
}

/// Whether `more` credits may be spent now; with nothing more, whether anything is left.
pub(super) async fn spend<B: Backend>(
    backend: &B,
    owner: &Owner,
    more: u64,
    now: Timestamp,
) -> Result<()> {
    let limit = backend.limit_of(owner);
    if limit.credits_a_day.is_none() {
        return Ok(());
    }
    let since = now.checked_sub(DAY).unwrap_or(Timestamp::MIN);
    let entries = backend.entries_since(owner, since, MOST_ENTRIES).await?;
    if entries.len() >= MOST_ENTRIES as usize {
        return Err(LedgerError::Limited(limit.beyond_counting(owner)));
    }
    Ok(limit.spend(owner, &entries, more, now)?)
}
