//! The one writer of a visit: stages and heartbeat go through it, one write at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::Services;
use super::halt::Halt;
use super::patience::Patience;
use super::stop::{Stop, StopReason};
use crate::job::{Change, Claim, Credits, Job, JobId, Notice, Progress};
use crate::ledger::{Commit, HoldOutcome, LedgerError, Settled, Settlement};

#[derive(Debug)]
pub(super) struct Writer<'a> {
    services: &'a Services,
    id: JobId,
    claim: Claim,
    job: Mutex<Job>,
    stop: Stop,
    /// When the lease was last kept, on the monotonic clock.
    kept: SyncMutex<Instant>,
    /// Progress that waits for the next heartbeat.
    progress: SyncMutex<Option<Progress>>,
    /// Changes that go along with the next write.
    waiting: SyncMutex<Vec<Change>>,
    /// Whether a renewal was begun and not seen to its end: it may have been written.
    unsure: AtomicBool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(services: &'a Services, claim: Claim, job: Job, stop: Stop) -> Self {
        Self {
            services,
            id: job.id.clone(),
            claim,
            job: Mutex::new(job),
            stop,
            kept: SyncMutex::new(Instant::now()),
            progress: SyncMutex::new(None),
            waiting: SyncMutex::default(),
            unsure: AtomicBool::new(false),
        }
    }

    pub(super) async fn job(&self) -> Job {
        self.job.lock().await.clone()
    }

    /// Waits for the write that is under way. After a renewal that was given up the job is read
    /// again: revisions tell what was written, so the one to count from must be known.
    async fn lock(&self) -> MutexGuard<'_, Job> {
        let mut job = self.job.lock().await;
        if self.unsure.load(Ordering::Relaxed)
            && let Ok(Some(found)) = self.services.ledger.read(&self.id).await
            && self.claim.holds(&found)
        {
            *job = found;
            self.unsure.store(false, Ordering::Relaxed);
        }
        job
    }

    /// Leaves progress for the next write.
    pub(super) fn progress(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    /// One owner write that another visit can make as well.
    pub(super) async fn record(&self, change: &Change) -> Result<Job, Halt> {
        self.record_with(Patience::short(self.services.settings.pauses), change)
            .await
    }

    /// One owner write of what nobody else knows: tried for as long as the job is ours, whatever
    /// the ledger's outage takes. The heartbeat goes on meanwhile.
    pub(super) async fn insist(&self, change: &Change) -> Result<Job, Halt> {
        self.record_with(Patience::endless(self.services.settings.pauses), change)
            .await
    }

    /// Leaves a change for the next write: one of which nobody loses anything if it never comes.
    pub(super) fn later(&self, change: Change) {
        self.waiting().push(change);
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Change>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn record_with(
        &self,
        patience: Patience,
        change: &Change,
    ) -> Result<Job, Halt> {
        // What need not be read back after a lost answer stays like that.
        let mut changes = if change.is_repeatable() {
            Vec::new()
        } else {
            self.waiting().clone()
        };
        if changes.is_empty() {
            return self.write(patience, change).await;
        }
        let along = changes.len();
        changes.push(change.clone());
        let job = self.write(patience, &Change::Many(changes)).await?;
        self.waiting().drain(..along);
        Ok(job)
    }

    async fn write(&self, mut patience: Patience, change: &Change) -> Result<Job, Halt> {
        loop {
            // Not held while it pauses: a renewal may go between two tries.
            let mut job = self.lock().await;
            let now = self.services.clock.now();
            let written = self
                .services
                .ledger
                .record(&self.id, &self.claim, change, now)
                .await;
            let error = match written {
                Ok(Commit::Done(written)) => {
                    self.accept(&mut job, *written);
                    return Ok(job.clone());
                }
                Ok(Commit::Lost) => return Err(self.lost()),
                Err(error @ LedgerError::Unknown(_)) if !change.is_repeatable() => {
                    tracing::warn!(%error, "reading back whether a write is there");
                    if self.was_written(&mut job, &mut patience).await? {
                        return Ok(job.clone());
                    }
                    error
                }
                Err(error) => error,
            };
            drop(job);
            self.pause(&mut patience, error).await?;
        }
    }

    /// Pauses before another try, where that may help and one is left; else gives the error.
    async fn pause(&self, patience: &mut Patience, error: LedgerError) -> Result<(), Halt> {
        let passing = matches!(error, LedgerError::Unavailable(_) | LedgerError::Unknown(_));
        if passing && patience.again().await {
            tracing::warn!(%error, "trying a write again");
            return Ok(());
        }
        Err(error.into())
    }

    /// Keeps the lease and writes waiting progress; notices a cancellation on the way.
    pub(super) async fn keep(&self, lease: Duration) -> Result<(), Halt> {
        let mut job = self.lock().await;
        let progress = self
            .progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let now = self.services.clock.now();
        let begun = Instant::now();
        self.unsure.store(true, Ordering::Relaxed);
        let renewed = self
            .services
            .ledger
            .renew(&self.id, &self.claim, progress.as_ref(), now, lease)
            .await;
        self.unsure.store(false, Ordering::Relaxed);
        let is_kept = match renewed {
            Ok(Commit::Done(written)) => {
                self.accept(&mut job, *written);
                true
            }
            Ok(Commit::Lost) => return Err(self.lost()),
            Err(LedgerError::Unknown(_)) => {
                let mut once = Patience::once(self.services.settings.pauses);
                self.was_written(&mut job, &mut once).await?
            }
            Err(error) => return Err(error.into()),
        };
        // Other writes leave the lease's end where it is.
        if is_kept {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = begun;
        }
        Ok(())
    }

    pub(super) fn has_progress(&self) -> bool {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// How long the lease has not been kept.
    pub(super) fn since_kept(&self) -> Duration {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }

    /// Reserves credits.
    pub(super) async fn hold(&self, amount: Credits) -> Result<HoldOutcome, Halt> {
        let mut patience = Patience::short(self.services.settings.pauses);
        loop {
            let mut job = self.lock().await;
            let now = self.services.clock.now();
            let held = self
                .services
                .ledger
                .hold(&self.id, &self.claim, amount, now)
                .await;
            let error = match held {
                Ok(HoldOutcome::Done(written)) => {
                    self.accept(&mut job, (*written).clone());
                    return Ok(HoldOutcome::Done(written));
                }
                Ok(HoldOutcome::Lost) => return Err(self.lost()),
                Ok(other) => return Ok(other),
                // The entry's name makes a second hold of the round do nothing: ask again.
                Err(error) => error,
            };
            drop(job);
            self.pause(&mut patience, error).await?;
        }
    }

    /// Ends the round.
    pub(super) async fn settle(&self, settlement: &Settlement) -> Result<Settled, Halt> {
        let mut patience = Patience::short(self.services.settings.pauses);
        loop {
            let mut job = self.lock().await;
            let now = self.services.clock.now();
            let settled = self
                .services
                .ledger
                .settle(&self.id, &self.claim, settlement, now)
                .await;
            let error = match settled {
                Ok(Settled::Lost) => return Err(self.lost()),
                Ok(settled) => return Ok(settled),
                Err(error @ LedgerError::Unknown(_)) => {
                    if self.was_written(&mut job, &mut patience).await?
                        && let Some(notice) =
                            Notice::terminal(&job, settlement.channel.clone(), now)
                    {
                        return Ok(Settled::Done {
                            job: Box::new(job.clone()),
                            notice: Box::new(notice),
                        });
                    }
                    error
                }
                Err(error) => error,
            };
            drop(job);
            self.pause(&mut patience, error).await?;
        }
    }

    /// After a lost answer: whether the write is there. Only the holder of the fence writes
    /// owner fields, so the revision tells, as long as nothing else is written meanwhile: the
    /// job stays locked until a read is answered.
    async fn was_written(&self, job: &mut Job, patience: &mut Patience) -> Result<bool, Halt> {
        let found = loop {
            match self.services.ledger.read(&self.id).await {
                Ok(found) => break found,
                Err(error) => self.pause(patience, error).await?,
            }
        };
        let Some(found) = found else {
            return Err(self.lost());
        };
        if found.lease.fence != self.claim.fence {
            return Err(self.lost());
        }
        let written = found.revision > job.revision;
        if written {
            self.accept(job, found);
        }
        Ok(written)
    }

    fn accept(&self, job: &mut Job, written: Job) {
        if written.cancel_requested && !written.status.is_ended() {
            self.stop.stop(StopReason::Requested);
        }
        *job = written;
    }

    fn lost(&self) -> Halt {
        self.stop.stop(StopReason::LeaseLost);
        Halt::Lost
    }
}
