//! A ledger in front of another: every call goes through one place, which may do it, not do it,
//! or lose its answer.

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use filmlab::job::breaker::{Breaker, BreakerRules, Clearance, Turned, Verdict};
use filmlab::job::notice::DeliveryState;
use filmlab::job::{
    Account, Change, Claim, CreditEntry, Credits, Job, JobId, Keeping, NewJob, Notice, Owner,
    Progress, Timestamp,
};
use filmlab::ledger::{
    Burial, Callback, CancelRequest, Claimed, Commit, Counts, Created, Deleted, Due, DueCursor,
    DueNotice, HoldOutcome, JobQuery, KeptSince, Ledger, Result, Retried, Settled, Settlement,
    Tally,
};
use jiff::civil::Date;

/// What is about to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call<'a> {
    Record(&'a JobId, &'a Change),
    /// Any other write of whoever holds the job, or the claim.
    Owner(Owned, &'a JobId),
    Callback,
    /// A record is given a fresh wake-up.
    Plan(&'a str),
    /// A write of anybody's.
    Write,
    /// Nothing that a job or a notice shows is written.
    Read,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owned {
    Claim,
    Renew,
    Hold,
    Settle,
}

/// What happens to the calls.
pub(crate) trait Front: Debug + Send + Sync {
    fn around<T: Send>(
        &self,
        inner: &dyn Ledger,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send;
}

/// The ledger with its front.
#[derive(Debug)]
pub(crate) struct Fronted<F> {
    pub(crate) inner: Arc<dyn Ledger>,
    front: F,
}

impl<F> Fronted<F> {
    pub(crate) fn over(inner: Arc<dyn Ledger>, front: F) -> Self {
        Self { inner, front }
    }
}

impl<F> Deref for Fronted<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.front
    }
}

impl<F: Front> Fronted<F> {
    async fn go<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.front.around(&*self.inner, call, work).await
    }
}

