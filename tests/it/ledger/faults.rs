//! A ledger whose answers get lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use filmlab::job::notification::DeliveryState;
use filmlab::job::{
    Account, Change, Claim, CreditEntry, Credits, Job, JobId, Keeping, NewJob, Notification, Owner,
    Progress, Timestamp,
};
use filmlab::ledger::{
    Burial, Callback, CancelRequest, Claimed, Commit, Created, Deleted, Due, DueNotice, DuePlace,
    Held, JobQuery, KeptSince, Ledger, LedgerError, Result, Retried, Settled, Settlement, Tally,
};

/// On which side of the lost answer the commit was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    CommitsThenErrs,
    ErrsInstead,
}

/// Loses the answer of its `nth` write, counted from 1. Reads always work.
#[derive(Debug)]
pub(crate) struct LosesAnswer {
    pub(crate) inner: Arc<dyn Ledger>,
    fault: Fault,
    left: AtomicU32,
    /// Planning anew fails for records whose id begins so.
    refuses: Option<&'static str>,
}

impl LosesAnswer {
    /// One that loses nothing, and plans no record anew whose id begins with `prefix`.
    pub(crate) fn refusing(inner: Arc<dyn Ledger>, prefix: &'static str) -> Self {
        Self {
            refuses: Some(prefix),
            ..Self::new(inner, Fault::ErrsInstead, 0)
        }
    }

    fn plans(&self, id: &str) -> Result<()> {
        match self.refuses {
            Some(prefix) if id.starts_with(prefix) => {
                Err(LedgerError::Unavailable("not this one".into()))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn new(inner: Arc<dyn Ledger>, fault: Fault, nth: u32) -> Self {
        Self {
            inner,
            fault,
            left: AtomicU32::new(nth),
            refuses: None,
        }
    }

    /// Whether the answer was lost by now.
    pub(crate) fn is_spent(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    async fn write<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match (before, self.fault) {
            (Ok(1), Fault::CommitsThenErrs) => {
                call.await?;
                Err(LedgerError::Unknown("the answer was lost".into()))
            }
            (Ok(1), Fault::ErrsInstead) => Err(LedgerError::Unknown("the request was lost".into())),
            _ => call.await,
        }
    }
}

#[async_trait]
#[rustfmt::skip]
impl Ledger for LosesAnswer {
    async fn create(&self, new: NewJob) -> Result<Created> { self.write(self.inner.create(new)).await }
    async fn read(&self, id: &JobId) -> Result<Option<Job>> { self.inner.read(id).await }
    async fn list(&self, query: &JobQuery) -> Result<Vec<Job>> { self.inner.list(query).await }
    async fn count(&self, what: Tally, most: u32) -> Result<u32> { self.inner.count(what, most).await }
    async fn claim(&self, id: &JobId, holder: &str, now: Timestamp, ttl: Duration) -> Result<Claimed> {
        self.write(self.inner.claim(id, holder, now, ttl)).await
    }
    async fn renew(&self, id: &JobId, claim: &Claim, progress: Option<&Progress>, now: Timestamp, ttl: Duration) -> Result<Commit> {
        self.write(self.inner.renew(id, claim, progress, now, ttl)).await
    }
    async fn record(&self, id: &JobId, claim: &Claim, change: &Change, now: Timestamp) -> Result<Commit> {
        self.write(self.inner.record(id, claim, change, now)).await
    }
    async fn hold(&self, id: &JobId, claim: &Claim, amount: Credits, now: Timestamp) -> Result<Held> {
        self.write(self.inner.hold(id, claim, amount, now)).await
    }
    async fn settle(&self, id: &JobId, claim: &Claim, settlement: &Settlement, now: Timestamp) -> Result<Settled> {
        self.write(self.inner.settle(id, claim, settlement, now)).await
    }
    async fn due(&self, before: Timestamp, after: Option<&DuePlace>, limit: u32) -> Result<Vec<Due>> {
        self.inner.due(before, after, limit).await
    }
    async fn rewake(&self, id: &JobId, seen: u64, now: Timestamp) -> Result<Option<u64>> {
        self.plans(id.as_str())?;
        self.write(self.inner.rewake(id, seen, now)).await
    }
    async fn bury(&self, id: &JobId, now: Timestamp, patience: Duration) -> Result<Burial> {
        self.write(self.inner.bury(id, now, patience)).await
    }
    async fn bury_notice(&self, id: &str, now: Timestamp, patience: Duration) -> Result<Burial> {
        self.write(self.inner.bury_notice(id, now, patience)).await
    }
    async fn request_cancel(&self, id: &JobId, now: Timestamp) -> Result<CancelRequest> {
        self.write(self.inner.request_cancel(id, now)).await
    }
    async fn replan(&self, id: &JobId, seen: u64) -> Result<Option<u64>> { self.write(self.inner.replan(id, seen)).await }
    async fn retry(&self, id: &JobId, round: u32, now: Timestamp, deadline_at: Timestamp) -> Result<Retried> {
        self.write(self.inner.retry(id, round, now, deadline_at)).await
    }
    async fn delete(&self, id: &JobId, round: u32) -> Result<Deleted> { self.write(self.inner.delete(id, round)).await }
    async fn kept(&self, what: Keeping, before: Timestamp, after: Option<&KeptSince>, limit: u32) -> Result<Vec<KeptSince>> {
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
        self.write(self.inner.forget(id, what, round, now)).await
    }
    async fn notifications(&self, id: &JobId) -> Result<Vec<Notification>> { self.inner.notifications(id).await }
    async fn replay(&self, id: &str, now: Timestamp) -> Result<Option<Notification>> { self.write(self.inner.replay(id, now)).await }
    async fn record_callback(&self, id: &JobId, callback: &Callback) -> Result<bool> {
        self.write(self.inner.record_callback(id, callback)).await
    }
    async fn callbacks(&self, id: &JobId) -> Result<Vec<Callback>> { self.inner.callbacks(id).await }
    async fn notification(&self, id: &str) -> Result<Option<Notification>> { self.inner.notification(id).await }
    async fn due_notifications(&self, before: Timestamp, after: Option<&DuePlace>, limit: u32) -> Result<Vec<DueNotice>> {
        self.inner.due_notifications(before, after, limit).await
    }
    async fn replan_notice(&self, id: &str, seen: u32, at: Option<Timestamp>) -> Result<Option<Notification>> {
        self.plans(id)?;
        self.write(self.inner.replan_notice(id, seen, at)).await
    }
    async fn record_delivery(&self, id: &str, state: DeliveryState, next_at: Option<Timestamp>, error: Option<&str>) -> Result<()> {
        self.write(self.inner.record_delivery(id, state, next_at, error)).await
    }
    async fn account(&self, owner: &Owner) -> Result<Option<Account>> { self.inner.account(owner).await }
    async fn grant(&self, owner: &Owner, entry: &CreditEntry) -> Result<bool> { self.write(self.inner.grant(owner, entry)).await }
    async fn entries(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> { self.inner.entries(owner, limit).await }
    async fn ping(&self) -> Result<()> { self.inner.ping().await }
}
