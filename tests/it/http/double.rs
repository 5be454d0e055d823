//! Stand-ins for what lies behind the routes, with faults on demand.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::HeaderMap;
use filmlab::clock::Timestamp;
use filmlab::http::Visits;
use filmlab::job::breaker::{Breaker, BreakerRules, Clearance, Turned, Verdict};
use filmlab::job::notice::DeliveryState;
use filmlab::job::round::NotRetried;
use filmlab::job::{
    Account, Change, Claim, CreditEntry, Credits, Failure, Job, JobId, Keeping, NewJob, Notice,
    Owner, Progress, Status,
};
use filmlab::ledger::limits::{Bound, Limited};
use filmlab::ledger::{
    Burial, Callback, CancelRequest, Claimed, Commit, Counts, Created, Deleted, Due, DueCursor,
    DueNotice, HoldOutcome, JobQuery, KeptSince, Ledger, LedgerError, Result, Retried, Settled,
    Settlement, Tally,
};
use filmlab::provider::{CallbackError, CallbackGate, Called, Signature};
use filmlab::queue::{Queue, QueueError, Scheduled, Task};
use filmlab::worker::{
    Cleaned, DeliveryOutcome, ProviderUse, Quote, QuoteError, QuoteRequest, Swept, Visit,
};
use jiff::civil::Date;
use url::Url;

/// Keeps what the routes write; the worker's own calls are never made by them.
#[derive(Debug, Default)]
pub(crate) struct MemoryLedger {
    /// Calls of `ping` and of `mark`.
    pub(crate) pings: AtomicU32,
    pub(crate) marks: AtomicU32,
    jobs: Mutex<BTreeMap<String, Job>>,
    keys: Mutex<HashMap<(Owner, String), (String, JobId)>>,
    callbacks: Mutex<Vec<(JobId, Callback)>>,
    pub(crate) notices: Mutex<Vec<Notice>>,
    /// The next retry happens, and its answer is lost.
    pub(crate) loses_retry: AtomicBool,
    /// Records read so far.
    pub(crate) reads: AtomicU32,
    pub(crate) down: AtomicBool,
    pub(crate) hangs: AtomicBool,
    /// Takes no new jobs.
    pub(crate) full: AtomicBool,
    /// Takes no more of anybody.
    pub(crate) limited: AtomicBool,
}

impl MemoryLedger {
    pub(crate) fn change(&self, id: &JobId, change: impl FnOnce(&mut Job)) {
        change(self.jobs.lock().unwrap().get_mut(id.as_str()).unwrap());
    }

    pub(crate) fn remove(&self, id: &JobId) {
        self.jobs.lock().unwrap().remove(id.as_str());
    }

    pub(crate) fn job(&self, id: &JobId) -> Job {
        self.jobs.lock().unwrap()[id.as_str()].clone()
    }

    /// The only job there is, once there is one.
    pub(crate) fn only(&self) -> Option<Job> {
        self.jobs.lock().unwrap().values().next().cloned()
    }

    pub(crate) fn all(&self) -> Vec<Job> {
        self.jobs.lock().unwrap().values().cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.jobs.lock().unwrap().len()
    }

