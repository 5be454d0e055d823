//! Deleting for age, in bounded batches: the next cleaning goes on.
//!
//! Files go before the record says so: what broke off in between is done again, and until then
//! the job names files that are gone, which every reader of it can take.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::belongings::{self, Input};
use super::walk::Walk;
use super::{Cleaned, Services};
use crate::job::{Job, Keeping, MediaRef, Owner, Status, Timestamp, inputs};
use crate::ledger::{JobQuery, KeptSince, LedgerError, PageToken};
use crate::storage::{Stored, Swept};

/// Jobs whose files are deleted in one cleaning.
const JOBS: u32 = 200;
/// Jobs that are looked at for it: those that cannot be read, or whose files cannot be deleted,
/// hide no others.
const LOOKS: u32 = 2_000;
/// Inputs deleted, or tried to be, in one cleaning.
const SOURCES: u32 = 500;
/// Inputs between two looks at what their owners' jobs need.
const PAGE: usize = 100;
/// Pages of inputs in one cleaning.
const PAGES: u32 = 100;
/// Pages of an owner's unfinished jobs that are looked through for inputs in use, a hundred each.
const JOB_PAGES: u32 = 20;

/// Deletes files that have been kept for long enough. Gives the number of jobs they were of.
pub(super) async fn expired(
    services: &Services,
    walk: &mut Walk<'_>,
    what: Keeping,
    keep: Option<Duration>,
) -> Swept {
    let mut total = Swept::default();
    let Some(before) = keep.and_then(|keep| earlier(services, keep)) else {
        return total;
    };
    let name = match what {
        Keeping::Results => "results",
        Keeping::Generated => "generated",
    };
    let mut looks = 0;
    while looks < LOOKS && total.deleted < JOBS && walk.has_time() {
        let after = walk.begin_kept(name);
        let page = services.ledger.kept(what, before, after.as_ref(), JOBS);
        let page = match page.await {
            Ok(page) => page,
            Err(error) => {
                walk.broke_off(name, &error);
                total.failed += 1;
                break;
            }
        };
        let is_last = page.len() < JOBS as usize;
        let mut done = None;
        for kept in &page {
            if !walk.has_time() {
                break;
            }
            done = Some(kept);
            looks += 1;
            match of_job(services, kept, what, before).await {
                Some(true) => total.deleted += 1,
                Some(false) => {}
                None => total.failed += 1,
            }
        }
        let is_last = is_last && done == page.last();
        match done.filter(|_| !is_last) {
            Some(done) => walk.done_kept_until(name, Some(done.clone())),
            None if is_last => {
                walk.done_kept_until(name, None);
                break;
            }
            None => {}
        }
    }
    total
}

/// Deletes a job's files that were kept; `None` if that failed.
async fn of_job(
    services: &Services,
    kept: &KeptSince,
    what: Keeping,
    before: Timestamp,
) -> Option<bool> {
    let id = &kept.id;
    // Read right before: another round may have begun since the list was made.
    let job = match services.ledger.read(id).await {
        Ok(Some(job)) => job,
        Ok(None) => return Some(false),
        Err(error) => {
            tracing::warn!(job = %id, %error, "its files stay for now");
            return None;
        }
    };
    let is_due = job.kept.since(what).is_some_and(|since| since <= before);
    // A record of before there was such a field names its files all the same.
    if !job.status.is_ended() || (job.kept.since(what).is_some() && !is_due) {
        return Some(false);
    }
    match belongings::sweep(services, &job, |_| false).await {
        Ok(swept) if swept.failed == 0 => {}
        Ok(swept) => {
            tracing::warn!(job = %id, objects = swept.failed, "its sweep goes on the next time");
            return None;
        }
        Err(error) => {
            tracing::warn!(job = %id, %error, "its files stay for now");
            return None;
        }
    }
    let now = services.clock.now();
    match services.ledger.forget(id, what, job.round, now).await {
        Ok(noted) => Some(noted),
        Err(error) => {
            tracing::warn!(job = %id, %error, "its sweep is noted the next time");
            None
        }
    }
}

fn earlier(services: &Services, by: Duration) -> Option<Timestamp> {
    services.clock.now().checked_sub(by).ok()
}

/// Deletes inputs that were uploaded long enough ago and that no unfinished job of their owner
/// names; and, however long those are kept, what never became one.
/// Only `sources/{owner}/{…}/{file}`, as we name them: what others put beside is theirs.
pub(super) async fn sources(
    services: &Services,
    walk: &mut Walk<'_>,
    keep: Option<Duration>,
    cleaned: &mut Cleaned,
) {
    let inputs = keep.and_then(|keep| earlier(services, keep));
    // Whoever writes longer than that has died.
    let unfinished = earlier(services, services.settings.retention.work);
    let unfinished = unfinished.unwrap_or(Timestamp::MIN);
    let mut tried = 0;
    let mut pages = 0;
    while tried < SOURCES
        && pages < PAGES
        && let Some(after) = walk.begin(inputs::FOLDER)
    {
        pages += 1;
        let fits = |stored: &Stored| {
            Input::of(services, &stored.object).is_some_and(|input| {
                let before = match input.unfinished {
                    true => Some(unfinished),
                    false => inputs,
                };
                before.is_some_and(|before| stored.modified <= before)
            })
        };
        let page = services
            .storage
            .page(inputs::FOLDER, after.as_deref(), PAGE, fits);
        let page = match page.await {
            Ok(page) => page,
            Err(error) => {
                walk.broke_off(inputs::FOLDER, &error);
                cleaned.failed += 1;
                return;
            }
        };
        cleaned.failed += page.faults;
        let mut by_owner: BTreeMap<Owner, Vec<(Input, Stored)>> = BTreeMap::new();
        for stored in page.objects {
            if let Some(input) = Input::of(services, &stored.object) {
                let inputs = by_owner.entry(input.owner.clone()).or_default();
                inputs.push((input, stored));
            }
        }
        for (owner, inputs) in by_owner {
            for object in free(services, &owner, inputs, &mut cleaned.failed).await {
                tried += 1;
                let swept = services.storage.try_discard(&object).await;
                cleaned.sources += swept.deleted;
                cleaned.failed += swept.failed;
            }
        }
        walk.done_until(inputs::FOLDER, page.next);
    }
}

/// Those of an owner's inputs that may go now.
async fn free(
    services: &Services,
    owner: &Owner,
    inputs: Vec<(Input, Stored)>,
    failed: &mut u32,
) -> Vec<String> {
    let in_use = match in_use(services, owner).await {
        Ok(Some(in_use)) => Some(in_use),
        Ok(None) => {
            tracing::warn!(%owner, "too many unfinished jobs to tell which inputs are free");
            None
        }
        Err(error) => {
            tracing::warn!(%owner, %error, "inputs stay for now");
            *failed += 1;
            None
        }
    };
    let free = inputs.into_iter().filter(|(input, stored)| {
        // Our copies of what lay in the web lie in a folder of the job's own.
        let needed = in_use
            .as_ref()
            .is_none_or(|in_use| in_use.contains(&stored.object) || in_use.contains(&input.folder));
        input.unfinished || !needed
    });
    free.map(|(_, stored)| stored.object).collect()
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
            if pages >= JOB_PAGES {
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
