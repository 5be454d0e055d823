//! A ledger whose answers get lost, or that is away again and again, behind whoever uses it with
//! care: asks again where nothing was done, reads where that is not known, and so gets the answers
//! of a ledger that is always there. What the contract promises holds there too.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use filmlab::clock::{ManualClock, Timestamp};
use filmlab::job::breaker::{Breaker, BreakerRules, Clearance, Turned, Verdict};
use filmlab::job::notice::{DeliveryState, Event};
use filmlab::job::{
    Account, Change, Claim, CreditEntry, Credits, Job, JobId, Keeping, NewJob, Notice, Owner,
    Progress,
};
use filmlab::ledger::{
    Burial, Callback, CancelRequest, Claimed, Commit, Counts, Created, Deleted, Due, DueCursor,
    DueNotice, HoldOutcome, JobQuery, KeptSince, Ledger, LedgerError, Result, Retried, Settled,
    Settlement, Tally,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::civil::Date;

use super::bench::{Bench, World, at};
use crate::support::outage::Outage;

/// Loses every second answer of a write: once after the commit, once before it, in turn.
pub(crate) struct Losing<B>(pub(crate) B);
/// Is out for [`OUT`] from every [`EVERY`]th call on.
pub(crate) struct Away<B>(pub(crate) B);

const EVERY: u32 = 3;
/// Three calls of five seconds are in vain.
const OUT: Duration = Duration::from_secs(12);

#[async_trait]
impl<B: Bench> Bench for Losing<B> {
    fn is_there(&self) -> bool {
        self.0.is_there()
    }

    async fn fresh(&self) -> World {
        behind(self.0.fresh().await, Trouble::Loses(AtomicU32::new(0)))
    }
}

#[async_trait]
impl<B: Bench> Bench for Away<B> {
    fn is_there(&self) -> bool {
        self.0.is_there()
    }

    async fn fresh(&self) -> World {
        let clock = ManualClock::at(at(0));
        let outage = Mutex::new(Outage::new(&clock, EVERY, OUT));
        behind(self.0.fresh().await, Trouble::Out { clock, outage })
    }
}

/// That world, its ledger behind the trouble and the caller who minds it.
fn behind(world: World, trouble: Trouble) -> World {
    World {
        ledger: Arc::new(Careful(world.ledger, trouble, Turns::default())),
        others: world.others,
    }
}

#[derive(Debug)]
enum Trouble {
    Loses(AtomicU32),
    Out {
        clock: ManualClock,
        outage: Mutex<Arc<Outage>>,
    },
}

/// What becomes of a call.
#[derive(PartialEq)]
enum Fate {
    Answered,
    /// It does not reach the ledger, which the caller is told, or not.
    Refused,
    RequestLost,
    AnswerLost,
}

impl Trouble {
    fn of_a_write(&self) -> Fate {
        match self {
            Self::Loses(calls) => match calls.fetch_add(1, Ordering::SeqCst) % 4 {
                0 => Fate::AnswerLost,
                2 => Fate::RequestLost,
                _ => Fate::Answered,
            },
            Self::Out { .. } => self.of_a_read(),
        }
    }

    fn of_a_read(&self) -> Fate {
        let Self::Out { clock, outage } = self else {
            return Fate::Answered;
        };
        let mut outage = outage.lock().unwrap();
        if outage.strikes() {
            return Fate::Refused;
        }
        if outage.is_over() {
            *outage = Outage::new(clock, EVERY, OUT);
        }
        Fate::Answered
    }
}

/// Calls that write take turns: of two that do the same at the same time, nobody can tell by reading
/// whose was done. The contract without trouble has them at once.
type Turns = tokio::sync::Mutex<()>;

type Answer<'a, T> = BoxFuture<'a, Result<T>>;

#[derive(Debug)]
struct Careful(Arc<dyn Ledger>, Trouble, Turns);

impl Careful {
    /// Nothing is changed: asked until it is answered.
    async fn read<'a, T>(&'a self, call: impl Fn() -> Answer<'a, T> + Send + Sync) -> Result<T> {
        while self.1.of_a_read() == Fate::Refused {}
        call().await
    }

    /// `wrote` says whether an answer tells of a write; only of those is it lost behind the commit.
    /// `found` reads what became of a call without an answer: `None` where nothing was written.
    async fn write<'a, T: Send>(
        &'a self,
        call: impl Fn() -> Answer<'a, T> + Send + Sync,
        wrote: impl Fn(&T) -> bool + Send + Sync,
        found: impl Fn() -> Answer<'a, Option<T>> + Send + Sync,
    ) -> Result<T> {
        loop {
            let answer = match self.1.of_a_write() {
                Fate::Refused => continue,
                Fate::RequestLost => Err(LedgerError::Unknown("the request was lost".into())),
                Fate::Answered => call().await,
                Fate::AnswerLost => match call().await {
                    Ok(answer) if wrote(&answer) => {
                        Err(LedgerError::Unknown("the answer was lost".into()))
                    }
                    answer => answer,
                },
            };
            match answer {
                Err(LedgerError::Unknown(_)) => {
                    if let Some(answer) = found().await? {
                        return Ok(answer);
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Whatever became of it, doing it again is the same.
    async fn repeat<'a, T: Send + 'a>(
        &'a self,
        call: impl Fn() -> Answer<'a, T> + Send + Sync,
    ) -> Result<T> {
        self.write(call, |_| true, || async { Ok(None) }.boxed())
            .await
    }

    /// Doing it again is harmless and answers otherwise: no answer is lost behind the commit here.
    async fn once<'a, T: Send + 'a>(
        &'a self,
        call: impl Fn() -> Answer<'a, T> + Send + Sync,
    ) -> Result<T> {
        self.write(call, |_| false, || async { Ok(None) }.boxed())
            .await
    }

    async fn job(&self, id: &JobId) -> Result<Option<Job>> {
        self.read(|| self.0.read(id)).await
    }

    /// The job, where what `is_new` compares with the job before says that the call was done.
    async fn moved(
        &self,
        before: Option<&Job>,
        id: &JobId,
        is_new: impl Fn(&Job, &Job) -> bool + Send,
    ) -> Result<Option<Box<Job>>> {
        let Some(before) = before else {
            return Ok(None);
        };
        let now = self.job(id).await?;
        Ok(now.filter(|now| is_new(before, now)).map(Box::new))
    }

    /// The job before the call; one that cannot be read is told by the call itself.
    async fn before(&self, id: &JobId) -> Option<Job> {
        self.job(id).await.ok().flatten()
    }

    async fn has(&self, owner: &Owner, entry: &CreditEntry) -> Result<bool> {
        let entries = self.entries(owner, 100).await?;
        Ok(entries.iter().any(|one| one.id == entry.id))
    }

    async fn notice_before(&self, id: &str) -> Option<Notice> {
        let read = self.read(|| self.0.notice(id)).await;
        read.ok().flatten()
    }
}

/// A write of whoever holds the job raises its revision, and nobody else's does meanwhile.
fn is_written(claim: &Claim) -> impl Fn(&Job, &Job) -> bool {
    move |before, now| now.lease.fence == claim.fence && now.revision > before.revision
}

#[async_trait]
#[rustfmt::skip]
impl Ledger for Careful {
    async fn create(&self, new: NewJob) -> Result<Created> {
        let _turn = self.2.lock().await;
        let id = &new.id;
        let was_there = self.before(id).await.is_some();
        let found = || async move { Ok(self.job(id).await?.filter(|_| !was_there).map(|job| Created::New(Box::new(job)))) }.boxed();
        self.write(|| self.0.create(new.clone()), |done| matches!(done, Created::New(_)), found).await
    }
    async fn read(&self, id: &JobId) -> Result<Option<Job>> { self.job(id).await }
    async fn list(&self, query: &JobQuery) -> Result<Vec<Job>> { self.read(|| self.0.list(query)).await }
    async fn beginning(&self, owner: Option<&Owner>, beginning: &str, limit: u32) -> Result<Vec<Job>> {
        self.read(|| self.0.beginning(owner, beginning, limit)).await
    }
    async fn count(&self, what: Tally, most: u32) -> Result<u32> { self.read(|| self.0.count(what, most)).await }
    async fn counts(&self, owner: Option<&Owner>, from: Date, to: Date) -> Result<Counts> {
        self.read(|| self.0.counts(owner, from, to)).await
    }
    async fn claim(&self, id: &JobId, holder: &str, now: Timestamp, ttl: Duration) -> Result<Claimed> {
        let _turn = self.2.lock().await;
        let before = &self.before(id).await;
        let found = || async move {
            let is_ours = |before: &Job, now: &Job| now.lease.holder.as_deref() == Some(holder) && now.lease.fence > before.lease.fence;
            Ok(self.moved(before.as_ref(), id, is_ours).await?.map(|job| {
                let claim = Claim { holder: holder.to_owned(), fence: job.lease.fence };
                Claimed::Taken { claim, job }
            }))
        }.boxed();
        self.write(|| self.0.claim(id, holder, now, ttl), |done| matches!(done, Claimed::Taken { .. }), found).await
    }
    async fn renew(&self, id: &JobId, claim: &Claim, progress: Option<&Progress>, now: Timestamp, ttl: Duration) -> Result<Commit> {
        let _turn = self.2.lock().await;
        let before = &self.before(id).await;
        let found = || async move { Ok(self.moved(before.as_ref(), id, is_written(claim)).await?.map(Commit::Done)) }.boxed();
        self.write(|| self.0.renew(id, claim, progress, now, ttl), |done| matches!(done, Commit::Done(_)), found).await
    }
    async fn record(&self, id: &JobId, claim: &Claim, change: &Change, now: Timestamp) -> Result<Commit> {
        let _turn = self.2.lock().await;
        let before = &self.before(id).await;
        let found = || async move { Ok(self.moved(before.as_ref(), id, is_written(claim)).await?.map(Commit::Done)) }.boxed();
        self.write(|| self.0.record(id, claim, change, now), |done| matches!(done, Commit::Done(_)), found).await
    }
    async fn hold(&self, id: &JobId, claim: &Claim, amount: Credits, now: Timestamp) -> Result<HoldOutcome> {
        self.repeat(|| self.0.hold(id, claim, amount, now)).await
    }
    async fn settle(&self, id: &JobId, claim: &Claim, settlement: &Settlement, now: Timestamp) -> Result<Settled> {
        let _turn = self.2.lock().await;
        let before = &self.before(id).await;
        let found = || async move {
            let is_over = |before: &Job, now: &Job| !before.status.is_ended() && now.status.is_ended();
            let Some(job) = self.moved(before.as_ref(), id, is_over).await? else { return Ok(None) };
            let event = Event::of(job.status).unwrap();
            let notice = format!("{id}:{}:{}", job.round, event.as_str());
            let notice = Box::new(self.notice(&notice).await?.unwrap());
            Ok(Some(Settled::Done { job, notice }))
        }.boxed();
        self.write(|| self.0.settle(id, claim, settlement, now), |done| matches!(done, Settled::Done { .. }), found).await
    }
    async fn due(&self, before: Timestamp, after: Option<&DueCursor>, limit: u32) -> Result<Vec<Due>> {
        self.read(|| self.0.due(before, after, limit)).await
    }
    async fn rewake(&self, id: &JobId, seen: u64, now: Timestamp) -> Result<Option<u64>> {
        let _turn = self.2.lock().await;
        let before = &self.before(id).await;
        let found = || async move { Ok(self.moved(before.as_ref(), id, |before, now| now.wake.seq > before.wake.seq).await?.map(|job| Some(job.wake.seq))) }.boxed();
        self.write(|| self.0.rewake(id, seen, now), Option::is_some, found).await
    }
    async fn replan(&self, id: &JobId, seen: u64) -> Result<Option<u64>> {
        let _turn = self.2.lock().await;
        let before = &self.before(id).await;
        let found = || async move { Ok(self.moved(before.as_ref(), id, |before, now| now.wake.seq > before.wake.seq).await?.map(|job| Some(job.wake.seq))) }.boxed();
        self.write(|| self.0.replan(id, seen), Option::is_some, found).await
    }
    async fn bury(&self, id: &JobId, now: Timestamp, patience: Duration) -> Result<Burial> {
        self.once(|| self.0.bury(id, now, patience)).await
    }
    async fn bury_notice(&self, id: &str, now: Timestamp, patience: Duration) -> Result<Burial> {
        self.once(|| self.0.bury_notice(id, now, patience)).await
    }
    async fn mark(&self, name: &str, now: Timestamp) -> Result<()> { self.repeat(|| self.0.mark(name, now)).await }
    async fn unmark(&self, name: &str) -> Result<()> { self.repeat(|| self.0.unmark(name)).await }
    async fn marks(&self) -> Result<Vec<String>> { self.read(|| self.0.marks()).await }
    async fn unmark_old(&self, before: Timestamp) -> Result<()> { self.repeat(|| self.0.unmark_old(before)).await }
    async fn request_cancel(&self, id: &JobId, now: Timestamp) -> Result<CancelRequest> {
        self.repeat(|| self.0.request_cancel(id, now)).await
    }
    async fn retry(&self, id: &JobId, round: u32, now: Timestamp, deadline_at: Timestamp) -> Result<Retried> {
        let _turn = self.2.lock().await;
        let before = &self.before(id).await;
        let found = || async move { Ok(self.moved(before.as_ref(), id, |before, now| now.round > before.round).await?.map(Retried::Done)) }.boxed();
        self.write(|| self.0.retry(id, round, now, deadline_at), |done| matches!(done, Retried::Done(_)), found).await
    }
    async fn delete(&self, id: &JobId, round: u32) -> Result<Deleted> {
        let _turn = self.2.lock().await;
        let was_there = self.before(id).await.is_some();
        let found = || async move { Ok((was_there && self.job(id).await?.is_none()).then_some(Deleted::Done)) }.boxed();
        self.write(|| self.0.delete(id, round), |done| *done == Deleted::Done, found).await
    }
    async fn kept(&self, what: Keeping, before: Timestamp, after: Option<&KeptSince>, limit: u32) -> Result<Vec<KeptSince>> {
        self.read(|| self.0.kept(what, before, after, limit)).await
    }
    async fn forget(&self, id: &JobId, what: Keeping, round: u32, now: Timestamp) -> Result<bool> {
        self.once(|| self.0.forget(id, what, round, now)).await
    }
    async fn notices(&self, id: &JobId) -> Result<Vec<Notice>> { self.read(|| self.0.notices(id)).await }
    async fn replay(&self, id: &str, now: Timestamp) -> Result<Option<Notice>> {
        let _turn = self.2.lock().await;
        let before = self.notice_before(id).await.map(|notice| notice.replays);
        let found = || async move { Ok(self.notice(id).await?.filter(|now| Some(now.replays) > before).map(Some)) }.boxed();
        self.write(|| self.0.replay(id, now), Option::is_some, found).await
    }
    async fn record_callback(&self, id: &JobId, callback: &Callback) -> Result<bool> {
        let _turn = self.2.lock().await;
        let was_there = self.callbacks(id).await?.contains(callback);
        let found = || async move { Ok((!was_there && self.callbacks(id).await?.contains(callback)).then_some(true)) }.boxed();
        self.write(|| self.0.record_callback(id, callback), |done| *done, found).await
    }
    async fn callbacks(&self, id: &JobId) -> Result<Vec<Callback>> { self.read(|| self.0.callbacks(id)).await }
    async fn notice(&self, id: &str) -> Result<Option<Notice>> { self.read(|| self.0.notice(id)).await }
    async fn due_notices(&self, before: Timestamp, after: Option<&DueCursor>, limit: u32) -> Result<Vec<DueNotice>> {
        self.read(|| self.0.due_notices(before, after, limit)).await
    }
    async fn replan_notice(&self, id: &str, seen: u32, at: Option<Timestamp>) -> Result<Option<Notice>> {
        let _turn = self.2.lock().await;
        let before = self.notice_before(id).await.map(|notice| notice.wake);
        let found = || async move { Ok(self.notice(id).await?.filter(|now| Some(now.wake) > before).map(Some)) }.boxed();
        self.write(|| self.0.replan_notice(id, seen, at), Option::is_some, found).await
    }
    async fn record_delivery(&self, id: &str, state: DeliveryState, next_at: Option<Timestamp>, error: Option<&str>) -> Result<()> {
        let _turn = self.2.lock().await;
        let before = self.notice_before(id).await.map(|notice| notice.deliveries);
        let found = || async move { Ok(self.notice(id).await?.filter(|now| Some(now.deliveries) > before).map(|_| ())) }.boxed();
        self.write(|| self.0.record_delivery(id, state, next_at, error), |()| true, found).await
    }
    async fn account(&self, owner: &Owner) -> Result<Option<Account>> { self.read(|| self.0.account(owner)).await }
    async fn grant(&self, owner: &Owner, entry: &CreditEntry) -> Result<bool> {
        let _turn = self.2.lock().await;
        let was_there = self.has(owner, entry).await?;
        let found = || async move { Ok((!was_there && self.has(owner, entry).await?).then_some(true)) }.boxed();
        self.write(|| self.0.grant(owner, entry), |done| *done, found).await
    }
    async fn entries(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> { self.read(|| self.0.entries(owner, limit)).await }
    async fn ask_model(&self, model: &str, job: &JobId, now: Timestamp, rules: &BreakerRules) -> Result<Clearance> {
        self.repeat(|| self.0.ask_model(model, job, now, rules)).await
    }
    async fn note_model(&self, model: &str, job: &JobId, verdict: Verdict, now: Timestamp, rules: &BreakerRules) -> Result<Option<Turned>> {
        self.once(|| self.0.note_model(model, job, verdict, now, rules)).await
    }
    async fn breaker(&self, model: &str) -> Result<Option<Breaker>> { self.read(|| self.0.breaker(model)).await }
    async fn last_written(&self) -> Result<Option<Timestamp>> { self.read(|| self.0.last_written()).await }
    async fn ping(&self) -> Result<()> { self.read(|| self.0.ping()).await }
}
