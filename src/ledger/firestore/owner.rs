//! The writes of whoever holds the lease, and the claim that makes them so.
//!
//! Each reads the job, decides, and writes on the condition that nobody wrote since. Where
//! somebody did, it reads again: the same fence means that a foreign field changed, and the
//! change is made anew on what is there now; another fence means that the job was lost.

use std::time::Duration;

use gcloud_sdk::google::firestore::v1::Write;

use super::super::{Claimed, Commit, Held, LedgerError, Result, Settled, Settlement};
use super::accounts;
use super::documents::{self, change};
use super::outbox;
use super::paths::{DocumentPath, JOBS};
use super::store::{Committed, Found, Store, Tries};
use super::values;
use crate::clock::whole_micros;
use crate::job::lease::Unclaimable;
use crate::job::{
    Change, Claim, CreditEntry, Credits, EntryKind, IllegalChange, Job, JobId, Notification,
    Progress, Timestamp,
};

/// A job as read, and where from.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) place: DocumentPath,
    pub(super) found: Found,
    pub(super) job: Job,
}

impl Read {
    /// The write that makes `after` of it, if it is still as it was read.
    pub(super) fn to(&self, after: &Job) -> Result<Write> {
        change(&self.place, &self.found, &self.job, after)
    }
}

pub(super) async fn load(store: &Store, id: &JobId) -> Result<Option<Read>> {
    let place = DocumentPath::job(store.root(), id);
    let Some(found) = store.get(&place).await? else {
        return Ok(None);
    };
    let job = documents::job(&found)?;
    Ok(Some(Read { place, found, job }))
}

/// The job, if it is still this claim's. Only another claim makes it one of a newer revision.
async fn load_held(store: &Store, id: &JobId, claim: &Claim) -> Result<Option<Read>> {
    match load(store, id).await {
        Err(LedgerError::Newer { .. }) => Ok(None),
        found => Ok(found?.filter(|read| claim.holds(&read.job))),
    }
}

/// Whether some job's native work was, or is, in this process: what else it held when it ended
/// did not end it.
async fn died_in_native_work(store: &Store, process: &str) -> Result<bool> {
    let named = vec![("native.process", values::text(process))];
    Ok(store.count(JOBS, named, 1).await? > 0)
}

pub(super) async fn claim(
    store: &Store,
    id: &JobId,
    holder: &str,
    now: Timestamp,
    ttl: Duration,
) -> Result<Claimed> {
    let mut tries = Tries::default();
    loop {
        let Some(read) = load(store, id).await? else {
            return Ok(Claimed::NotFound);
        };
        let mut job = read.job.clone();
        let beside = match job.died_beside(now) {
            Some(process) => died_in_native_work(store, process).await?,
            None => false,
        };
        match job.claim(holder, whole_micros(now), ttl, beside) {
            Ok(claim) => {
                if store.commit(vec![read.to(&job)?]).await? == Committed::Done {
                    let job = Box::new(job);
                    return Ok(Claimed::Taken { claim, job });
                }
            }
            Err(Unclaimable::Ended) => return Ok(Claimed::Ended),
            Err(Unclaimable::Held { until }) => return Ok(Claimed::Held { until }),
        }
        tries.again().await?;
    }
}

/// One write of the job alone.
async fn write(
    store: &Store,
    id: &JobId,
    claim: &Claim,
    edit: impl Fn(&mut Job) -> Result<()> + Send,
) -> Result<Commit> {
    let mut tries = Tries::default();
    loop {
        let Some(read) = load_held(store, id, claim).await? else {
            return Ok(Commit::Lost);
        };
        let mut job = read.job.clone();
        edit(&mut job)?;
        if store.commit(vec![read.to(&job)?]).await? == Committed::Done {
            return Ok(Commit::Done(Box::new(job)));
        }
        tries.again().await?;
    }
}

pub(super) async fn renew(
    store: &Store,
    id: &JobId,
    claim: &Claim,
    progress: Option<&Progress>,
    now: Timestamp,
    ttl: Duration,
) -> Result<Commit> {
    let now = whole_micros(now);
    write(store, id, claim, |job| {
        job.renew(progress, now, ttl);
        Ok(())
    })
    .await
}

