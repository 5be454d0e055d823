//! A worker that dies between or inside any two stages, and another that goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use filmlab::clock::{Clock as _, ManualClock};
use filmlab::job::notification::DeliveryState;
use filmlab::job::{
    Account, Change, Claim, CreditEntry, Credits, Job, JobId, Keeping, NewJob, Notification, Owner,
    Progress, Timestamp,
};
use filmlab::ledger::{
    Burial, Callback, CancelRequest, Claimed, Commit, Created, Deleted, Due, DueNotice, DuePlace,
    Held, JobQuery, KeptSince, Ledger, LedgerError, Result, Retried, Settled, Settlement, Tally,
};
use tokio::sync::Notify;

use super::bench::Bench;

/// What happens around the nth owner write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Moment {
    /// The process dies just before the write reaches the ledger.
    Before,
    /// The process dies just after.
    After,
    /// Somebody asks for cancellation just before; the process lives.
    Cancelled,
    /// The job's deadline passes just after; the process lives.
    Late,
    /// Leases are not renewed; all other writes are.
    Unrenewed,
    /// A renewal is never answered; all other writes are.
    Unanswered,
}

/// The time of those requests; nobody looks at it.
const JUST_NOW: &str = "2026-11-23T12:00:00Z";

/// A ledger in front of the real one, through which the nth owner write is the last thing a
/// process does: from there on nothing answers it any more.
#[derive(Debug)]
pub(super) struct Fatal {
    inner: Arc<dyn Ledger>,
    nth: u32,
    moment: Moment,
    pub(super) writes: AtomicU32,
    /// Renewals that failed.
    pub(super) renewals: AtomicU32,
    pub(super) dead: Notify,
    clock: ManualClock,
}

impl Fatal {
    pub(super) fn new(bench: &Bench, nth: u32, moment: Moment) -> Arc<Self> {
        let ledger = Arc::clone(&bench.ledger) as _;
        Self::over(ledger, bench.clock.clone(), nth, moment)
    }

