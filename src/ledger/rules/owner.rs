//! The writes of whoever holds the lease, and the claim that makes them so.
//!
//! Each reads the job, decides, and writes on the condition that nobody wrote since. Where
//! somebody did, it reads again: the same fence means that a foreign field changed, and the
//! change is made anew on what is there now; another fence means that the job was lost.

use std::time::Duration;

use super::super::backend::{Backend, Balance, Committed, Loaded, Write};
use super::super::{Claimed, Commit, HoldOutcome, LedgerError, Result, Settled, Settlement};
use super::accounts;
use super::limits;
use super::tries::Tries;
use crate::clock::whole_micros;
use crate::job::lease::Unclaimable;
use crate::job::{
    Change, Claim, CreditEntry, Credits, EntryKind, IllegalChange, Job, JobId, Notice, Progress,
    Timestamp,
};

/// A job that is still this claim's.
struct Leased<S> {
    before: Loaded<Box<Job>, S>,
    /// As this process saw it last. A write on it proves or refutes that; what is decided on it
    /// without a write is to be decided again on what is there.
    is_remembered: bool,
}

/// The job, if it is still this claim's: as this process saw it last, and as it is where that is
/// not known or says that the job was lost. Only another claim makes it one of a newer revision.
async fn leased<B: Backend>(
    backend: &B,
    id: &JobId,
    claim: &Claim,
) -> Result<Option<Leased<B::Seen>>> {
    let known = backend
        .last_seen(id)
        .filter(|known| claim.holds(&known.record));
    if let Some(before) = known {
        let is_remembered = true;
        return Ok(Some(Leased {
            before,
            is_remembered,
        }));
    }
    let found = match backend.job(id).await {
        Err(LedgerError::Newer { .. }) => return Ok(None),
        found => found?.filter(|loaded| claim.holds(&loaded.record)),
    };
    Ok(found.map(|before| Leased {
        before,
        is_remembered: false,
    }))
}

pub(super) async fn claim<B: Backend>(
    backend: &B,
    id: &JobId,
    holder: &str,
    now: Timestamp,
    ttl: Duration,
) -> Result<Claimed> {
    let now = whole_micros(now);
    let mut tries = Tries::default();
    // Whoever claims has looked at the job a moment ago. What says that it cannot be claimed is
    // not believed without another look.
    let can_be = |known: &Loaded<Box<Job>, B::Seen>| {
        let job = &known.record;
        !job.status.is_ended() && !job.lease.is_live(now)
    };
    let mut known = backend.last_seen(id).filter(can_be);
    loop {
        let found = match known.take() {
            Some(known) => Some(known),
            None => backend.job(id).await?,
        };
        let Some(before) = found else {
            return Ok(Claimed::NotFound);
        };
        let mut after = before.record.clone();
        let beside = match after.died_beside(now) {
            Some(process) => backend.did_native_work(process, now).await?,
            None => false,
        };
        match after.claim(holder, now, ttl, beside) {
            Ok(claim) => {
                let job = after.clone();
                if changed(backend, before, after).await? {
                    return Ok(Claimed::Taken { claim, job });
                }
            }
            Err(Unclaimable::Ended) => return Ok(Claimed::Ended),
            Err(Unclaimable::Leased { until }) => return Ok(Claimed::Leased { until }),
        }
        tries.again().await?;
    }
}

/// Whether the job could be written.
pub(super) async fn changed<B: Backend>(
    backend: &B,
    before: Loaded<Box<Job>, B::Seen>,
    after: Box<Job>,
) -> Result<bool> {
    let write = Write::ChangeJob { before, after };
    Ok(backend.commit(vec![write]).await? == Committed::Done)
}

/// One write of the job alone.
async fn write<B: Backend>(
    backend: &B,
    id: &JobId,
    claim: &Claim,
    edit: impl Fn(&mut Job) -> Result<()> + Send,
) -> Result<Commit> {
    let mut tries = Tries::default();
    loop {
        let Some(leased) = leased(backend, id, claim).await? else {
            return Ok(Commit::Lost);
        };
        let before = leased.before;
        let mut job = before.record.clone();
        match edit(&mut job) {
            Err(_) if leased.is_remembered => continue,
            edited => edited?,
        }
        if changed(backend, before, job.clone()).await? {
            return Ok(Commit::Done(job));
        }
        tries.again().await?;
    }
}

pub(super) async fn renew<B: Backend>(
    backend: &B,
    id: &JobId,
    claim: &Claim,
    progress: Option<&Progress>,
    now: Timestamp,
    ttl: Duration,
) -> Result<Commit> {
    let now = whole_micros(now);
    write(backend, id, claim, |job| {
        job.renew(progress, now, ttl);
        Ok(())
    })
    .await
}

pub(super) async fn record<B: Backend>(
    backend: &B,
    id: &JobId,
    claim: &Claim,
    change: &Change,
    now: Timestamp,
) -> Result<Commit> {
    let now = whole_micros(now);
    write(backend, id, claim, |job| {
        if matches!(change, Change::Ended(_)) {
            // An end without its entry and its notice would be half of a settlement.
            return Err(LedgerError::Illegal(IllegalChange::of(change, job)));
        }
        Ok(change.apply(job, now)?)
    })
    .await
}

