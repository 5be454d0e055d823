//! A ledger in front of the real one that fails when it is told to, and outages on the tests'
//! clock.

use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use filmlab::clock::{Clock as _, ManualClock, Timestamp, later};
use filmlab::job::notification::DeliveryState;
use filmlab::job::{
    Account, Change, Claim, CreditEntry, Credits, Job, JobId, Keeping, NewJob, Notification, Owner,
    Progress,
};
use filmlab::ledger::{
    Burial, Callback, CancelRequest, Claimed, Commit, Created, Deleted, Due, DueNotice, DuePlace,
    Held, JobQuery, KeptSince, Ledger, LedgerError, Result, Retried, Settled, Settlement, Tally,
};

/// What is about to be done.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call<'a> {
    Record(&'a Change),
    /// Any other write of whoever holds the job, or the claim.
    Owner,
    Callback,
    Other,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// It is not done.
    Unavailable,
    /// It is done, and its answer is lost.
    Unknown,
}

fn unavailable() -> LedgerError {
    LedgerError::Unavailable("an outage".into())
}

type Rule = dyn Fn(Call<'_>) -> Trouble + Send + Sync;

pub(super) struct Troubled {
    inner: Arc<dyn Ledger>,
    rule: Box<Rule>,
}

impl Debug for Troubled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Troubled").finish_non_exhaustive()
    }
}

impl Troubled {
    pub(super) fn new(
        inner: Arc<dyn Ledger>,
        rule: impl Fn(Call<'_>) -> Trouble + Send + Sync + 'static,
    ) -> Arc<Self> {
        let rule = Box::new(rule);
        Arc::new(Self { inner, rule })
    }

    async fn through<T>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match (self.rule)(call) {
            Trouble::None => work.await,
            Trouble::Unavailable => Err(unavailable()),
            Trouble::Unknown => {
                work.await?;
                Err(LedgerError::Unknown("the answer was lost".into()))
            }
        }
    }

    async fn other<T>(&self, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.through(Call::Other, work).await
    }
}

