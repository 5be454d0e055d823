//! What the holder of a lease writes. Each function is one transaction: load, check the fence,
//! apply, store.

use std::time::Duration;

use rusqlite::Transaction;

use super::super::{Claimed, Commit, Held, LedgerError, Result, Settled, Settlement};
use super::rows::{load, load_held, store};
use super::{accounts, outbox, planning};
use crate::clock::whole_micros;
use crate::job::lease::Unclaimable;
use crate::job::{
    Change, Claim, CreditEntry, Credits, EntryKind, IllegalChange, JobId, Notification, Progress,
    Timestamp,
};

pub(super) fn claim(
    tx: &Transaction<'_>,
    id: &JobId,
    holder: &str,
    now: Timestamp,
    ttl: Duration,
) -> Result<Claimed> {
    let Some(mut job) = load(tx, id)? else {
        return Ok(Claimed::NotFound);
    };
    let beside = match job.died_beside(now) {
        Some(process) => planning::died_in_native_work(tx, process, now)?,
        None => false,
    };
    match job.claim(holder, whole_micros(now), ttl, beside) {
        Ok(claim) => {
            store(tx, &job)?;
            let job = Box::new(job);
            Ok(Claimed::Taken { claim, job })
        }
        Err(Unclaimable::Ended) => Ok(Claimed::Ended),
        Err(Unclaimable::Held { until }) => Ok(Claimed::Held { until }),
    }
}

pub(super) fn renew(
    tx: &Transaction<'_>,
    id: &JobId,
    claim: &Claim,
    progress: Option<&Progress>,
    now: Timestamp,
    ttl: Duration,
) -> Result<Commit> {
    let Some(mut job) = load_held(tx, id, claim)? else {
        return Ok(Commit::Lost);
    };
    job.renew(progress, whole_micros(now), ttl);
    store(tx, &job)?;
    Ok(Commit::Done(Box::new(job)))
}

pub(super) fn record(
    tx: &Transaction<'_>,
    id: &JobId,
    claim: &Claim,
    change: &Change,
    now: Timestamp,
) -> Result<Commit> {
    let Some(mut job) = load_held(tx, id, claim)? else {
        return Ok(Commit::Lost);
    };
    if matches!(change, Change::Ended(_)) {
        // An end without its entry and its notice would be half of a settlement.
        return Err(LedgerError::Illegal(IllegalChange::of(change, &job)));
    }
    change.apply(&mut job, whole_micros(now))?;
    store(tx, &job)?;
    Ok(Commit::Done(Box::new(job)))
}

pub(super) fn hold(
    tx: &Transaction<'_>,
    id: &JobId,
    claim: &Claim,
    amount: Credits,
    now: Timestamp,
) -> Result<Held> {
    let now = whole_micros(now);
    let Some(mut job) = load_held(tx, id, claim)? else {
        return Ok(Held::Lost);
    };
    let entry = CreditEntry::for_job(id, job.round, EntryKind::Hold, amount, now);
    let Some(account) = accounts::load(tx, &job.owner)? else {
        return Ok(Held::NoAccount);
    };
    let Some(entry) = accounts::fresh(tx, &job.owner, entry, job.created_at)? else {
        return Ok(Held::Done(Box::new(job)));
    };
    if account.credits < i64::try_from(amount.0).unwrap_or(i64::MAX) {
        return Ok(Held::Insufficient {
            available: account.credits,
        });
    }
    accounts::add(tx, &job.owner, &entry)?;
    job.hold(amount, now);
    store(tx, &job)?;
    Ok(Held::Done(Box::new(job)))
}

pub(super) fn settle(
    tx: &Transaction<'_>,
    id: &JobId,
    claim: &Claim,
    settlement: &Settlement,
    now: Timestamp,
) -> Result<Settled> {
    let now = whole_micros(now);
    let Some(mut job) = load_held(tx, id, claim)? else {
        return Ok(Settled::Lost);
    };
    let end = Change::Ended(settlement.ending.clone());
    end.apply(&mut job, now)?;
    let Some(notice) = Notification::terminal(&job, settlement.channel.clone(), now) else {
        return Err(LedgerError::Illegal(IllegalChange::of(&end, &job)));
    };
    if let Some(entry) = &settlement.entry {
        if accounts::load(tx, &job.owner)?.is_none() {
            return Ok(Settled::NoAccount);
        }
        // An entry of that name means that these credits have moved: the round ends without
        // moving them a second time.
        if let Some(entry) = accounts::fresh(tx, &job.owner, entry.clone(), job.created_at)? {
            accounts::add(tx, &job.owner, &entry)?;
        }
    }
    store(tx, &job)?;
    let notification = Box::new(outbox::create(tx, notice)?);
    let job = Box::new(job);
    Ok(Settled::Done { job, notification })
}