/// Needs the balance as it is, so here the account is compared too. That may collide with any
/// other writer of the account; the other moves of credits only add to it.
pub(super) async fn hold<B: Backend>(
    backend: &B,
    id: &JobId,
    claim: &Claim,
    amount: Credits,
    now: Timestamp,
) -> Result<HoldOutcome> {
    let now = whole_micros(now);
    let mut tries = Tries::default();
    loop {
        let Some(leased) = leased(backend, id, claim).await? else {
            return Ok(HoldOutcome::Lost);
        };
        let before = leased.before;
        let owner = before.record.owner.clone();
        let entry = CreditEntry::for_job(id, before.record.round, EntryKind::Hold, amount, now);
        let Some(account) = backend.account_of(&owner).await? else {
            return Ok(HoldOutcome::NoAccount);
        };
        let available = account.record.credits;
        let is_short = available < i64::try_from(amount.0).unwrap_or(i64::MAX);
        // The first try assumes that the entry is not there yet. What it is to be refused for may
        // be its own doing.
        let may_be_refused = is_short || backend.limit_of(&owner).credits_a_day.is_some();
        let entry = if tries.begun() || may_be_refused {
            accounts::fresh(backend, &owner, &entry, before.record.created_at).await?
        } else {
            Some(entry)
        };
        let Some(entry) = entry else {
            if leased.is_remembered {
                continue;
            }
            return Ok(HoldOutcome::Done(before.record));
        };
        if is_short {
            return Ok(HoldOutcome::Insufficient { available });
        }
        // After the account: an entry that is written meanwhile changes that too.
        match limits::spend(backend, &owner, amount.0, now).await {
            Err(LedgerError::Limited(refused)) => {
                return Ok(HoldOutcome::OverADay { most: refused.most });
            }
            fits => fits?,
        }
        let mut job = before.record.clone();
        job.hold(amount, now);
        let on = Balance::As(account.seen);
        let after = job.clone();
        let writes = vec![
            Write::Move { owner, entry, on },
            Write::ChangeJob { before, after },
        ];
        if backend.commit(writes).await? == Committed::Done {
            return Ok(HoldOutcome::Done(job));
        }
        tries.again().await?;
    }
}

pub(super) async fn settle<B: Backend>(
    backend: &B,
    id: &JobId,
    claim: &Claim,
    settlement: &Settlement,
    now: Timestamp,
) -> Result<Settled> {
    let now = whole_micros(now);
    let end = Change::Ended(settlement.ending.clone());
    let mut tries = Tries::default();
    loop {
        let Some(leased) = leased(backend, id, claim).await? else {
            return Ok(Settled::Lost);
        };
        let before = leased.before;
        let mut job = before.record.clone();
        match end.apply(&mut job, now) {
            Err(_) if leased.is_remembered => continue,
            ended => ended?,
        }
        let Some(notice) = Notice::terminal(&job, settlement.channel.clone(), now) else {
            return Err(LedgerError::Illegal(IllegalChange::of(&end, &job)));
        };
        let notice = Box::new(notice);
        // The first try assumes that nothing is there yet; only a conflict makes us look.
        let known = if tries.begun() {
            Known::look(backend, &job, settlement, &notice).await?
        } else {
            Known::nothing(settlement)
        };
        if known.no_account {
            return Ok(Settled::NoAccount);
        }
        let count = Write::Count {
            job: job.id.clone(),
            owner: Some(job.owner.clone()),
            count: job.count_end(known.entry.as_ref(), now),
        };
        let after = job.clone();
        let mut writes = vec![Write::ChangeJob { before, after }, count];
        writes.extend(known.entry.map(|entry| Write::Move {
            owner: job.owner.clone(),
            entry,
            on: Balance::There,
        }));
        if known.notice.is_none() {
            writes.push(Write::CreateNotice(notice.clone()));
        }
        if backend.commit(writes).await? == Committed::Done {
            let notice = known.notice.unwrap_or(notice);
            return Ok(Settled::Done { job, notice });
        }
        tries.again().await?;
    }
}

/// What of a settlement is there already.
struct Known {
    no_account: bool,
    /// The entry to write. One of its name means that these credits have moved: the round ends
    /// without moving them a second time.
    entry: Option<CreditEntry>,
    notice: Option<Box<Notice>>,
}

impl Known {
    fn nothing(settlement: &Settlement) -> Self {
        Self {
            no_account: false,
            entry: settlement.entry.clone(),
            notice: None,
        }
    }

    async fn look<B: Backend>(
        backend: &B,
        job: &Job,
        settlement: &Settlement,
        notice: &Notice,
    ) -> Result<Self> {
        let notice = backend.notice(&notice.id).await?;
        let known = Self {
            notice: notice.map(|loaded| loaded.record),
            ..Self::nothing(settlement)
        };
        let Some(entry) = &settlement.entry else {
            return Ok(known);
        };
        let (account, entry) = tokio::try_join!(
            backend.account_of(&job.owner),
            accounts::fresh(backend, &job.owner, entry, job.created_at)
        )?;
        Ok(Self {
            no_account: account.is_none(),
            entry,
            ..known
        })
    }
}