pub(super) async fn record(
    store: &Store,
    id: &JobId,
    claim: &Claim,
    change: &Change,
    now: Timestamp,
) -> Result<Commit> {
    let now = whole_micros(now);
    write(store, id, claim, |job| {
        if matches!(change, Change::Ended(_)) {
            // An end without its entry and its notice would be half of a settlement.
            return Err(LedgerError::Illegal(IllegalChange::of(change, job)));
        }
        Ok(change.apply(job, now)?)
    })
    .await
}

/// Needs the balance as it is, so here the user's document is compared too. That may collide
/// with any other writer of the account; the other moves of credits only add to it.
pub(super) async fn hold(
    store: &Store,
    id: &JobId,
    claim: &Claim,
    amount: Credits,
    now: Timestamp,
) -> Result<Held> {
    let now = whole_micros(now);
    let mut tries = Tries::default();
    loop {
        let Some(read) = load_held(store, id, claim).await? else {
            return Ok(Held::Lost);
        };
        let owner = &read.job.owner;
        let entry = CreditEntry::for_job(id, read.job.round, EntryKind::Hold, amount, now);
        let (user, _) = accounts::places(store, owner, &entry.id);
        let (account, entry) = tokio::try_join!(
            store.get(&user),
            accounts::fresh(store, owner, &entry, read.job.created_at)
        )?;
        let Some(account) = account else {
            return Ok(Held::NoAccount);
        };
        let Some(entry) = entry else {
            return Ok(Held::Done(Box::new(read.job)));
        };
        let available = documents::account(&account)?.credits;
        if available < i64::try_from(amount.0).unwrap_or(i64::MAX) {
            return Ok(Held::Insufficient { available });
        }
        let mut job = read.job.clone();
        job.hold(amount, now);
        let mut writes = accounts::moves(store, owner, &entry, Some(account.version))?;
        writes.push(read.to(&job)?);
        if store.commit(writes).await? == Committed::Done {
            return Ok(Held::Done(Box::new(job)));
        }
        tries.again().await?;
    }
}

pub(super) async fn settle(
    store: &Store,
    id: &JobId,
    claim: &Claim,
    settlement: &Settlement,
    now: Timestamp,
) -> Result<Settled> {
    let now = whole_micros(now);
    let end = Change::Ended(settlement.ending.clone());
    let mut tries = Tries::default();
    // The first try assumes that nothing is there yet; only a conflict makes us look.
    let mut known = Known::default();
    loop {
        let Some(read) = load_held(store, id, claim).await? else {
            return Ok(Settled::Lost);
        };
        let mut job = read.job.clone();
        end.apply(&mut job, now)?;
        let Some(notice) = Notification::terminal(&job, settlement.channel.clone(), now) else {
            return Err(LedgerError::Illegal(IllegalChange::of(&end, &job)));
        };
        if tries.begun() {
            known = Known::look(store, &job, settlement, &notice).await?;
        } else {
            known.entry.clone_from(&settlement.entry);
        }
        if known.no_account {
            return Ok(Settled::NoAccount);
        }
        let mut writes = vec![read.to(&job)?];
        if let Some(entry) = &known.entry {
            writes.extend(accounts::moves(store, &job.owner, entry, None)?);
        }
        if known.notice.is_none() {
            writes.push(outbox::create(store, &notice)?);
        }
        if store.commit(writes).await? == Committed::Done {
            return Ok(Settled::Done {
                job: Box::new(job),
                notification: Box::new(known.notice.unwrap_or(notice)),
            });
        }
        tries.again().await?;
    }
}

/// What of a settlement is there already.
#[derive(Debug, Default)]
struct Known {
    no_account: bool,
    /// The entry to write. One of its name means that these credits have moved: the round ends
    /// without moving them a second time.
    entry: Option<CreditEntry>,
    notice: Option<Notification>,
}

impl Known {
    async fn look(
        store: &Store,
        job: &Job,
        settlement: &Settlement,
        notice: &Notification,
    ) -> Result<Self> {
        let notice = outbox::load(store, &notice.id).await?;
        let Some(entry) = &settlement.entry else {
            return Ok(Self {
                notice,
                ..Self::default()
            });
        };
        let (user, _) = accounts::places(store, &job.owner, &entry.id);
        let (account, entry) = tokio::try_join!(
            store.has(&user),
            accounts::fresh(store, &job.owner, entry, job.created_at)
        )?;
        Ok(Self {
            no_account: !account,
            entry,
            notice,
        })
    }
}
