//! The rules of the ledger, above whatever database keeps the records.
//!
//! Each one that writes has the same shape: read what it needs, decide, commit on the condition
//! that what was read is still so, and begin anew where it is not. What a job may become is said
//! by [`Job`] itself.

mod accounts;
mod breakers;
mod burial;
mod creation;
mod limits;
pub(super) mod outbox;
mod owner;
mod planning;
mod rounds;
mod tries;

use std::time::Duration;

use async_trait::async_trait;
use jiff::civil::Date;

use super::backend::{Backend, Record};
use super::{
    Burial, Callback, CancelRequest, Claimed, Commit, Counts, Created, Deleted, Due, DueCursor,
    DueNotice, HoldOutcome, JobQuery, KeptSince, Ledger, Result, Retried, Settled, Settlement,
    Tally,
};
use crate::job::breaker::{Breaker, BreakerRules, Clearance, Turned, Verdict};
use crate::job::{
    Account, Change, Claim, CreditEntry, Credits, Job, JobId, Keeping, NewJob, Notice, Owner,
    Progress, Timestamp, notice::DeliveryState,
};

#[async_trait]
impl<B: Backend> Ledger for B {
    async fn create(&self, new: NewJob) -> Result<Created> {
        creation::create(self, new).await
    }

    async fn read(&self, id: &JobId) -> Result<Option<Job>> {
        Ok(self.job(id).await?.map(|loaded| *loaded.record))
    }

    async fn beginning(
        &self,
        owner: Option<&Owner>,
        beginning: &str,
        limit: u32,
    ) -> Result<Vec<Job>> {
        self.jobs_beginning(owner, beginning, limit).await
    }

    async fn list(&self, query: &JobQuery) -> Result<Vec<Job>> {
        self.jobs(query).await
    }

    async fn count(&self, what: Tally, most: u32) -> Result<u32> {
        self.tally(what, most).await
    }

    async fn counts(&self, owner: Option<&Owner>, from: Date, to: Date) -> Result<Counts> {
        self.counts_of(owner, from, to).await
    }

