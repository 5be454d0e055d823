//! Deleting for age, in bounded batches: the next cleaning goes on.
//!
//! Files go before the record says so: what broke off in between is done again, and until then
//! the job names files that are gone, which every reader of it can take.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Services;
use crate::job::{Job, Keeping, MediaRef, Owner, Status, Timestamp};
use crate::ledger::{JobQuery, LedgerError, PageToken};
use crate::storage::StorageError;

/// Jobs whose files are deleted in one cleaning.
const JOBS: u32 = 200;
/// Inputs deleted in one cleaning.
const SOURCES: usize = 500;
/// Pages of an owner's unfinished jobs that are looked through for inputs in use, a hundred each.
const PAGES: u32 = 20;

/// Deletes files that have been kept for long enough. Gives the number of jobs they were of.
pub(super) async fn expired(
    services: &Services,
    what: Keeping,
    keep: Option<Duration>,
) -> Result<u32, StorageError> {
    let Some(before) = keep.and_then(|keep| earlier(services, keep)) else {
        return Ok(0);
    };
    let ids = match services.ledger.kept(what, before, JOBS).await {
        Ok(ids) => ids,
        Err(error) => {
            tracing::warn!(%error, ?what, "nothing is deleted for its age this time");
            return Ok(0);
        }
    };
    let mut deleted = 0;
    for id in ids {
        let job = match services.ledger.read(&id).await {
            Ok(Some(job)) => job,
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(job = %id, %error, "its files stay for now");
                continue;
            }
        };
        let meanwhile = job.kept.since(what).is_some_and(|since| since > before);
        if meanwhile || !job.status.is_ended() {
            continue;
        }
        for area in ["results", "work"] {
            services
                .storage
                .delete_folder(&format!("{area}/{id}"))
                .await?;
        }
        let now = services.clock.now();
        match services.ledger.forget(&id, what, job.round, now).await {
            Ok(true) => deleted += 1,
            Ok(false) => {}
            Err(error) => tracing::warn!(job = %id, %error, "its sweep is noted the next time"),
        }
    }
    Ok(deleted)
}

fn earlier(services: &Services, by: Duration) -> Option<Timestamp> {
    services.clock.now().checked_sub(by).ok()
}

/// Deletes inputs that were uploaded long enough ago and that no unfinished job of their owner
/// names. Only `sources/{owner}/{…}/{file}`, as we name them: what others put beside is theirs.
/// Gives their number.
pub(super) async fn sources(
    services: &Services,
    keep: Option<Duration>,
) -> Result<u32, StorageError> {
    let Some(before) = keep.and_then(|keep| earlier(services, keep)) else {
        return Ok(0);
    };
    let old = services
        .storage
        .older_than("sources", before, SOURCES)
        .await?;
    let mut by_owner: BTreeMap<Owner, Vec<String>> = BTreeMap::new();
    for object in old {
        let parts: Vec<&str> = object.split('/').collect();
        if let ["sources", owner, _, _] = parts.as_slice()
            && let Ok(owner) = owner.parse()
        {
            by_owner.entry(owner).or_default().push(object);
        }
    }
    let mut deleted = 0;
    for (owner, objects) in by_owner {
        let in_use = match in_use(services, &owner).await {
            Ok(Some(in_use)) => in_use,
            Ok(None) => {
                tracing::warn!(%owner, "too many unfinished jobs to tell which inputs are free");
                continue;
            }
            Err(error) => {
                tracing::warn!(%owner, %error, "inputs stay for now");
                continue;
            }
        };
        for object in objects {
            // Our copies of what lay in the web lie in a folder of the job's own.
            let folder = object.split('/').nth(2).unwrap_or_default();
            if !in_use.contains(&object) && !in_use.contains(folder) {
                services.storage.delete(&object).await?;
                deleted += 1;
            }
        }
    }
    Ok(deleted)
}

/// Objects that an owner's unfinished jobs name, and the names of these jobs; `None` if they are
/// too many.
async fn in_use(
    services: &Services,
    owner: &Owner,
) -> Result<Option<BTreeSet<String>>, LedgerError> {
    let mut named = BTreeSet::new();
    let mut pages = 0;
    // In the order in which jobs go, so that none slips through between the two.
    for status in [Status::Queued, Status::Processing] {
        let mut query = JobQuery {
            owner: Some(owner.clone()),
            status: Some(status),
            limit: 100,
            ..JobQuery::default()
        };
        loop {
            let page = services.ledger.list(&query).await?;
            for job in &page {
                name_inputs(job, &mut named);
            }
            query.after = page.last().map(|last| PageToken {
                created_at: last.created_at,
                id: last.id.clone(),
            });
            pages += 1;
            if page.len() < query.limit as usize {
                break;
            }
            if pages >= PAGES {
                return Ok(None);
            }
        }
    }
    Ok(Some(named))
}

fn name_inputs(job: &Job, named: &mut BTreeSet<String>) {
    named.insert(job.id.to_string());
    let layers = job.output.watermark.iter();
    let given = [Some(&job.source.video), job.source.image.as_ref()]
        .into_iter()
        .flatten()
        .chain(layers.filter_map(|layer| layer.image.as_ref()));
    for reference in given {
        if let MediaRef::Object(object) = reference {
            named.insert(object.clone());
        }
    }
}
