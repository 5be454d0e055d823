//! Deleting what nobody needs any more: after a round, and again for workers that died first.

use std::collections::BTreeMap;

use super::Services;
use crate::job::{Job, JobId};
use crate::storage::{StorageError, Stored};

/// Deletes what the round leaves behind: results that were made but never published, since the
/// name in the job is what publishes one, and what the provider returned, unless another round
/// may go on from it.
pub(super) async fn after_round(services: &Services, job: &Job) -> Result<(), StorageError> {
    let storage = &services.storage;
    let this_round = format!("results/{}/{}-", job.id, job.round);
    for object in storage.list(&format!("results/{}", job.id)).await? {
        let is_published = job.result.as_ref().is_some_and(|result| {
            [&result.video, &result.poster, &result.metadata].contains(&&object)
        });
        if object.starts_with(&this_round) && !is_published {
            storage.delete(&object).await?;
        }
    }
    // Last: as long as this folder is there, the round is known not to be cleaned up.
    let kept = kept(job);
    for object in storage.list(&format!("work/{}", job.id)).await? {
        if kept.is_none_or(|kept| *kept != object) {
            storage.discard(&object).await?;
        }
    }
    Ok(())
}

/// Jobs whose work files are looked at in one cleaning.
const JOBS: usize = 500;

/// Cleans up after rounds whose worker died between the end and the cleaning, and after claims
/// that were lost while their job goes on. Begins behind the job `after`; gives how many jobs'
/// files were deleted, and where to go on.
pub(super) async fn leftovers(
    services: &Services,
    after: Option<JobId>,
) -> Result<(u32, Option<JobId>), StorageError> {
    let mut by_job: BTreeMap<JobId, Vec<Stored>> = BTreeMap::new();
    for stored in services.storage.stored("work").await? {
        let id = stored.object.split('/').nth(1).map(str::parse::<JobId>);
        if let Some(Ok(id)) = id
            && after.as_ref().is_none_or(|after| id > *after)
        {
            by_job.entry(id).or_default().push(stored);
            // The first ones are enough: memory stays bounded however long the list is.
            if by_job.len() > JOBS {
                by_job.pop_last();
            }
        }
    }
    let next = by_job.keys().next_back().cloned();
    let next = next.filter(|_| by_job.len() >= JOBS);
    let before = services.clock.now();
    let before = before
        .checked_sub(services.settings.retention.work)
        .unwrap_or(before);
    let mut cleaned = 0;
    for (id, files) in by_job {
        let found = match services.ledger.read(&id).await {
            Ok(found) => found,
            // A person may want to look at a document that cannot be read.
            Err(error) => {
                tracing::warn!(job = %id, %error, "its work files stay for now");
                continue;
            }
        };
        let kept = found.as_ref().and_then(kept);
        let ended = found.as_ref().is_none_or(|job| job.status.is_ended());
        let useless: Vec<&Stored> = files
            .iter()
            .filter(|file| kept.is_none_or(|kept| *kept != file.object))
            .filter(|file| match &found {
                Some(_) if ended => true,
                // The present claim's folder is being written.
                Some(job) => {
                    file.modified <= before && !file.object.starts_with(&job.folder("work"))
                }
                // The record may be on its way, out of a backup say.
                None => file.modified <= before,
            })
            .collect();
        if useless.is_empty() {
            continue;
        }
        if let Some(job) = found.as_ref().filter(|_| ended) {
            after_round(services, job).await?;
        } else {
            for file in useless {
                services.storage.discard(&file.object).await?;
            }
        }
        cleaned += 1;
    }
    Ok((cleaned, next))
}

/// The name of what must stay: a running job goes on from it, another round of an ended one may.
fn kept(job: &Job) -> Option<&String> {
    let stays = !job.status.is_ended() || job.kept.generated.is_some();
    job.generated
        .as_ref()
        .filter(|_| stays)
        .map(|generated| &generated.object)
}
