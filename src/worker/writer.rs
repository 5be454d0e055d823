//! The one writer of a visit: stages and heartbeat go through it, one write at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::Services;
use super::context::Halt;
use super::stop::{Stop, StopReason};
use crate::job::{Change, Claim, Credits, Job, JobId, Progress};
use crate::ledger::{Commit, Held, LedgerError, Settled, Settlement};

/// Tries of one write while the ledger does not answer, and the first pause between them; it
/// doubles. Together about 3 s: longer than a hiccup, much shorter than a lease.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

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

    /// One owner write.
    pub(super) async fn record(&self, change: &Change) -> Result<Job, Halt> {
        let mut job = self.lock().await;
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let now = self.services.clock.now();
            match self
                .services
                .ledger
                .record(&self.id, &self.claim, change, now)
                .await
            {
                Ok(Commit::Done(written)) => {
                    self.accept(&mut job, *written);
                    return Ok(job.clone());
                }
                Ok(Commit::Lost) => return Err(self.lost()),
                Err(LedgerError::Unknown(message)) => {
                    tracing::warn!(
                        message,
                        "the outcome of a write is unknown; reading it back"
                    );
                    if self.was_written(&mut job).await? {
                        return Ok(job.clone());
                    }
                }
                Err(LedgerError::Unavailable(message)) if attempt < TRIES => {
                    tracing::warn!(message, attempt, "the ledger does not answer");
                }
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            if attempt >= TRIES {
                break;
            }
        }
        Err(LedgerError::Unavailable("no write went through".into()).into())
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
        self.unsure.store(true, Ordering::Relaxed);
        let renewed = self
            .services
            .ledger
            .renew(&self.id, &self.claim, progress.as_ref(), now, lease)
            .await;
        self.unsure.store(false, Ordering::Relaxed);
        match renewed {
            Ok(Commit::Done(written)) => {
                self.accept(&mut job, *written);
                Ok(())
            }
            Ok(Commit::Lost) => Err(self.lost()),
            Err(LedgerError::Unknown(_)) => self.was_written(&mut job).await.map(drop),
            Err(error) => Err(error.into()),
        }
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
    pub(super) async fn hold(&self, amount: Credits) -> Result<Held, Halt> {
        let mut job = self.lock().await;
        for _ in 0..TRIES {
            let now = self.services.clock.now();
            match self
                .services
                .ledger
                .hold(&self.id, &self.claim, amount, now)
                .await
            {
                Ok(Held::Done(written)) => {
                    self.accept(&mut job, (*written).clone());
                    return Ok(Held::Done(written));
                }
                Ok(Held::Lost) => return Err(self.lost()),
                Ok(other) => return Ok(other),
                // The entry's name makes a second hold of the round do nothing: ask again.
                Err(LedgerError::Unknown(_) | LedgerError::Unavailable(_)) => {
                    tokio::time::sleep(FIRST_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(LedgerError::Unavailable("credits could not be held".into()).into())
    }

    /// Ends the round.
    pub(super) async fn settle(&self, settlement: &Settlement) -> Result<Settled, Halt> {
        let mut job = self.lock().await;
        for _ in 0..TRIES {
            let now = self.services.clock.now();
            match self
                .services
                .ledger
                .settle(&self.id, &self.claim, settlement, now)
                .await
            {
                Ok(Settled::Lost) => return Err(self.lost()),
                Ok(settled) => return Ok(settled),
                Err(LedgerError::Unknown(_)) => {
                    if self.was_written(&mut job).await? {
                        let id = crate::job::Notification::terminal(
                            &job,
                            settlement.channel.clone(),
                            now,
                        );
                        if let Some(notification) = id {
                            let job = Box::new(job.clone());
                            return Ok(Settled::Done {
                                job,
                                notification: Box::new(notification),
                            });
                        }
                    }
                }
                Err(LedgerError::Unavailable(_)) => tokio::time::sleep(FIRST_PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(LedgerError::Unavailable("the round could not be settled".into()).into())
    }

    /// After a lost answer: whether the write is there. Only the holder of the fence writes
    /// owner fields, so the revision tells.
    async fn was_written(&self, job: &mut Job) -> Result<bool, Halt> {
        let found = self.services.ledger.read(&self.id).await?;
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
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        *job = written;
    }

    fn lost(&self) -> Halt {
        self.stop.stop(StopReason::LeaseLost);
        Halt::Lost
    }
}