#[async_trait]
impl Ledger for Troubled {
    async fn create(&self, new: NewJob) -> Result<Created> {
        self.other(self.inner.create(new)).await
    }
    async fn read(&self, id: &JobId) -> Result<Option<Job>> {
        self.other(self.inner.read(id)).await
    }
    async fn list(&self, query: &JobQuery) -> Result<Vec<Job>> {
        self.other(self.inner.list(query)).await
    }
    async fn count(&self, what: Tally, most: u32) -> Result<u32> {
        self.other(self.inner.count(what, most)).await
    }
    async fn claim(
        &self,
        id: &JobId,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Claimed> {
        self.through(Call::Owner, self.inner.claim(id, holder, now, ttl))
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
        self.through(Call::Owner, self.inner.renew(id, claim, progress, now, ttl))
            .await
    }
    async fn record(
        &self,
        id: &JobId,
        claim: &Claim,
        change: &Change,
        now: Timestamp,
    ) -> Result<Commit> {
        let work = self.inner.record(id, claim, change, now);
        self.through(Call::Record(change), work).await
    }
    async fn hold(
        &self,
        id: &JobId,
        claim: &Claim,
        amount: Credits,
        now: Timestamp,
    ) -> Result<Held> {
        self.through(Call::Owner, self.inner.hold(id, claim, amount, now))
            .await
    }
    async fn settle(
        &self,
        id: &JobId,
        claim: &Claim,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Settled> {
        let work = self.inner.settle(id, claim, settlement, now);
        self.through(Call::Owner, work).await
    }
    async fn due(
        &self,
        before: Timestamp,
        after: Option<&DuePlace>,
        limit: u32,
    ) -> Result<Vec<Due>> {
        self.other(self.inner.due(before, after, limit)).await
    }
    async fn rewake(&self, id: &JobId, seen: u64, now: Timestamp) -> Result<Option<u64>> {
        self.other(self.inner.rewake(id, seen, now)).await
    }
    async fn bury(&self, id: &JobId, now: Timestamp, patience: Duration) -> Result<Burial> {
        self.other(self.inner.bury(id, now, patience)).await
    }
    async fn bury_notice(&self, id: &str, now: Timestamp, patience: Duration) -> Result<Burial> {
        self.other(self.inner.bury_notice(id, now, patience)).await
    }
    async fn mark(&self, name: &str, now: Timestamp) -> Result<()> {
        self.other(self.inner.mark(name, now)).await
    }
    async fn unmark(&self, name: &str) -> Result<()> {
        self.other(self.inner.unmark(name)).await
    }
    async fn unmark_old(&self, before: Timestamp) -> Result<()> {
        self.other(self.inner.unmark_old(before)).await
    }
    async fn replan_notice(
        &self,
        id: &str,
        seen: u32,
        at: Option<Timestamp>,
    ) -> Result<Option<Notification>> {
        self.other(self.inner.replan_notice(id, seen, at)).await
    }
    async fn request_cancel(&self, id: &JobId, now: Timestamp) -> Result<CancelRequest> {
        self.other(self.inner.request_cancel(id, now)).await
    }
    async fn replan(&self, id: &JobId, seen: u64) -> Result<Option<u64>> {
        self.other(self.inner.replan(id, seen)).await
    }
    async fn retry(
        &self,
        id: &JobId,
        round: u32,
        now: Timestamp,
        deadline_at: Timestamp,
    ) -> Result<Retried> {
        self.other(self.inner.retry(id, round, now, deadline_at))
            .await
    }
    async fn delete(&self, id: &JobId, round: u32) -> Result<Deleted> {
        self.other(self.inner.delete(id, round)).await
    }
    async fn kept(
        &self,
        what: Keeping,
        before: Timestamp,
        after: Option<&KeptSince>,
        limit: u32,
    ) -> Result<Vec<KeptSince>> {
        self.other(self.inner.kept(what, before, after, limit))
            .await
    }
    async fn forget(&self, id: &JobId, what: Keeping, round: u32, now: Timestamp) -> Result<bool> {
        self.other(self.inner.forget(id, what, round, now)).await
    }
    async fn notifications(&self, id: &JobId) -> Result<Vec<Notification>> {
        self.other(self.inner.notifications(id)).await
    }
    async fn replay(&self, id: &str, now: Timestamp) -> Result<Option<Notification>> {
        self.other(self.inner.replay(id, now)).await
    }
    async fn record_callback(&self, id: &JobId, callback: &Callback) -> Result<bool> {
        self.through(Call::Callback, self.inner.record_callback(id, callback))
            .await
    }
    async fn callbacks(&self, id: &JobId) -> Result<Vec<Callback>> {
        self.other(self.inner.callbacks(id)).await
    }
    async fn notification(&self, id: &str) -> Result<Option<Notification>> {
        self.other(self.inner.notification(id)).await
    }
    async fn due_notifications(
        &self,
        before: Timestamp,
        after: Option<&DuePlace>,
        limit: u32,
    ) -> Result<Vec<DueNotice>> {
        self.other(self.inner.due_notifications(before, after, limit))
            .await
    }
    async fn record_delivery(
        &self,
        id: &str,
        state: DeliveryState,
        next_at: Option<Timestamp>,
        error: Option<&str>,
    ) -> Result<()> {
        self.other(self.inner.record_delivery(id, state, next_at, error))
            .await
    }
    async fn account(&self, owner: &Owner) -> Result<Option<Account>> {
        self.other(self.inner.account(owner)).await
    }
    async fn grant(&self, owner: &Owner, entry: &CreditEntry) -> Result<bool> {
        self.other(self.inner.grant(owner, entry)).await
    }
    async fn entries(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> {
        self.other(self.inner.entries(owner, limit)).await
    }
    async fn ping(&self) -> Result<()> {
        self.other(self.inner.ping()).await
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Before,
    Until(Timestamp),
    Over,
}

/// What a call waits for before it is given up; it passes on the tests' clock.
const CALL: Duration = Duration::from_secs(5);

/// One that begins with the nth call and lasts for a time on the tests' clock.
#[derive(Debug)]
pub(super) struct Outage {
    nth: u32,
    lasts: Duration,
    clock: ManualClock,
    calls: AtomicU32,
    phase: Mutex<Phase>,
}

impl Outage {
    pub(super) fn new(clock: &ManualClock, nth: u32, lasts: Duration) -> Arc<Self> {
        Arc::new(Self {
            nth,
            lasts,
            clock: clock.clone(),
            calls: AtomicU32::new(0),
            phase: Mutex::new(Phase::Before),
        })
    }

    /// Whether this call meets it.
    pub(super) fn strikes(&self) -> bool {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let mut phase = self.phase.lock().unwrap();
        if matches!(*phase, Phase::Before) && call >= self.nth {
            *phase = Phase::Until(later(self.clock.now(), self.lasts));
        }
        let Phase::Until(end) = *phase else {
            return false;
        };
        if self.clock.now() >= end {
            *phase = Phase::Over;
            return false;
        }
        self.clock.advance(CALL);
        true
    }

    /// Ends it; says whether it had begun.
    pub(super) fn end(&self) -> bool {
        let mut phase = self.phase.lock().unwrap();
        let begun = !matches!(*phase, Phase::Before);
        *phase = Phase::Over;
        begun
    }
}
