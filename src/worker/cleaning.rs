//! Deleting what nobody needs any more: after a round, and again for workers that died first.

use std::collections::BTreeSet;

use super::Services;
use crate::job::{Job, JobId};
use crate::storage::StorageError;

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
    let kept = job
        .generated
        .as_ref()
        .filter(|_| job.kept.generated.is_some());
    for object in storage.list(&format!("work/{}", job.id)).await? {
        if kept.is_none_or(|kept| kept.object != object) {
            storage.delete(&object).await?;
        }
    }
    Ok(())
}

/// Cleans up after rounds whose worker died between the end and the cleaning. Gives their
/// number.
pub(super) async fn sweep(services: &Services) -> Result<u32, StorageError> {
    let jobs: BTreeSet<JobId> = services
        .storage
        .list("work")
        .await?
        .iter()
        .filter_map(|object| object.split('/').nth(1)?.parse().ok())
        .collect();
    let mut cleaned = 0;
    for id in jobs {
        match services.ledger.read(&id).await {
            Ok(Some(job)) if job.status.is_ended() => {
                after_round(services, &job).await?;
                cleaned += 1;
            }
            // Running, or a document that cannot be read: a person may want to look at it.
            Ok(Some(_)) => {}
            Ok(None) => {
                services
                    .storage
                    .delete_folder(&format!("work/{id}"))
                    .await?;
                cleaned += 1;
            }
            Err(error) => tracing::warn!(job = %id, %error, "its work files stay for now"),
        }
    }
    Ok(cleaned)
}