    pub(super) fn over(
        inner: Arc<dyn Ledger>,
        clock: ManualClock,
        nth: u32,
        moment: Moment,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner,
            clock,
            nth,
            moment,
            writes: AtomicU32::new(0),
            renewals: AtomicU32::new(0),
            dead: Notify::new(),
        })
    }

    async fn through<T>(&self, id: &JobId, write: impl Future<Output = Result<T>>) -> Result<T> {
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if self.moment == Moment::Cancelled {
            if number == self.nth {
                self.inner
                    .request_cancel(id, JUST_NOW.parse().unwrap())
                    .await?;
            }
            return write.await;
        }
        if matches!(
            self.moment,
            Moment::Late | Moment::Unrenewed | Moment::Unanswered
        ) {
            let answer = write.await?;
            if self.moment == Moment::Late
                && number == self.nth
                && let Some(job) = self.inner.read(id).await?
            {
                self.clock.advance_to(job.deadline_at);
            }
            return Ok(answer);
        }
        if number > self.nth || (number == self.nth && self.moment == Moment::Before) {
            self.die().await;
        }
        let answer = write.await;
        if number == self.nth {
            self.die().await;
        }
        answer
    }

    async fn die(&self) {
        self.dead.notify_one();
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl Ledger for Fatal {
    async fn create(&self, new: NewJob) -> Result<Created> {
        self.inner.create(new).await
    }
    async fn read(&self, id: &JobId) -> Result<Option<Job>> {
        self.inner.read(id).await
    }
    async fn list(&self, query: &JobQuery) -> Result<Vec<Job>> {
        self.inner.list(query).await
    }
    async fn count(&self, what: Tally, most: u32) -> Result<u32> {
        self.inner.count(what, most).await
    }
    async fn claim(
        &self,
        id: &JobId,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Claimed> {
        self.through(id, self.inner.claim(id, holder, now, ttl))
            .await
    }
    async fn renew(
        &self,
        id: &JobId,
        claim: &Claim,
        progress: Option<&Progress>,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Commit> {
        if self.moment == Moment::Unanswered {
            self.renewals.fetch_add(1, Ordering::SeqCst);
            return std::future::pending().await;
        }
        if self.moment == Moment::Unrenewed {
            self.renewals.fetch_add(1, Ordering::SeqCst);
            return Err(LedgerError::Unavailable("not now".into()));
        }
        self.inner.renew(id, claim, progress, now, ttl).await
    }
    async fn record(
        &self,
        id: &JobId,
        claim: &Claim,
        change: &Change,
        now: Timestamp,
    ) -> Result<Commit> {
        self.through(id, self.inner.record(id, claim, change, now))
            .await
    }
    async fn hold(
        &self,
        id: &JobId,
        claim: &Claim,
        amount: Credits,
        now: Timestamp,
    ) -> Result<Held> {
        self.through(id, self.inner.hold(id, claim, amount, now))
            .await
    }
    async fn settle(
        &self,
        id: &JobId,
        claim: &Claim,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Settled> {
        self.through(id, self.inner.settle(id, claim, settlement, now))
            .await
    }
    async fn due(
        &self,
        before: Timestamp,
        after: Option<&DuePlace>,
        limit: u32,
    ) -> Result<Vec<Due>> {
        self.inner.due(before, after, limit).await
    }
    async fn rewake(&self, id: &JobId, seen: u64, now: Timestamp) -> Result<Option<u64>> {
        self.inner.rewake(id, seen, now).await
    }
    async fn bury(&self, id: &JobId, now: Timestamp, patience: Duration) -> Result<Burial> {
        self.inner.bury(id, now, patience).await
    }
    async fn bury_notice(&self, id: &str, now: Timestamp, patience: Duration) -> Result<Burial> {
        self.inner.bury_notice(id, now, patience).await
    }
    async fn request_cancel(&self, id: &JobId, now: Timestamp) -> Result<CancelRequest> {
        self.inner.request_cancel(id, now).await
    }
    async fn replan(&self, id: &JobId, seen: u64) -> Result<Option<u64>> {
        self.inner.replan(id, seen).await
    }
    async fn retry(
        &self,
        id: &JobId,
        round: u32,
        now: Timestamp,
        deadline_at: Timestamp,
    ) -> Result<Retried> {
        self.inner.retry(id, round, now, deadline_at).await
    }
    async fn delete(&self, id: &JobId, round: u32) -> Result<Deleted> {
        self.inner.delete(id, round).await
    }
    async fn kept(
        &self,
        what: Keeping,
        before: Timestamp,
        after: Option<&KeptSince>,
        limit: u32,
    ) -> Result<Vec<KeptSince>> {
        self.inner.kept(what, before, after, limit).await
    }
    async fn mark(&self, name: &str, now: Timestamp) -> Result<()> {
        self.inner.mark(name, now).await
    }
    async fn unmark(&self, name: &str) -> Result<()> {
        self.inner.unmark(name).await
    }
    async fn unmark_old(&self, before: Timestamp) -> Result<()> {
        self.inner.unmark_old(before).await
    }
    async fn forget(&self, id: &JobId, what: Keeping, round: u32, now: Timestamp) -> Result<bool> {
        self.inner.forget(id, what, round, now).await
    }
    async fn notifications(&self, id: &JobId) -> Result<Vec<Notification>> {
        self.inner.notifications(id).await
    }
    async fn replay(&self, id: &str, now: Timestamp) -> Result<Option<Notification>> {
        self.inner.replay(id, now).await
    }
    async fn record_callback(&self, id: &JobId, callback: &Callback) -> Result<bool> {
        self.inner.record_callback(id, callback).await
    }
    async fn callbacks(&self, id: &JobId) -> Result<Vec<Callback>> {
        self.inner.callbacks(id).await
    }
    async fn notification(&self, id: &str) -> Result<Option<Notification>> {
        self.inner.notification(id).await
    }
    async fn due_notifications(
        &self,
        before: Timestamp,
        after: Option<&DuePlace>,
        limit: u32,
    ) -> Result<Vec<DueNotice>> {
        self.inner.due_notifications(before, after, limit).await
    }
    async fn replan_notice(
        &self,
        id: &str,
        seen: u32,
        at: Option<Timestamp>,
    ) -> Result<Option<Notification>> {
        self.inner.replan_notice(id, seen, at).await
    }
    async fn record_delivery(
        &self,
        id: &str,
        state: DeliveryState,
        next_at: Option<Timestamp>,
        error: Option<&str>,
    ) -> Result<()> {
        self.inner.record_delivery(id, state, next_at, error).await
    }
    async fn account(&self, owner: &Owner) -> Result<Option<Account>> {
        self.inner.account(owner).await
    }
    async fn grant(&self, owner: &Owner, entry: &CreditEntry) -> Result<bool> {
        self.inner.grant(owner, entry).await
    }
    async fn entries(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> {
        self.inner.entries(owner, limit).await
    }
    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}

/// Lets a worker run until its nth owner write kills it, then another go on. Gives whether the
/// first one died at all.
async fn die_and_go_on(nth: u32, moment: Moment) -> Option<bool> {
    let bench = Bench::new().await?;
    let id = bench.create("j").await;
    let fatal = Fatal::new(&bench, nth, moment);
    let first = bench.worker_over(Arc::clone(&fatal) as _);
    let died = tokio::select! {
        () = fatal.dead.notified() => true,
        _ = bench.drive(&first, &id) => false,
    };
    call_back(&bench, &id).await;
    bench.clock.advance(Duration::from_secs(61));
    let second = bench.worker();
    let job = bench.drive(&second, &id).await;
    second.clean().await;
    // Also after a death between the provider's acceptance and the record of it: its callback
    // proves the submission.
    bench.assert_completed_once(&job).await;
    Some(died)
}

/// What the provider does when it has accepted: the address names job and intent.
pub(super) async fn call_back(bench: &Bench, id: &JobId) {
    let submissions = bench.studio.submissions.lock().unwrap().clone();
    let Some(submission) = submissions.last() else {
        return;
    };
    let address = submission.callback.as_ref().unwrap();
    let callback = Callback {
        intent: address
            .path_segments()
            .unwrap()
            .next_back()
            .unwrap()
            .to_owned(),
        prediction_id: format!("p{}", submissions.len()),
        received_at: bench.clock.now(),
    };
    bench.ledger.record_callback(id, &callback).await.unwrap();
}

async fn at_every_write(moment: Moment) {
    let mut deaths = 0;
    for nth in 1..60 {
        match die_and_go_on(nth, moment).await {
            None => return,
            Some(true) => deaths += 1,
            Some(false) => break,
        }
    }
    // claim, inputs, hold, intent, submission, output, fetched, processed, settled: at least.
    assert!(deaths >= 9, "only {deaths} deaths");
}

#[tokio::test]
async fn a_worker_may_die_before_any_write() {
    at_every_write(Moment::Before).await;
}

#[tokio::test]
async fn a_worker_may_die_after_any_write() {
    at_every_write(Moment::After).await;
}