#[async_trait]
#[rustfmt::skip]
impl<F: Front> Ledger for Fronted<F> {
    async fn create(&self, new: NewJob) -> Result<Created> { self.go(Call::Write, self.inner.create(new)).await }
    async fn read(&self, id: &JobId) -> Result<Option<Job>> { self.go(Call::Read, self.inner.read(id)).await }
    async fn list(&self, query: &JobQuery) -> Result<Vec<Job>> { self.go(Call::Read, self.inner.list(query)).await }
    async fn beginning(&self, owner: Option<&Owner>, beginning: &str, limit: u32) -> Result<Vec<Job>> {
        self.go(Call::Read, self.inner.beginning(owner, beginning, limit)).await
    }
    async fn count(&self, what: Tally, most: u32) -> Result<u32> { self.go(Call::Read, self.inner.count(what, most)).await }
    async fn counts(&self, owner: Option<&Owner>, from: Date, to: Date) -> Result<Counts> { self.go(Call::Read, self.inner.counts(owner, from, to)).await }
    async fn claim(&self, id: &JobId, holder: &str, now: Timestamp, ttl: Duration) -> Result<Claimed> {
        self.go(Call::Owner(Owned::Claim, id), self.inner.claim(id, holder, now, ttl)).await
    }
    async fn renew(&self, id: &JobId, claim: &Claim, progress: Option<&Progress>, now: Timestamp, ttl: Duration) -> Result<Commit> {
        self.go(Call::Owner(Owned::Renew, id), self.inner.renew(id, claim, progress, now, ttl)).await
    }
    async fn record(&self, id: &JobId, claim: &Claim, change: &Change, now: Timestamp) -> Result<Commit> {
        self.go(Call::Record(id, change), self.inner.record(id, claim, change, now)).await
    }
    async fn hold(&self, id: &JobId, claim: &Claim, amount: Credits, now: Timestamp) -> Result<HoldOutcome> {
        self.go(Call::Owner(Owned::Hold, id), self.inner.hold(id, claim, amount, now)).await
    }
    async fn settle(&self, id: &JobId, claim: &Claim, settlement: &Settlement, now: Timestamp) -> Result<Settled> {
        self.go(Call::Owner(Owned::Settle, id), self.inner.settle(id, claim, settlement, now)).await
    }
    async fn due(&self, before: Timestamp, after: Option<&DueCursor>, limit: u32) -> Result<Vec<Due>> {
        self.go(Call::Read, self.inner.due(before, after, limit)).await
    }
    async fn rewake(&self, id: &JobId, seen: u64, now: Timestamp) -> Result<Option<u64>> {
        self.go(Call::Plan(id.as_str()), self.inner.rewake(id, seen, now)).await
    }
    async fn bury(&self, id: &JobId, now: Timestamp, patience: Duration) -> Result<Burial> {
        self.go(Call::Write, self.inner.bury(id, now, patience)).await
    }
    async fn bury_notice(&self, id: &str, now: Timestamp, patience: Duration) -> Result<Burial> {
        self.go(Call::Write, self.inner.bury_notice(id, now, patience)).await
    }
    async fn mark(&self, name: &str, now: Timestamp) -> Result<()> { self.go(Call::Read, self.inner.mark(name, now)).await }
    async fn unmark(&self, name: &str) -> Result<()> { self.go(Call::Read, self.inner.unmark(name)).await }
    async fn marks(&self) -> Result<Vec<String>> { self.go(Call::Read, self.inner.marks()).await }
    async fn unmark_old(&self, before: Timestamp) -> Result<()> { self.go(Call::Read, self.inner.unmark_old(before)).await }
    async fn request_cancel(&self, id: &JobId, now: Timestamp) -> Result<CancelRequest> {
        self.go(Call::Write, self.inner.request_cancel(id, now)).await
    }
    async fn replan(&self, id: &JobId, seen: u64) -> Result<Option<u64>> { self.go(Call::Write, self.inner.replan(id, seen)).await }
    async fn retry(&self, id: &JobId, round: u32, now: Timestamp, deadline_at: Timestamp) -> Result<Retried> {
        self.go(Call::Write, self.inner.retry(id, round, now, deadline_at)).await
    }
    async fn delete(&self, id: &JobId, round: u32) -> Result<Deleted> { self.go(Call::Write, self.inner.delete(id, round)).await }
    async fn kept(&self, what: Keeping, before: Timestamp, after: Option<&KeptSince>, limit: u32) -> Result<Vec<KeptSince>> {
        self.go(Call::Read, self.inner.kept(what, before, after, limit)).await
    }
    async fn forget(&self, id: &JobId, what: Keeping, round: u32, now: Timestamp) -> Result<bool> {
        self.go(Call::Write, self.inner.forget(id, what, round, now)).await
    }
    async fn notices(&self, id: &JobId) -> Result<Vec<Notice>> { self.go(Call::Read, self.inner.notices(id)).await }
    async fn replay(&self, id: &str, now: Timestamp) -> Result<Option<Notice>> { self.go(Call::Write, self.inner.replay(id, now)).await }
    async fn record_callback(&self, id: &JobId, callback: &Callback) -> Result<bool> {
        self.go(Call::Callback, self.inner.record_callback(id, callback)).await
    }
    async fn callbacks(&self, id: &JobId) -> Result<Vec<Callback>> { self.go(Call::Read, self.inner.callbacks(id)).await }
    async fn notice(&self, id: &str) -> Result<Option<Notice>> { self.go(Call::Read, self.inner.notice(id)).await }
    async fn due_notices(&self, before: Timestamp, after: Option<&DueCursor>, limit: u32) -> Result<Vec<DueNotice>> {
        self.go(Call::Read, self.inner.due_notices(before, after, limit)).await
    }
    async fn replan_notice(&self, id: &str, seen: u32, at: Option<Timestamp>) -> Result<Option<Notice>> {
        self.go(Call::Plan(id), self.inner.replan_notice(id, seen, at)).await
    }
    async fn record_delivery(&self, id: &str, state: DeliveryState, next_at: Option<Timestamp>, error: Option<&str>) -> Result<()> {
        self.go(Call::Write, self.inner.record_delivery(id, state, next_at, error)).await
    }
    async fn account(&self, owner: &Owner) -> Result<Option<Account>> { self.go(Call::Read, self.inner.account(owner)).await }
    async fn grant(&self, owner: &Owner, entry: &CreditEntry) -> Result<bool> { self.go(Call::Write, self.inner.grant(owner, entry)).await }
    async fn entries(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> { self.go(Call::Read, self.inner.entries(owner, limit)).await }
    async fn ask_model(&self, model: &str, job: &JobId, now: Timestamp, rules: &BreakerRules) -> Result<Clearance> {
        self.go(Call::Write, self.inner.ask_model(model, job, now, rules)).await
    }
    async fn note_model(&self, model: &str, job: &JobId, verdict: Verdict, now: Timestamp, rules: &BreakerRules) -> Result<Option<Turned>> {
        self.go(Call::Write, self.inner.note_model(model, job, verdict, now, rules)).await
    }
    async fn breaker(&self, model: &str) -> Result<Option<Breaker>> { self.go(Call::Read, self.inner.breaker(model)).await }
    async fn ping(&self) -> Result<()> { self.go(Call::Read, self.inner.ping()).await }
}