    async fn claim(
        &self,
        id: &JobId,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Claimed> {
        owner::claim(self, id, holder, now, ttl).await
    }

    async fn renew(
        &self,
        id: &JobId,
        claim: &Claim,
        progress: Option<&Progress>,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Commit> {
        owner::renew(self, id, claim, progress, now, ttl).await
    }

    async fn record(
        &self,
        id: &JobId,
        claim: &Claim,
        change: &Change,
        now: Timestamp,
    ) -> Result<Commit> {
        owner::record(self, id, claim, change, now).await
    }

    async fn hold(
        &self,
        id: &JobId,
        claim: &Claim,
        amount: Credits,
        now: Timestamp,
    ) -> Result<HoldOutcome> {
        owner::hold(self, id, claim, amount, now).await
    }

    async fn settle(
        &self,
        id: &JobId,
        claim: &Claim,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Settled> {
        owner::settle(self, id, claim, settlement, now).await
    }

    async fn due(
        &self,
        before: Timestamp,
        after: Option<&DueCursor>,
        limit: u32,
    ) -> Result<Vec<Due>> {
        self.jobs_due(before, after, limit).await
    }

    async fn rewake(&self, id: &JobId, seen: u64, now: Timestamp) -> Result<Option<u64>> {
        planning::rewake(self, id, seen, now).await
    }

    async fn replan(&self, id: &JobId, seen: u64) -> Result<Option<u64>> {
        planning::replan(self, id, seen).await
    }

    async fn bury(&self, id: &JobId, now: Timestamp, patience: Duration) -> Result<Burial> {
        burial::bury(self, &Record::Job(id.clone()), now, patience).await
    }

    async fn bury_notice(&self, id: &str, now: Timestamp, patience: Duration) -> Result<Burial> {
        burial::bury(self, &Record::Notice(id.to_owned()), now, patience).await
    }

    async fn request_cancel(&self, id: &JobId, now: Timestamp) -> Result<CancelRequest> {
        creation::request_cancel(self, id, now).await
    }

    async fn retry(
        &self,
        id: &JobId,
        round: u32,
        now: Timestamp,
        deadline_at: Timestamp,
    ) -> Result<Retried> {
        rounds::retry(self, id, round, now, deadline_at).await
    }

    async fn delete(&self, id: &JobId, round: u32) -> Result<Deleted> {
        rounds::delete(self, id, round).await
    }

    async fn kept(
        &self,
        what: Keeping,
        before: Timestamp,
        after: Option<&KeptSince>,
        limit: u32,
    ) -> Result<Vec<KeptSince>> {
        self.jobs_kept(what, before, after, limit).await
    }

    async fn forget(&self, id: &JobId, what: Keeping, round: u32, now: Timestamp) -> Result<bool> {
        rounds::forget(self, id, what, round, now).await
    }

    async fn record_callback(&self, id: &JobId, callback: &Callback) -> Result<bool> {
        creation::record_callback(self, id, callback).await
    }

    async fn callbacks(&self, id: &JobId) -> Result<Vec<Callback>> {
        self.callbacks_of(id).await
    }

    async fn notice(&self, id: &str) -> Result<Option<Notice>> {
        Ok(self.notice(id).await?.map(|loaded| *loaded.record))
    }

    async fn notices(&self, id: &JobId) -> Result<Vec<Notice>> {
        outbox::of_job(self, id).await
    }

    async fn replay(&self, id: &str, now: Timestamp) -> Result<Option<Notice>> {
        outbox::replay(self, id, now).await
    }

    async fn due_notices(
        &self,
        before: Timestamp,
        after: Option<&DueCursor>,
        limit: u32,
    ) -> Result<Vec<DueNotice>> {
        self.notices_due(before, after, limit).await
    }

    async fn replan_notice(
        &self,
        id: &str,
        seen: u32,
        at: Option<Timestamp>,
    ) -> Result<Option<Notice>> {
        outbox::replan(self, id, seen, at).await
    }

    async fn record_delivery(
        &self,
        id: &str,
        state: DeliveryState,
        next_at: Option<Timestamp>,
        error: Option<&str>,
    ) -> Result<()> {
        outbox::record_delivery(self, id, state, next_at, error).await
    }

    async fn account(&self, owner: &Owner) -> Result<Option<Account>> {
        Ok(self.account_of(owner).await?.map(|loaded| loaded.record))
    }

    async fn grant(&self, owner: &Owner, entry: &CreditEntry) -> Result<bool> {
        accounts::grant(self, owner, entry).await
    }

    async fn entries(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> {
        self.entries_on(owner, limit).await
    }

    async fn ask_model(
        &self,
        model: &str,
        job: &JobId,
        now: Timestamp,
        rules: &BreakerRules,
    ) -> Result<Clearance> {
        breakers::ask(self, model, job, now, rules).await
    }

    async fn note_model(
        &self,
        model: &str,
        job: &JobId,
        verdict: Verdict,
        now: Timestamp,
        rules: &BreakerRules,
    ) -> Result<Option<Turned>> {
        breakers::note(self, model, job, verdict, now, rules).await
    }

    async fn breaker(&self, model: &str) -> Result<Option<Breaker>> {
        let known = breakers::load(self, model).await?;
        Ok(known.and_then(|known| known.record))
    }

    async fn last_written(&self) -> Result<Option<Timestamp>> {
        self.newest_write().await
    }

    async fn mark(&self, name: &str, now: Timestamp) -> Result<()> {
        self.write_mark(name, now).await
    }

    async fn unmark(&self, name: &str) -> Result<()> {
        self.remove_mark(name).await
    }

    async fn marks(&self) -> Result<Vec<String>> {
        self.mark_names().await
    }

    async fn unmark_old(&self, before: Timestamp) -> Result<()> {
        self.remove_marks(before).await
    }

    async fn ping(&self) -> Result<()> {
        self.answers().await
    }
}