    fn up(&self) -> Result<()> {
        if self.down.load(Ordering::SeqCst) {
            return Err(LedgerError::Unavailable("db-7.internal is down".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn create(&self, new: NewJob) -> Result<Created> {
        self.up()?;
        if self.full.load(Ordering::SeqCst) {
            return Err(LedgerError::Full { waiting: 7 });
        }
        if self.limited.load(Ordering::SeqCst) {
            return Err(LedgerError::Limited(Limited {
                owner: new.owner,
                bound: Bound::Jobs,
                most: 7,
                retry_after: Duration::from_secs(60),
            }));
        }
        let mut jobs = self.jobs.lock().unwrap();
        if let Some(asked) = &new.idempotency {
            let key = (new.owner.clone(), asked.key.clone());
            let mut keys = self.keys.lock().unwrap();
            if let Some((digest, id)) = keys.get(&key) {
                return Ok(if *digest == asked.request_sha256 {
                    Created::Existing(Box::new(jobs[id.as_str()].clone()))
                } else {
                    Created::KeyReused
                });
            }
            keys.insert(key, (asked.request_sha256.clone(), new.id.clone()));
        }
        let job = new.into_job();
        jobs.insert(job.id.to_string(), job.clone());
        Ok(Created::New(Box::new(job)))
    }

    async fn read(&self, id: &JobId) -> Result<Option<Job>> {
        self.up()?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        Ok(self.jobs.lock().unwrap().get(id.as_str()).cloned())
    }

    async fn list(&self, query: &JobQuery) -> Result<Vec<Job>> {
        self.up()?;
        let mut jobs: Vec<Job> = self.jobs.lock().unwrap().values().cloned().collect();
        jobs.sort_by_key(|job| std::cmp::Reverse((job.created_at, job.id.clone())));
        jobs.retain(|job| {
            query.admits(job)
                && query
                    .after
                    .as_ref()
                    .is_none_or(|after| (job.created_at, &job.id) < (after.created_at, &after.id))
        });
        jobs.truncate(query.limit as usize);
        self.reads.fetch_add(jobs.len() as u32, Ordering::SeqCst);
        Ok(jobs)
    }

    async fn beginning(
        &self,
        owner: Option<&Owner>,
        beginning: &str,
        limit: u32,
    ) -> Result<Vec<Job>> {
        self.up()?;
        let jobs = self.jobs.lock().unwrap();
        let fits = |job: &&Job| {
            job.id.as_str().starts_with(beginning) && owner.is_none_or(|owner| job.owner == *owner)
        };
        let mut found: Vec<Job> = jobs.values().filter(fits).cloned().collect();
        found.sort_by_key(|job| job.id.clone());
        found.truncate(limit as usize);
        self.reads.fetch_add(found.len() as u32, Ordering::SeqCst);
        Ok(found)
    }

    async fn request_cancel(&self, id: &JobId, _now: Timestamp) -> Result<CancelRequest> {
        self.up()?;
        let mut jobs = self.jobs.lock().unwrap();
        let Some(job) = jobs.get_mut(id.as_str()) else {
            return Ok(CancelRequest::NotFound);
        };
        if job.status.is_ended() {
            return Ok(CancelRequest::Ended(Box::new(job.clone())));
        }
        job.cancel_requested = true;
        Ok(CancelRequest::Noted(Box::new(job.clone())))
    }

    async fn retry(
        &self,
        id: &JobId,
        round: u32,
        now: Timestamp,
        deadline_at: Timestamp,
    ) -> Result<Retried> {
        self.up()?;
        let mut jobs = self.jobs.lock().unwrap();
        let job = jobs.get_mut(id.as_str()).unwrap();
        if job.round != round {
            return Ok(Retried::Begun(Box::new(job.clone())));
        }
        let retried = match job.retry(now, deadline_at) {
            Ok(()) => Retried::Done(Box::new(job.clone())),
            Err(NotRetried::NotEnded) => Retried::NotEnded(Box::new(job.clone())),
            Err(NotRetried::Completed) => Retried::Completed(Box::new(job.clone())),
        };
        if self.loses_retry.swap(false, Ordering::SeqCst) {
            return Err(LedgerError::Unknown("lost".into()));
        }
        Ok(retried)
    }

    async fn notices(&self, id: &JobId) -> Result<Vec<Notice>> {
        let notices = self.notices.lock().unwrap();
        let own = notices.iter().filter(|notice| notice.job == *id);
        Ok(own.cloned().collect())
    }

    async fn replay(&self, id: &str, now: Timestamp) -> Result<Option<Notice>> {
        let mut notices = self.notices.lock().unwrap();
        let found = notices.iter_mut().find(|notice| notice.id == id);
        Ok(found.map(|notice| {
            notice.replay(now);
            notice.clone()
        }))
    }

    async fn record_callback(&self, id: &JobId, callback: &Callback) -> Result<bool> {
        self.up()?;
        let mut callbacks = self.callbacks.lock().unwrap();
        let known = callbacks
            .iter()
            .any(|(job, other)| job == id && other.intent == callback.intent);
        if !known {
            callbacks.push((id.clone(), callback.clone()));
        }
        Ok(!known)
    }

    async fn callbacks(&self, id: &JobId) -> Result<Vec<Callback>> {
        let callbacks = self.callbacks.lock().unwrap();
        let own = callbacks.iter().filter(|(job, _)| job == id);
        Ok(own.map(|(_, callback)| callback.clone()).collect())
    }

    async fn ask_model(
        &self,
        _: &str,
        _: &JobId,
        _: Timestamp,
        _: &BreakerRules,
    ) -> Result<Clearance> {
        unreachable!("the worker's own")
    }

    async fn note_model(
        &self,
        _: &str,
        _: &JobId,
        _: Verdict,
        _: Timestamp,
        _: &BreakerRules,
    ) -> Result<Option<Turned>> {
        unreachable!("the worker's own")
    }

    async fn breaker(&self, _: &str) -> Result<Option<Breaker>> {
        unreachable!("the doctor's own")
    }

    async fn ping(&self) -> Result<()> {
        self.pings.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.up()
    }

    async fn count(&self, what: Tally, most: u32) -> Result<u32> {
        let jobs = self.jobs.lock().unwrap();
        let fits = |job: &&Job| match what {
            Tally::Queued => job.status == Status::Queued,
            Tally::Processing => job.status == Status::Processing,
            _ => false,
        };
        let number = jobs.values().filter(fits).count();
        Ok(u32::try_from(number).unwrap().min(most))
    }
    async fn counts(&self, owner: Option<&Owner>, from: Date, to: Date) -> Result<Counts> {
        let mut counts = Counts::default();
        for job in self.jobs.lock().unwrap().values() {
            if !job.status.is_ended() || owner.is_some_and(|owner| *owner != job.owner) {
                continue;
            }
            let moved = CreditEntry::for_job(
                &job.id,
                job.round,
                filmlab::job::EntryKind::Capture,
                job.credits.cost.unwrap_or_default(),
                job.updated_at,
            );
            let count = job.clone().count_end(Some(&moved), job.updated_at);
            counts.since = Some(counts.since.unwrap_or(count.day).min(count.day));
            for (model, sums) in count.models {
                let there = counts.days.entry((count.day, model)).or_default();
                for (name, number) in sums {
                    *there.entry(name).or_default() += number;
                }
            }
        }
        counts.days.retain(|(day, _), _| (from..=to).contains(day));
        Ok(counts)
    }
    async fn claim(&self, _: &JobId, _: &str, _: Timestamp, _: Duration) -> Result<Claimed> {
        unreachable!("the worker's own")
    }
    async fn renew(
        &self,
        _: &JobId,
        _: &Claim,
        _: Option<&Progress>,
        _: Timestamp,
        _: Duration,
    ) -> Result<Commit> {
        unreachable!("the worker's own")
    }
    async fn record(&self, _: &JobId, _: &Claim, _: &Change, _: Timestamp) -> Result<Commit> {
        unreachable!("the worker's own")
    }
    async fn hold(&self, _: &JobId, _: &Claim, _: Credits, _: Timestamp) -> Result<HoldOutcome> {
        unreachable!("the worker's own")
    }
    async fn settle(&self, _: &JobId, _: &Claim, _: &Settlement, _: Timestamp) -> Result<Settled> {
        unreachable!("the worker's own")
    }
    async fn due(&self, before: Timestamp, _: Option<&DueCursor>, limit: u32) -> Result<Vec<Due>> {
        let jobs = self.jobs.lock().unwrap();
        let mut due: Vec<Due> = jobs
            .values()
            .filter_map(|job| {
                Some(Due {
                    id: job.id.clone(),
                    seq: job.wake.seq,
                    at: job.next_visit_at.filter(|at| *at <= before)?,
                })
            })
            .collect();
        due.sort_by_key(|due| due.at);
        due.truncate(limit as usize);
        Ok(due)
    }
    async fn rewake(&self, _: &JobId, _: u64, _: Timestamp) -> Result<Option<u64>> {
        unreachable!("the worker's own")
    }
    async fn replan(&self, _: &JobId, _: u64) -> Result<Option<u64>> {
        unreachable!("the worker's own")
    }
    async fn delete(&self, _: &JobId, _: u32) -> Result<Deleted> {
        unreachable!("the worker's own")
    }
    async fn kept(
        &self,
        _: Keeping,
        _: Timestamp,
        _: Option<&KeptSince>,
        _: u32,
    ) -> Result<Vec<KeptSince>> {
        unreachable!("the worker's own")
    }
    async fn mark(&self, _: &str, _: Timestamp) -> Result<()> {
        self.marks.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.up()
    }
    async fn unmark(&self, _: &str) -> Result<()> {
        Ok(())
    }
    async fn marks(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    async fn unmark_old(&self, _: Timestamp) -> Result<()> {
        Ok(())
    }
    async fn forget(&self, _: &JobId, _: Keeping, _: u32, _: Timestamp) -> Result<bool> {
        unreachable!("the worker's own")
    }
    async fn bury(&self, _: &JobId, _: Timestamp, _: Duration) -> Result<Burial> {
        unreachable!("the worker's own")
    }
    async fn bury_notice(&self, _: &str, _: Timestamp, _: Duration) -> Result<Burial> {
        unreachable!("the worker's own")
    }
    async fn replan_notice(&self, _: &str, _: u32, _: Option<Timestamp>) -> Result<Option<Notice>> {
        unreachable!("the worker's own")
    }
    async fn notice(&self, _: &str) -> Result<Option<Notice>> {
        unreachable!("the worker's own")
    }
    async fn due_notices(
        &self,
        _: Timestamp,
        _: Option<&DueCursor>,
        _: u32,
    ) -> Result<Vec<DueNotice>> {
        unreachable!("the worker's own")
    }
    async fn record_delivery(
        &self,
        _: &str,
        _: DeliveryState,
        _: Option<Timestamp>,
        _: Option<&str>,
    ) -> Result<()> {
        unreachable!("the worker's own")
    }
    async fn account(&self, _: &Owner) -> Result<Option<Account>> {
        unreachable!("the worker's own")
    }
    async fn grant(&self, _: &Owner, _: &CreditEntry) -> Result<bool> {
        unreachable!("the worker's own")
    }
    async fn entries(&self, _: &Owner, _: u32) -> Result<Vec<CreditEntry>> {
        unreachable!("the worker's own")
    }
}

#[derive(Debug, Default)]
pub(crate) struct MemoryQueue {
    tasks: Mutex<Vec<(Task, Timestamp)>>,
    pub(crate) down: AtomicBool,
}

impl MemoryQueue {
    /// The names of what was planned since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut tasks = self.tasks.lock().unwrap();
        tasks.drain(..).map(|(task, _)| task.name()).collect()
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn schedule(
        &self,
        task: &Task,
        at: Timestamp,
    ) -> std::result::Result<Scheduled, QueueError> {
        self.ping().await?;
        self.tasks.lock().unwrap().push((task.clone(), at));
        Ok(Scheduled::Planned)
    }

    async fn ping(&self) -> std::result::Result<(), QueueError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(QueueError::Unavailable("queue-3.internal".into()));
        }
        Ok(())
    }
}

/// A worker whose visits give what was set, and, like the real one's, go on by themselves.
#[derive(Debug, Default)]
pub(crate) struct FakeWorker {
    pub(crate) outcome: Mutex<Option<Visit>>,
    pub(crate) outbox: Mutex<Option<DeliveryOutcome>>,
    pub(crate) visits: Mutex<Vec<(String, u64)>>,
    pub(crate) takes: Mutex<Duration>,
    pub(crate) finished: AtomicBool,
    pub(crate) draining: AtomicBool,
    pub(crate) sweep_fails: AtomicBool,
    pub(crate) cleaned: AtomicBool,
    pub(crate) provider_use: Mutex<Option<ProviderUse>>,
    /// What was to be deleted.
    pub(crate) deleted: Mutex<Vec<String>>,
    /// What deletions give; else they are done.
    pub(crate) deletion: Mutex<Option<std::result::Result<Deleted, Failure>>>,
    /// What was to be quoted, and what it is answered with.
    pub(crate) quoted: Mutex<Vec<QuoteRequest>>,
    pub(crate) quote: Mutex<Option<std::result::Result<Quote, QuoteError>>>,
}

#[async_trait]
impl Visits for FakeWorker {
    async fn visit(self: Arc<Self>, id: JobId, seq: u64) -> Visit {
        self.visits.lock().unwrap().push((id.to_string(), seq));
        let takes = *self.takes.lock().unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(takes).await;
            self.finished.store(true, Ordering::SeqCst);
            let outcome = self.outcome.lock().unwrap().clone();
            outcome.unwrap_or(Visit::Advanced)
        })
        .await
        .unwrap()
    }

    async fn deliver(self: Arc<Self>, id: String) -> DeliveryOutcome {
        self.visits.lock().unwrap().push((id, 0));
        let outcome = self.outbox.lock().unwrap().clone();
        outcome.unwrap_or(DeliveryOutcome::Delivered)
    }

    async fn sweep(self: Arc<Self>) -> Result<Swept> {
        if self.sweep_fails.load(Ordering::SeqCst) {
            return Err(LedgerError::Unavailable("down".into()));
        }
        Ok(Swept {
            jobs: 2,
            notifications: 1,
            ..Swept::default()
        })
    }

    async fn clean(self: Arc<Self>) -> Option<Cleaned> {
        // Once; the next call is too soon.
        (!self.cleaned.swap(true, Ordering::SeqCst)).then(|| Cleaned {
            results: 3,
            ..Cleaned::default()
        })
    }

    async fn delete(self: Arc<Self>, id: JobId) -> std::result::Result<Deleted, Failure> {
        self.deleted.lock().unwrap().push(id.to_string());
        let outcome = self.deletion.lock().unwrap().take();
        outcome.unwrap_or(Ok(Deleted::Done))
    }

    async fn quote(&self, asked: QuoteRequest) -> std::result::Result<Quote, QuoteError> {
        self.quoted.lock().unwrap().push(asked);
        self.quote.lock().unwrap().take().expect("an answer")
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn name(&self) -> &str {
        "w-this"
    }

    fn provider_use(&self) -> Option<ProviderUse> {
        *self.provider_use.lock().unwrap()
    }
}

/// Believes the token `good`; the body is the prediction's id.
#[derive(Debug)]
pub(crate) struct Callbacks;

impl CallbackGate for Callbacks {
    fn address(&self, _: &JobId, _: &str) -> Option<Url> {
        None
    }

    fn admits(&self, _: &JobId, _: &str, token: Option<&str>) -> bool {
        token == Some("good")
    }

    fn read(
        &self,
        job: &JobId,
        intent: &str,
        token: Option<&str>,
        headers: &HeaderMap,
        body: &[u8],
        _: Timestamp,
    ) -> std::result::Result<Called, CallbackError> {
        if !self.admits(job, intent, token) {
            return Err(CallbackError::Token);
        }
        if headers.contains_key("x-bad-signature") {
            return Err(CallbackError::Signature(Signature::Stale));
        }
        String::from_utf8(body.to_vec())
            .ok()
            .filter(|id| !id.is_empty())
            .map(|prediction_id| Called {
                prediction_id,
                signature: Signature::Whole,
            })
            .ok_or_else(|| CallbackError::Body("no id".into()))
    }
}
