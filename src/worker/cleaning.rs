//! Deleting what nobody needs any more: after a round, and again for workers that died first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::belongings::{self, AREAS};
use super::cleaned::Cleaned;
use super::retention;
use super::services::Services;
use super::state::Worker;
use super::walk::Walk;
use crate::job::{Job, JobId, Keeping, Timestamp};
use crate::storage::{StorageError, Stored, Swept};
use crate::telemetry::metrics;

/// Left-over objects cost little; looking for them lists folders.
pub const CLEAN_EVERY: Duration = Duration::from_secs(3600);

impl Worker {
    /// Deletes files that died with their worker or their lease and files that have been kept for
    /// long enough, in bounded batches; ends early where the service stops. What cannot be done is
    /// counted, and comes again after all else.
    pub async fn clean(&self) -> Cleaned {
        self.clean_once().await.0
    }

    /// Says too whether all lists could be read.
    async fn clean_once(&self) -> (Cleaned, bool) {
        let services = &*self.services;
        let work = async {
            let mut cleaned = Cleaned::default();
            let mut walk = Walk::resume(&services.storage).await;
            leftovers(services, &mut walk, &mut cleaned).await;
            let keep = &services.settings.retention;
            let (results, generated) = (Keeping::Results, Keeping::Generated);
            let swept = retention::expired(services, &mut walk, results, keep.results).await;
            (cleaned.results, cleaned.failed) = (swept.deleted, cleaned.failed + swept.failed);
            let swept = retention::expired(services, &mut walk, generated, keep.failed).await;
            (cleaned.generated, cleaned.failed) = (swept.deleted, cleaned.failed + swept.failed);
            retention::sources(services, &mut walk, keep.sources, &mut cleaned).await;
            marks(services, &mut cleaned).await;
            (cleaned, walk.note().await)
        };
        let (cleaned, complete) = tokio::select! {
            biased;
            () = self.draining.cancelled() => return (Cleaned::default(), true),
            done = work => done,
        };
        for (what, number) in cleaned.numbers() {
            metrics::cleaned(what, number);
        }
        if cleaned.failed > 0 {
            tracing::warn!(
                failed = cleaned.failed,
                "not all that was to go could be deleted; it is tried again"
            );
        }
        (cleaned, complete)
    }

    /// Cleans unless this process did within [`CLEAN_EVERY`], for whoever calls more often. Goes
    /// on to its end even if the caller stops waiting.
    pub async fn clean_when_due(self: &Arc<Self>) -> Option<Cleaned> {
        {
            let mut last = self.last_cleaning();
            if last.is_some_and(|last| last.elapsed() < CLEAN_EVERY) {
                return None;
            }
            *last = Some(Instant::now());
        }
        let worker = Arc::clone(self);
        let cleaned = self.tracker.spawn(async move { worker.clean_once().await });
        match cleaned.await {
            Ok((cleaned, complete)) => {
                if !complete {
                    // The store or the ledger did not answer: sooner than in an hour, they will.
                    *self.last_cleaning() = None;
                }
                Some(cleaned)
            }
            Err(error) => {
                tracing::error!(%error, "cleaning up broke off");
                None
            }
        }
    }

    fn last_cleaning(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last_cleaning
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Deletes what the round leaves behind, and rounds before it: results that were made but never
/// published, since the name in the job is what publishes one, and what the provider returned,
/// unless another round may go on from it. A round that has begun since is left alone.
pub(super) async fn after_round(services: &Services, job: &Job) -> Result<(), StorageError> {
    let swept = belongings::sweep(services, job, |stored| {
        belongings::is_named(job, &stored.object)
    })
    .await?;
    if swept.failed > 0 {
        tracing::warn!(
            objects = swept.failed,
            "files of the round stay until they are swept"
        );
    }
    Ok(())
}

/// Jobs whose files are looked at in one cleaning, in each area.
const JOBS: usize = 500;
/// Objects that are looked at between two reads of the ledger.
const PAGE: usize = 500;

/// Far longer than any process goes without making its mark.
const MARKS_STAY: Duration = Duration::from_secs(24 * 3600);

/// Cleans up after rounds whose worker died between the end and the cleaning, after claims that
/// were lost, and after whatever was written for a job that is gone. Goes on where the last
/// cleaning stopped.
pub(super) async fn leftovers(services: &Services, walk: &mut Walk<'_>, cleaned: &mut Cleaned) {
    let now = services.clock.now();
    let old = now.checked_sub(services.settings.retention.work);
    let old = old.unwrap_or(Timestamp::MIN);
    let mut cleaned_up = BTreeSet::new();
    for area in AREAS {
        let mut jobs = 0;
        while let Some(after) = walk.begin(area) {
            // A job keeps its results: only what has lain there for long is worth a look.
            let fits = |stored: &Stored| {
                belongings::job_of(&stored.object).is_some()
                    && (area == "work" || stored.modified <= old)
            };
            let page = services.storage.page(area, after.as_deref(), PAGE, fits);
            let page = match page.await {
                Ok(page) => page,
                Err(error) => {
                    walk.broke_off(area, &error);
                    cleaned.failed += 1;
                    break;
                }
            };
            cleaned.failed += page.faults;
            let mut by_job: BTreeMap<JobId, Vec<Stored>> = BTreeMap::new();
            for stored in page.objects {
                if let Some(id) = belongings::job_of(&stored.object) {
                    by_job.entry(id).or_default().push(stored);
                }
            }
            jobs += by_job.len();
            for (id, files) in by_job {
                let swept = of_job(services, &id, &files, old).await;
                cleaned.failed += swept.failed;
                if swept.deleted > 0 && cleaned_up.insert(id) {
                    cleaned.leftovers += 1;
                }
            }
            walk.done_until(area, page.next);
            if jobs >= JOBS {
                break;
            }
        }
    }
}

/// Deletes those of a job's files that nobody needs.
async fn of_job(services: &Services, id: &JobId, files: &[Stored], old: Timestamp) -> Swept {
    let mut swept = Swept::default();
    // Read at the last moment: what was true of a list is not true of a job.
    let found = match services.ledger.read(id).await {
        Ok(found) => found,
        // A person may want to look at a document that cannot be read.
        Err(error) => {
            tracing::warn!(job = %id, %error, "its files stay for now");
            swept.failed += 1;
            return swept;
        }
    };
    for file in files {
        if is_useless(found.as_ref(), file, old) {
            swept.add(services.storage.try_discard(&file.object).await);
        }
    }
    swept
}

fn is_useless(job: Option<&Job>, file: &Stored, old: Timestamp) -> bool {
    let Some(job) = job else {
        // The record may be on its way, out of a backup say.
        return file.modified <= old;
    };
    if belongings::is_named(job, &file.object) || !belongings::of_rounds_seen(job, &file.object) {
        return false;
    }
    let ended = job.status.is_ended();
    ended || (file.modified <= old && !belongings::of_present_claim(job, &file.object))
}

/// Removes the marks of processes that died: one that lives makes its own anew all the time.
pub(super) async fn marks(services: &Services, cleaned: &mut Cleaned) {
    let before = services.clock.now().checked_sub(MARKS_STAY);
    let before = before.unwrap_or(Timestamp::MIN);
    let (ledger, storage) = (&services.ledger, &services.storage);
    if let Err(error) = ledger.unmark_old(before).await {
        tracing::warn!(%error, "old marks stay in the ledger for now");
        cleaned.failed += 1;
    }
    if let Err(error) = storage.unmark_old(before).await {
        tracing::warn!(%error, "old marks stay in the store for now");
        cleaned.failed += 1;
    }
}
