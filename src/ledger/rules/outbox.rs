//! Notices that wait for their delivery.

use super::super::backend::{Backend, Committed, Write};
use super::super::{MOST_NOTICES, Result};
use super::tries::Tries;
use crate::clock::whole_micros;
use crate::job::{JobId, Notice, Timestamp, notice::DeliveryState};

pub(super) async fn of_job<B: Backend>(backend: &B, job: &JobId) -> Result<Vec<Notice>> {
    let mut notices = backend.notices_of(job).await?;
    keep_newest(&mut notices);
    Ok(notices)
}

/// Sorts by round, and leaves out the oldest ones of too many. Names of notices are not in the
/// order of rounds: whoever lists them does this now and then, so that memory stays bounded.
pub(in crate::ledger) fn keep_newest(notices: &mut Vec<Notice>) {
    notices.sort_by_key(Notice::round);
    let old = notices.len().saturating_sub(MOST_NOTICES);
    notices.drain(..old);
}

pub(super) async fn replan<B: Backend>(
    backend: &B,
    id: &str,
    seen: u32,
    at: Option<Timestamp>,
) -> Result<Option<Notice>> {
    let at = at.map(whole_micros);
    change(backend, id, |notice| notice.replan(seen, at)).await
}

pub(super) async fn replay<B: Backend>(
    backend: &B,
    id: &str,
    now: Timestamp,
) -> Result<Option<Notice>> {
    let now = whole_micros(now);
    change(backend, id, |notice| {
        notice.replay(now);
        true
    })
    .await
}

pub(super) async fn record_delivery<B: Backend>(
    backend: &B,
    id: &str,
    state: DeliveryState,
    next_at: Option<Timestamp>,
    error: Option<&str>,
) -> Result<()> {
    let next_at = next_at
        .filter(|_| state == DeliveryState::Pending)
        .map(whole_micros);
    let noted = change(backend, id, |notice| {
        if notice.state == DeliveryState::Delivered {
            return false;
        }
        notice.state = state;
        notice.deliveries = notice.deliveries.saturating_add(1);
        notice.next_at = next_at;
        notice.last_error = error.map(str::to_owned);
        true
    });
    noted.await.map(drop)
}

/// The notice as it is after `edit`; `None` if there is none, or nothing to edit.
async fn change<B: Backend>(
    backend: &B,
    id: &str,
    edit: impl Fn(&mut Notice) -> bool + Send,
) -> Result<Option<Notice>> {
    let mut tries = Tries::default();
    loop {
        let Some(before) = backend.notice(id).await? else {
            return Ok(None);
        };
        let mut after = before.record.clone();
        if !edit(&mut after) {
            return Ok(None);
        }
        let notice = (*after).clone();
        let write = Write::ChangeNotice { before, after };
        if backend.commit(vec![write]).await? == Committed::Done {
            return Ok(Some(notice));
        }
        tries.again().await?;
    }
}
